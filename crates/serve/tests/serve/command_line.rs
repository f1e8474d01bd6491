//! `serve restore`, flags, environment, exit status.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use predicates::{prelude::*, str::contains};
use restorer::RestoreOptions;
use serde_json::Value;

use crate::{
    checkpoint::{assert_same_edits, directory, restored},
    server::SERVE,
};

const TEXT: &str = "four score and sevn years ago our fathers brought forth upon this continent a new nation";

/// The program without the environment of whoever runs the tests.
pub(crate) fn serve() -> Command {
    let mut command = Command::new(SERVE);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("REVERTANT_")) {
        command.env_remove(name);
    }
    command
}

/// The program with the tiny checkpoint.
pub(crate) fn serve_with_model(command: &str) -> Command {
    let mut serve = serve();
    serve.arg(command).arg("--model").arg(directory());
    serve
}

#[test]
fn a_text_is_printed_restored() {
    let expected = restored(TEXT, RestoreOptions::default()).text;
    serve_with_model("restore").arg(TEXT).assert().success().stdout(format!("{expected}\n"));
    for stdin in [&["-"][..], &[]] {
        // What comes as bytes goes as bytes: no newline is added.
        serve_with_model("restore").args(stdin).write_stdin(TEXT).assert().success().stdout(expected.clone());
    }
    let of_nothing = restored("", RestoreOptions::default()).text;
    serve_with_model("restore").write_stdin("").assert().success().stdout(of_nothing);
    serve_with_model("restore")
        .args(["--min-confidence", "1", "--", TEXT])
        .assert()
        .success()
        .stdout(format!("{TEXT}\n"));
}

#[test]
fn json_has_the_edits_and_the_confidence() {
    let output =
        serve_with_model("restore").args(["--json", TEXT]).assert().success().get_output().stdout.clone();
    let answer: Value = serde_json::from_slice(&output).unwrap();
    let expected = restored(TEXT, RestoreOptions::default());
    assert_eq!(answer["text"], expected.text);
    let edits: Vec<corruptor::Edit> = serde_json::from_value(answer["edits"].clone()).unwrap();
    assert!(!edits.is_empty());
    assert_same_edits(&edits, &expected.edits);
    assert!(answer["confidence"].is_number());
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let refused = serve_with_model("restore").write_stdin(&b"ok \xff"[..]).assert().code(1);
    refused.stdout("").stderr(contains("byte 3").and(contains("hint:")));
}

#[test]
fn wrong_use_has_status_2() {
    for (args, words) in [
        (&["restore", "--min-confidence", "1.5", "a"][..], "from 0 to 1"),
        (&["restore", "--max-rounds", "0", "a"], "from 1 to 16"),
        (&["restore", "--device", "tpu", "a"], "cuda"),
        (&["restore", "--threads", "0", "a"], "from 1"),
        (&["http", "--listen", "8080"], "127.0.0.1:8080"),
        (&["http", "--queue-texts", "none"], "from 1"),
        (&["restore", "--model", "/nowhere", "a"], "/nowhere"),
        (&["restore", "--log", "serve=loud", "a"], "serve=loud"),
        (&["restor"], "restore"),
        (&[], "Usage"),
    ] {
        serve().args(args).assert().code(2).stderr(contains(words));
    }
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_default() {
    let expected = restored(TEXT, RestoreOptions::default()).text;
    serve()
        .args(["restore", TEXT])
        .env("REVERTANT_MODEL", directory())
        .assert()
        .success()
        .stdout(format!("{expected}\n"));
    serve()
        .args(["restore", TEXT])
        .env("REVERTANT_MODEL", "/nowhere")
        .assert()
        .code(2)
        .stderr(contains("/nowhere"));
    serve_with_model("restore").arg(TEXT).env("REVERTANT_MODEL", "/nowhere").assert().success();
    serve_with_model("restore")
        .arg(TEXT)
        .env("REVERTANT_MIN_CONFIDENCE", "1")
        .assert()
        .success()
        .stdout(format!("{TEXT}\n"));
}

#[test]
fn without_a_model_the_built_in_one_is_used_or_asked_for() {
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/default/config.json").exists();
    let assert = serve().args(["restore", TEXT]).assert();
    if cfg!(feature = "builtin-model") && built_in {
        assert.success().stdout(contains("years ago"));
    } else {
        assert.code(2).stdout("").stderr(contains("no built-in model").and(contains("--model")));
    }
}

/// A copy of the checkpoint, to be damaged.
fn damaged(name: &str, damage: impl FnOnce(&Path)) -> PathBuf {
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&copy).unwrap();
    for entry in std::fs::read_dir(directory()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    damage(&copy);
    copy
}

#[test]
fn a_damaged_checkpoint_fails_with_its_file_in_the_message() {
    let cut = damaged("serve-cut-weights", |path| {
        let weights = path.join("model.safetensors");
        let bytes = std::fs::read(&weights).unwrap();
        std::fs::write(&weights, &bytes[..bytes.len() / 2]).unwrap();
    });
    let without = damaged("serve-no-config", |path| std::fs::remove_file(path.join("config.json")).unwrap());
    for (path, words) in [(cut, "model.safetensors"), (without, "config.json")] {
        for command in [&["restore", "a"][..], &["http", "--listen", "127.0.0.1:0"]] {
            serve().args(command).arg("--model").arg(&path).assert().code(1).stderr(contains(words));
        }
    }
}

#[cfg(feature = "hub")]
#[test]
fn a_model_is_named_by_its_hub_id() {
    use crate::stand_in::StandIn;

    let (models, cache) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let folder = models.path().join("wt/tiny/main");
    std::fs::create_dir_all(&folder).unwrap();
    for entry in std::fs::read_dir(directory()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    let hub =
        StandIn::start(include_str!("../../../restorer/tests/fixtures/hub_stand_in.py"), &[models.path()]);
    let restore = |model: &str| {
        let mut command = serve();
        command.args(["restore", "--model", model, TEXT]).env_remove("HF_HUB_CACHE");
        command.env("HF_ENDPOINT", hub.url("")).env("HF_HOME", cache.path()).assert()
    };
    let expected = restored(TEXT, RestoreOptions::default()).text;
    restore("wt/tiny").success().stdout(format!("{expected}\n"));
    restore("wt/none").code(1).stderr(contains("wt/none").and(contains("HF_TOKEN")));
    assert!(hub.requests().iter().any(|line| line.contains("/wt/tiny/resolve/main/config.json")));
}

#[test]
fn help_shows_defaults_and_environment() {
    let help = serve().args(["http", "--help"]).assert().success().get_output().stdout.clone();
    let help = String::from_utf8(help).unwrap();
    for words in ["127.0.0.1:8080", "REVERTANT_LISTEN", "--drain-seconds", "--queue-tokens", "--device"] {
        assert!(help.contains(words), "{words}");
    }
}
