//! The program: arguments, streams, exit status.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use corruptor::{Event, replay};
use predicates::prelude::*;
use tempfile::tempdir;

use crate::helpers::{names, texts, tree, write_texts};

const RECIPE: &str = "[corpus]\nwindow_bytes = 120\nvalid_share = 0.2\ntest_share = 0.3\n\
    [[corpus.sources]]\nkind = 'path'\nname = 'local'\npath = 'in'\nlicence = 'CC0-1.0'\n\
    [corrupt]\nseed = 3\ncopies = 2\n";

fn corruptor(home: &Path) -> Command {
    let mut command = Command::cargo_bin("corruptor").unwrap();
    command.current_dir(home).env_remove("REVERTANT_RECIPE").env_remove("REVERTANT_SEED");
    command
}

/// A directory with a recipe and its corpus.
fn home() -> tempfile::TempDir {
    let home = tempdir().unwrap();
    fs::write(home.path().join("recipe.toml"), RECIPE).unwrap();
    fs::create_dir(home.path().join("in")).unwrap();
    write_texts(&home.path().join("in/a.jsonl.gz"), &texts(80));
    home
}

#[test]
fn corpus_generate_inspect() {
    let home = home();
    let corpus =
        corruptor(home.path()).args(["corpus", "--recipe", "recipe.toml", "--out", "data/corpus"]).assert();
    corpus.success().stdout(predicate::str::contains("local: 80 documents"));
    let generate = ["generate", "--recipe", "recipe.toml", "--input", "data/corpus", "--out"];
    let assert = corruptor(home.path()).args(generate).args(["data/pairs", "--threads", "2"]).assert();
    assert
        .success()
        .stdout(predicate::str::contains("train: ").and(predicate::str::contains("nothing skipped")));
    let inspect = ["inspect", "data/pairs", "--metrics", "metrics/data.json", "--report", "report.html"];
    corruptor(home.path())
        .args(inspect)
        .assert()
        .success()
        .stdout(predicate::str::contains("every row holds"));
    let metrics = fs::read_to_string(home.path().join("metrics/data.json")).unwrap();
    let metrics: serde_json::Value = serde_json::from_str(&metrics).unwrap();
    assert!(metrics["train"]["rows"].as_u64().unwrap() > 100);
    assert!(fs::read_to_string(home.path().join("report.html")).unwrap().starts_with("<!doctype html>"));
    assert_eq!(names(&home.path().join("data")), ["corpus", "pairs"], "nothing half-written");

    let again = corruptor(home.path()).args(generate).arg("data/pairs").assert();
    again.code(1).stderr(predicate::str::contains("exists already").and(predicate::str::contains("--force")));
    let before = tree(&home.path().join("data/pairs"));
    corruptor(home.path()).args(generate).args(["data/pairs", "--force"]).assert().success();
    assert_eq!(tree(&home.path().join("data/pairs")), before);
    corruptor(home.path()).args(generate).args(["other", "--set", "corrupt.seed=4"]).assert().success();
    assert_ne!(tree(&home.path().join("other")), before);
}

#[test]
fn bad_pairs_end_with_status_1_and_are_named() {
    let home = home();
    let generate = ["generate", "--recipe", "recipe.toml", "--input", "in", "--out", "pairs"];
    corruptor(home.path()).args(generate).assert().success();
    let pairs = home.path().join("pairs");
    fs::rename(pairs.join("test/part-00000.parquet"), pairs.join("test/part-00001.parquet")).unwrap();
    fs::copy(pairs.join("train/part-00000.parquet"), pairs.join("test/part-00000.parquet")).unwrap();
    let assert = corruptor(home.path()).args(["inspect", "pairs"]).assert();
    let row = predicate::str::contains("pairs/test/part-00000.parquet, row 0, id ");
    assert.code(1).stderr(row.and(predicate::str::contains("another split")));
}

#[test]
fn apply_is_reproducible_and_logs_exactly() {
    let home = tempdir().unwrap();
    let text = "The state of the Union depends on the people.";
    let apply = |arguments: &[&str]| {
        let output =
            corruptor(home.path()).arg("apply").args(arguments).assert().success().get_output().clone();
        String::from_utf8(output.stdout).unwrap()
    };
    let corrupted = apply(&[text, "--rate", "0.3", "--seed", "7"]);
    assert_eq!(apply(&["--rate", "0.3", text, "--seed", "7"]), corrupted);
    assert_ne!(apply(&[text, "--rate", "0.3", "--seed", "8"]), corrupted);
    assert_ne!(corrupted.trim_end(), text);
    let object: serde_json::Value =
        serde_json::from_str(&apply(&[text, "--rate", "0.3", "--seed", "7", "--events"])).unwrap();
    let events: Vec<Event> = serde_json::from_value(object["events"].clone()).unwrap();
    assert_eq!(object["corrupted"], corrupted.trim_end_matches('\n'));
    assert_eq!(replay(text, &events).unwrap(), corrupted.trim_end_matches('\n'));
    assert_eq!(apply(&[text, "--rate", "0"]), format!("{text}\n"));
    assert_eq!(apply(&["", "--rate", "0"]), "\n");
}

#[test]
fn apply_keeps_the_bytes_of_standard_input() {
    let home = tempdir().unwrap();
    let piped = "no line end\r\n\n at the end";
    let assert = corruptor(home.path()).args(["apply", "--rate", "0"]).write_stdin(piped).assert();
    assert.success().stdout(piped);
    let assert = corruptor(home.path()).args(["apply", "-"]).write_stdin(b"ab\xff".as_slice()).assert();
    assert.code(1).stderr(predicate::str::contains("not UTF-8 from byte 2 on"));
}

#[test]
fn the_environment_gives_way_to_flags() {
    let home = tempdir().unwrap();
    let run = |seed: &str, flags: &[&str]| {
        let mut command = corruptor(home.path());
        command.args(["apply", "a text to be corrupted", "--rate", "0.5"]).args(flags);
        command.env("REVERTANT_SEED", seed).assert().success().get_output().stdout.clone()
    };
    assert_eq!(run("1", &[]), run("2", &["--seed", "1"]));
    assert_ne!(run("1", &[]), run("2", &[]));
}

#[test]
fn wrong_use_ends_with_status_2_and_bad_recipes_with_1() {
    let home = home();
    corruptor(home.path()).arg("generate").assert().code(2);
    corruptor(home.path()).args(["apply", "x", "--rate", "much"]).assert().code(2);
    let assert = corruptor(home.path()).args(["apply", "x", "--rate", "1.5"]).assert();
    assert.code(2).stderr(predicate::str::contains("1.5 is no probability"));
    fs::write(home.path().join("recipe.toml"), RECIPE.replace("copies", "copys")).unwrap();
    let assert = corruptor(home.path())
        .args(["generate", "--recipe", "recipe.toml", "--input", "in", "--out", "p"])
        .assert();
    assert.code(1).stderr(predicate::str::contains("did you mean `copies`?"));
    assert_eq!(names(home.path()), ["in", "recipe.toml"]);
}

#[cfg(unix)]
#[test]
fn a_signal_leaves_nothing_behind() {
    use std::io::Write as _;
    use std::process::{Command as Process, Stdio};
    let home = home();
    let pipe = home.path().join("endless.jsonl");
    assert!(Process::new("mkfifo").arg(&pipe).status().unwrap().success());
    let child = Process::new(assert_cmd::cargo::cargo_bin("corruptor"))
        .args(["generate", "--recipe", "recipe.toml", "--out", "pairs", "--input", "endless.jsonl"])
        .current_dir(home.path())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Opening blocks until the program reads, so its signals are caught by then.
    let mut input = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    writeln!(input, "{}", serde_json::json!({ "text": texts(1)[0] })).unwrap();
    assert!(Process::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("stopped; nothing was written"));
    assert_eq!(names(home.path()), ["endless.jsonl", "in", "recipe.toml"]);
}
