//! The program: exit statuses, messages, files.

mod helpers;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use helpers::{Workspace, state_step, state_step_so_far, state_tensors};
use predicates::prelude::*;
use predicates::str::contains;

/// Starts training in the background and waits until its state is a few steps old.
fn started(workspace: &Workspace, steps: u64) -> std::process::Child {
    let mut child = Command::new(assert_cmd::cargo::cargo_bin("finetune"))
        .current_dir(workspace.directory.path())
        .args(["train", "--recipe", "recipe.toml", "--pairs", "pairs", "--out", "run", "--threads", "2"])
        .args(["--set", "train.eval_steps=30", "--set", "train.valid_pairs=4"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (run, deadline) = (workspace.path("run"), Instant::now() + Duration::from_mins(1));
    while !run.join("state").exists() || state_step_so_far(&run).is_none_or(|step| step < steps) {
        assert!(child.try_wait().unwrap().is_none(), "training ended by itself");
        assert!(Instant::now() < deadline, "no state was saved");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

fn resume(workspace: &Workspace) -> assert_cmd::Command {
    let mut command = workspace.finetune("train");
    command.args(["--set", "train.eval_steps=30", "--set", "train.valid_pairs=4", "--resume"]);
    command
}

#[cfg(unix)]
#[test]
fn a_killed_run_goes_on_from_its_last_state_and_a_terminated_one_saves() {
    let interrupted = Workspace::new();
    let mut child = started(&interrupted, 10);
    child.kill().unwrap();
    child.wait().unwrap();
    let after_kill = state_step(&interrupted.path("run"));
    assert!((10..120).contains(&after_kill));

    let mut command = Command::new(assert_cmd::cargo::cargo_bin("finetune"));
    command.current_dir(interrupted.directory.path());
    command.args(["train", "--recipe", "recipe.toml", "--pairs", "pairs", "--out", "run", "--resume"]);
    command.args(["--set", "train.eval_steps=30", "--set", "train.valid_pairs=4"]);
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    while state_step(&interrupted.path("run")) == after_kill {
        assert!(Instant::now() < deadline, "no step was taken");
        std::thread::sleep(Duration::from_millis(5));
    }
    let terminated = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(terminated.success());
    assert_eq!(child.wait().unwrap().code(), Some(3));
    resume(&interrupted).assert().success().stdout(contains("valid_cer"));

    let whole = Workspace::new();
    let mut command = whole.finetune("train");
    command.args(["--set", "train.eval_steps=30", "--set", "train.valid_pairs=4"]).assert().success();
    let (whole, interrupted) = (whole.path("run"), interrupted.path("run"));
    assert!(state_tensors(&whole) == state_tensors(&interrupted), "the weights differ");
    let steps =
        |run| -> Vec<u64> { helpers::log(run).iter().map(|line| line["step"].as_u64().unwrap()).collect() };
    assert!(steps(&interrupted).is_sorted(), "steps are logged twice");
    let leftover = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().ends_with(".tmp");
    assert!(!std::fs::read_dir(interrupted.join("state")).unwrap().flatten().any(leftover));
}

#[test]
fn a_budget_stops_with_status_3_and_leaves_a_checkpoint() {
    let workspace = Workspace::new();
    workspace
        .finetune("train")
        .args(["--max-minutes", "0.005"])
        .assert()
        .code(3)
        .stderr(contains("--resume goes on"));
    assert!(workspace.path("run/model.safetensors").exists());
    workspace.finetune("train").assert().code(1).stderr(contains("--resume").and(contains("--overwrite")));
    let mut command = workspace.finetune("train");
    command
        .args(["--resume", "--set", "train.seed=9"])
        .assert()
        .code(1)
        .stderr(contains("train.seed was 1 and is now 9"));
}

#[test]
fn evaluation_writes_figures_report_plots_and_card() {
    let workspace = Workspace::new();
    workspace.finetune("train").args(["--set", "train.steps=80"]).assert().success();
    let mut command = workspace.finetune("evaluate");
    command.args([
        "--model",
        "run",
        "--pairs",
        "pairs/test",
        "--sets",
        "--card",
        "--metrics",
        "out/metrics.json",
    ]);
    command.args(["--report", "out/report.html", "--plots", "out/plots"]);
    command
        .assert()
        .success()
        .stdout(contains("all pairs").and(contains("insertion")).and(contains("clean")));
    let read = |name: &str| std::fs::read_to_string(workspace.path(name)).unwrap();
    let metrics: serde_json::Value = serde_json::from_str(&read("out/metrics.json")).unwrap();
    assert_eq!(metrics["grouping"], "sets");
    assert_eq!(metrics["texts"], 36);
    assert_eq!(metrics["resampled"], "documents");
    assert!(metrics["cer_after"].as_f64().unwrap() < metrics["cer_before"].as_f64().unwrap());
    assert!(metrics["reduction_low"].as_f64().unwrap() > 0.0);
    assert_eq!(metrics["operations"].as_object().unwrap().keys().collect::<Vec<_>>(), ["insertion"]);
    assert_eq!(metrics["operations"]["insertion"]["texts"], 20);
    assert_eq!(metrics["levels"].as_object().unwrap().keys().collect::<Vec<_>>(), ["1", "2"]);
    assert_eq!(metrics["clean"]["clean"], 20);
    assert!(read("out/plots/operations.csv").starts_with("operation,text,cer\ninsertion,corrupted,"));
    assert_eq!(read("out/plots/levels.csv").lines().count(), 5);
    assert!(read("out/report.html").contains("</table>"));
    assert!(
        read("run/README.md")
            .contains("Operations won (the interval of the CER's cut lies above zero): insertion.")
    );

    let mut command = workspace.finetune("evaluate");
    command
        .args(["--model", "run", "--pairs", "pairs/test", "--limit", "5", "--metrics", "out/few.json"])
        .assert()
        .success();
    let few: serde_json::Value = serde_json::from_str(&read("out/few.json")).unwrap();
    assert_eq!((&few["texts"], &few["grouping"]), (&5.into(), &"pairs".into()));
    let restored = read("out/metrics.json");
    for threads in ["1", "3"] {
        let mut command = workspace.finetune("evaluate");
        command.args(["--model", "run", "--pairs", "pairs/test", "--sets", "--threads", threads]);
        command.args(["--metrics", "out/again.json"]).assert().success();
        assert_eq!(read("out/again.json"), restored, "figures depend on the threads");
    }
}

#[test]
fn a_gguf_file_is_imported() {
    let workspace = Workspace::new();
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../restorer/tests/fixtures/gguf/llama.gguf");
    let import = |arguments: &[&str]| {
        let mut command = assert_cmd::Command::cargo_bin("finetune").unwrap();
        command.current_dir(workspace.directory.path()).arg("import").arg(&model);
        command.args(["--out", "imported"]).args(arguments).assert()
    };
    import(&["--dtype", "int8"]).code(2).stderr(contains("bfloat16"));
    import(&["--tokenizer", "none.json"]).code(1).stderr(contains("none.json"));
    assert!(!workspace.path("imported").exists());
    import(&["--dtype", "bf16"]).success().stderr(contains("llama, 20 tensors").and(contains("smollm")));
    assert!(workspace.path("imported/model.safetensors").exists());
    // It restores as it is, though nothing says yet what it reads and how much of it.
    let mut command = workspace.finetune("evaluate");
    command.args(["--model", "imported", "--pairs", "pairs/test", "--limit", "2", "--prompt", "{text} ->"]);
    command.assert().success().stdout(contains("all pairs"));
    let mut command = workspace.finetune("evaluate");
    command.args(["--model", "imported", "--pairs", "pairs/test", "--sets"]);
    command.assert().code(1).stderr(contains("carries no recipe"));
    import(&[]).code(1).stderr(contains("--overwrite"));
    import(&["--overwrite"]).success().stderr(contains("float32"));
}

#[test]
fn wrong_use_and_missing_files_say_so() {
    let workspace = Workspace::new();
    workspace.finetune("train").args(["--max-minutes", "soon"]).assert().code(2);
    workspace.finetune("train").args(["--device", "gpu"]).assert().code(2).stderr(contains("cuda:N"));
    workspace.finetune("train").args(["--resume", "--overwrite"]).assert().code(2);
    workspace
        .finetune("train")
        .args(["--set", "train.stepps=3"])
        .assert()
        .code(1)
        .stderr(contains("did you mean `steps`"));
    let mut command = workspace.finetune("evaluate");
    command
        .args(["--model", "nowhere", "--pairs", "pairs/test"])
        .assert()
        .code(1)
        .stderr(contains("nowhere"));
    let mut command = workspace.finetune("evaluate");
    command.args(["--model", "wt/none", "--card"]).assert().code(1).stderr(contains("leave --card out"));
    std::fs::remove_dir_all(workspace.path("pairs/valid")).unwrap();
    workspace.finetune("train").assert().code(1).stderr(contains("valid"));
}
