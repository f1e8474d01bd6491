//! Training in several processes: on the joint batches they end with the weights of one process, to the bit.

mod helpers;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use helpers::{Workspace, language_model_recipe, state_step};

const LLAMA: &str = r#"family = "llama"
window_bytes = 128
overlap_bytes = 16
config = { hidden_size = 32, intermediate_size = 48, head_dim = 16, num_attention_heads = 2, num_key_value_heads = 1, num_hidden_layers = 2, attention_dropout = 0.1 }"#;

/// A port that was free a moment ago.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// One of `world` processes that train `recipe`.
fn process(workspace: &Workspace, rank: usize, world: usize, port: u16, arguments: &[&str]) -> Child {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("finetune"));
    command.current_dir(workspace.directory.path());
    command.args(["train", "--pairs", "pairs", "--threads", "1"]).args(arguments);
    command.env("WORLD_SIZE", world.to_string()).env("RANK", rank.to_string());
    command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The exit statuses of all processes, and what they said.
fn together(workspace: &Workspace, world: usize, arguments: &[&str]) -> (Vec<Option<i32>>, String) {
    let port = port();
    let processes: Vec<Child> =
        (0..world).map(|rank| process(workspace, rank, world, port, arguments)).collect();
    let ends: Vec<_> = processes.into_iter().map(|process| process.wait_with_output().unwrap()).collect();
    let said = ends.iter().map(|end| String::from_utf8_lossy(&end.stderr).into_owned()).collect();
    (ends.iter().map(|end| end.status.code()).collect(), said)
}

fn recipe(workspace: &Workspace, name: &str, text: &str) -> PathBuf {
    let path = workspace.path(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn processes_end_with_the_weights_of_one_on_the_joint_batches() {
    let workspace = Workspace::new();
    recipe(&workspace, "llama.toml", &language_model_recipe(LLAMA));
    for (name, overrides) in [
        (
            "recipe",
            ["train.steps=24", "train.eval_steps=12", "train.valid_pairs=8", "train.step_tokens=2500"],
        ),
        ("llama", ["train.steps=6", "train.eval_steps=3", "train.valid_pairs=2", "train.step_tokens=2500"]),
    ] {
        let file = format!("{name}.toml");
        let run = |world: usize, out: &str| {
            let mut arguments = vec!["--recipe", file.as_str(), "--out", out];
            arguments.extend(overrides.iter().flat_map(|set| ["--set", set]));
            let (statuses, said) = together(&workspace, world, &arguments);
            assert_eq!(statuses, vec![Some(0); world], "{said}");
            std::fs::read(workspace.path(out).join("model.safetensors")).unwrap()
        };
        let one = run(1, &format!("{name}-1"));
        let two = run(2, &format!("{name}-2"));
        assert!(one == two, "{name}: two processes end with other weights");
        let lines = |out: &str| {
            let figure = |line: &serde_json::Value| {
                (line["step"].clone(), line["tokens"].clone(), line["valid_cer"].clone())
            };
            helpers::log(&workspace.path(out)).iter().map(figure).collect::<Vec<_>>()
        };
        assert_eq!(lines(&format!("{name}-1")), lines(&format!("{name}-2")));
    }
}

#[test]
fn processes_stop_and_go_on_together() {
    let workspace = Workspace::new();
    let sets = ["--set", "train.eval_steps=30", "--set", "train.valid_pairs=4"];
    let arguments = |out: &'static str, more: &'static [&'static str]| {
        [&["--recipe", "recipe.toml", "--out", out], &sets[..], more].concat()
    };
    let (statuses, said) = together(&workspace, 2, &arguments("slices", &["--max-minutes", "0.003"]));
    assert_eq!(statuses, [Some(3), Some(3)], "{said}");
    assert!(state_step(&workspace.path("slices")) < 120);
    // A run goes on in as many processes as there are.
    let (statuses, said) =
        together(&workspace, 1, &arguments("slices", &["--max-minutes", "0.003", "--resume"]));
    assert_eq!(statuses, [Some(3)], "{said}");
    let (statuses, said) = together(&workspace, 2, &arguments("slices", &["--resume"]));
    assert_eq!(statuses, [Some(0), Some(0)], "{said}");
    let (statuses, said) = together(&workspace, 1, &arguments("whole", &[]));
    assert_eq!(statuses, [Some(0)], "{said}");
    let weights = |out: &str| std::fs::read(workspace.path(out).join("model.safetensors")).unwrap();
    assert!(weights("whole") == weights("slices"), "the weights differ");
}

#[test]
fn a_process_that_does_something_else_or_dies_is_told_of() {
    let workspace = Workspace::new();
    let port_number = port();
    let arguments = ["--recipe", "recipe.toml", "--out", "run"];
    let leader = process(&workspace, 0, 2, port_number, &arguments);
    let other =
        process(&workspace, 1, 2, port_number, &[&arguments[..], &["--set", "train.seed=5"]].concat());
    for end in [leader, other].map(|process| process.wait_with_output().unwrap()) {
        let said = String::from_utf8_lossy(&end.stderr);
        assert_eq!(end.status.code(), Some(1), "{said}");
        assert!(said.contains("process 1 trains something else than process 0"), "{said}");
    }
    let leader = process(&workspace, 0, 2, port_number, &arguments);
    let mut other = process(&workspace, 1, 2, port_number, &arguments);
    let state = workspace.path("run/state");
    let begun = || state.exists() && helpers::state_step_so_far(&workspace.path("run")).is_some();
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while !begun() {
        assert!(std::time::Instant::now() < deadline, "no state was saved");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    other.kill().unwrap();
    other.wait().unwrap();
    let end = leader.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&end.stderr);
    assert_eq!(end.status.code(), Some(1), "{said}");
    assert!(said.contains("the connection to process 1 is lost") && said.contains("--resume"), "{said}");
}
