//! What a run survives: SIGKILL in the middle of a save, and a disk without room for its state.
#![cfg(unix)]

mod helpers;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use helpers::{Workspace, state_files, state_step_so_far, state_tensors};

/// A state after every step: most of the time of such a run goes into saves.
const SETS: [&str; 10] = [
    "--set",
    "train.save_minutes=1e-9",
    "--set",
    "train.steps=60",
    "--set",
    "train.eval_steps=30",
    "--set",
    "train.valid_pairs=4",
    "--set",
    "train.confidence_grid=[0.5]",
];

fn train(workspace: &Workspace, out: &str) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("finetune"));
    command.current_dir(workspace.directory.path());
    command.args(["train", "--recipe", "recipe.toml", "--pairs", "pairs", "--threads", "2"]);
    command.args(["--out", out, "--resume"]).args(SETS);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn finish(mut command: Command) {
    let end = command.output().unwrap();
    assert!(end.status.success(), "{}", String::from_utf8_lossy(&end.stderr));
}

/// Whether a state is being written.
fn is_saving(state: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(state) else { return false };
    let is_part = |path: &Path| {
        path.extension().is_some_and(|extension| extension == "tmp")
            && path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".run-"))
    };
    entries.flatten().any(|entry| is_part(&entry.path()))
}

/// Kills the process as soon as it saves; whether it did before it ended.
fn kill_while_saving(mut process: Child, state: &Path) -> bool {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if process.try_wait().unwrap().is_some() {
            return false;
        }
        if is_saving(state) {
            process.kill().unwrap();
            process.wait().unwrap();
            return true;
        }
        assert!(Instant::now() < deadline, "nothing was saved");
    }
}

#[test]
fn a_run_killed_while_it_saves_ends_with_the_same_weights() {
    let workspace = Workspace::new();
    let (run, state) = (workspace.path("killed"), workspace.path("killed/state"));
    let mut cut_off = 0;
    for _ in 0..30 {
        if cut_off == 3 {
            break;
        }
        let before = state_step_so_far_or_none(&run);
        if !kill_while_saving(train(&workspace, "killed").spawn().unwrap(), &state) {
            break;
        }
        // Whatever was being written, there is a whole state as new as before.
        let after = state_step_so_far_or_none(&run);
        assert!(after >= before, "{after:?} after {before:?}");
        cut_off += usize::from(is_saving(&state));
    }
    assert!(cut_off > 0, "no save was cut off");
    finish(train(&workspace, "killed"));
    assert!(!is_saving(&state), "what a cut-off save left is still there");
    finish(train(&workspace, "whole"));
    assert!(state_tensors(&run) == state_tensors(&workspace.path("whole")), "the weights differ");
    let weights = |out: &str| std::fs::read(workspace.path(out).join("model.safetensors")).unwrap();
    assert!(weights("killed") == weights("whole"), "the checkpoints differ");
}

fn state_step_so_far_or_none(run: &Path) -> Option<u64> {
    if run.join("state").exists() { state_step_so_far(run) } else { None }
}

#[test]
fn a_disk_without_room_for_a_state_loses_nothing() {
    let workspace = Workspace::new();
    let run = workspace.path("run");
    let mut first = train(&workspace, "run");
    let end = first.args(["--max-minutes", "0.005"]).output().unwrap();
    assert_eq!(end.status.code(), Some(3), "{}", String::from_utf8_lossy(&end.stderr));
    let known: Vec<_> =
        state_files(&run).iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    let step = state_step_so_far(&run).unwrap();
    // The system refuses longer files, as it would on a full disk.
    let blocks = known[0].1.len() / 1024 / 2;
    let program = train(&workspace, "run");
    let mut limited = Command::new("bash");
    limited.current_dir(workspace.directory.path());
    limited.args(["-c", &format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"")]);
    let end = limited.arg(program.get_program()).args(program.get_args()).output().unwrap();
    let said = String::from_utf8_lossy(&end.stderr);
    assert_eq!(end.status.code(), Some(1), "{said}");
    assert!(said.contains("state/run-") && said.contains("too large"), "{said}");
    assert!(!is_saving(&workspace.path("run/state")), "half a state was left");
    assert_eq!(state_step_so_far(&run), Some(step));
    for (path, bytes) in &known {
        assert!(std::fs::read(path).unwrap() == *bytes, "{} was touched", path.display());
    }
    finish(train(&workspace, "run"));
    finish(train(&workspace, "whole"));
    assert!(state_tensors(&run) == state_tensors(&workspace.path("whole")), "the weights differ");
}
