//! The program, killed: nothing that it can do anything about, and yet the next run goes on.
#![cfg(unix)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use corruptor::RecordStream;
use tempfile::tempdir;

use crate::helpers::{names, texts, tree, write_texts};

const RECIPE: &str =
    "[corpus]\nwindow_bytes = 120\nvalid_share = 0.1\ntest_share = 0.1\n[corrupt]\ncopies = 3\n";

fn start(home: &Path, out: &str) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin("corruptor"))
        .args(["generate", "--recipe", "recipe.toml", "--input", "in", "--part-rows", "200", "--out", out])
        .current_dir(home)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn a_run_killed_again_and_again_ends_with_the_same_bytes() {
    let home = tempdir().unwrap();
    fs::write(home.path().join("recipe.toml"), RECIPE).unwrap();
    fs::create_dir(home.path().join("in")).unwrap();
    write_texts(&home.path().join("in/a.parquet"), &texts(3_000));
    let begun = Instant::now();
    assert!(start(home.path(), "whole").wait().unwrap().success());
    let whole = begun.elapsed();

    let mut stream = RecordStream::for_purpose(9, "kills");
    let (mut killed, mut went_on) = (0, false);
    loop {
        let mut child = start(home.path(), "pairs");
        // Anywhere, from before the first part to after the last one.
        std::thread::sleep(whole.mul_f64(stream.below(1_000) as f64 / 900.0));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        went_on |= String::from_utf8_lossy(&output.stderr).contains("going on after");
        if output.status.success() {
            break;
        }
        killed += 1;
        assert_eq!(output.status.code(), None, "{}", String::from_utf8_lossy(&output.stderr));
        assert!(killed < 200, "no end in sight");
        if killed > 12 && begun.elapsed() > Duration::from_mins(1) {
            assert!(start(home.path(), "pairs").wait().unwrap().success());
            break;
        }
    }
    if !home.path().join("pairs").exists() {
        assert!(start(home.path(), "pairs").wait().unwrap().success());
    }
    assert!(killed > 0 && went_on, "{killed} kills");
    assert_eq!(tree(&home.path().join("pairs")), tree(&home.path().join("whole")));
    assert_eq!(names(home.path()), ["in", "pairs", "recipe.toml", "whole"], "nothing is left over");
}

#[test]
fn a_signal_pauses_and_a_file_that_cannot_grow_interrupts() {
    let home = tempdir().unwrap();
    fs::write(home.path().join("recipe.toml"), RECIPE).unwrap();
    fs::create_dir(home.path().join("in")).unwrap();
    write_texts(&home.path().join("in/a.parquet"), &texts(3_000));
    assert!(start(home.path(), "whole").wait().unwrap().success());

    // What a full disk does, without one: the journal, which grows and grows, meets a limit on the size of files.
    let largest = tree(&home.path().join("whole")).into_iter().map(|(_, bytes)| bytes.len()).max().unwrap();
    let program = assert_cmd::cargo::cargo_bin("corruptor");
    let limited = format!(
        "trap '' XFSZ; ulimit -f {}; exec {} generate --recipe recipe.toml --input in --part-rows 200 --out pairs",
        largest / 512 + 2,
        program.display()
    );
    let output = Command::new("sh").args(["-c", &limited]).current_dir(home.path()).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains("cannot write .pairs.partial/")
            || message.contains("cannot write ./.pairs.partial/"),
        "{message}"
    );
    assert!(
        message.contains("finished parts are kept in") && message.contains("goes on from there"),
        "{message}"
    );
    assert!(!home.path().join("pairs").exists());

    let journal = home.path().join(".pairs.partial/journal");
    let lines = || fs::read_to_string(&journal).map_or(0, |text| text.lines().count());
    let before = lines();
    assert!(before > 1);
    let child = start(home.path(), "pairs");
    let begun = Instant::now();
    while lines() < before + 2 && begun.elapsed() < Duration::from_mins(1) {
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{message}");
    assert!(message.contains("the same command goes on from there"), "{message}");
    assert!(start(home.path(), "pairs").wait().unwrap().success());
    assert_eq!(tree(&home.path().join("pairs")), tree(&home.path().join("whole")));
}
