//! `serve batch`: what it refuses, and that nothing is left behind then.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use arrow::array::{ArrayRef, Int64Array, StringArray};
use predicates::{prelude::*, str::contains};
use tempfile::{TempDir, tempdir};

use crate::{
    checkpoint,
    command_line::serve_with_model,
    parquet_files::{table, write},
    server::SERVE,
};

/// A directory with `in.parquet`: the columns `id` (int64), `body` and `error` (string).
fn home() -> (TempDir, PathBuf, PathBuf) {
    let home = tempdir().unwrap();
    let (input, output) = (home.path().join("in.parquet"), home.path().join("out.parquet"));
    let id: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
    let body: ArrayRef = Arc::new(StringArray::from(vec!["one", "two"]));
    write(&input, &table(vec![("id", id), ("body", Arc::clone(&body)), ("error", body)]), 10);
    (home, input, output)
}

fn only_file(home: &TempDir) -> PathBuf {
    let mut entries = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path());
    let file = entries.next().unwrap();
    assert_eq!(entries.next(), None);
    file
}

#[test]
fn columns_that_do_not_fit_are_named_with_those_there_are() {
    let (home, input, output) = home();
    for (args, status, words) in [
        (&[][..], 1, "no column `corrupted`; its columns are `id`, `body` and `error`"),
        (&["--column", "id"], 1, "Int64, not string; its string columns are `body` and `error`"),
        (&["--column", "body"], 2, "already has the column `error`"),
    ] {
        let job = serve_with_model("batch").args([&input, &output]).args(args).assert();
        job.code(status).stdout("").stderr(contains(words).and(contains("hint:")));
        assert_eq!(only_file(&home), input);
    }
}

#[test]
fn a_truncated_or_damaged_file_is_refused_and_leaves_nothing() {
    let (home, input, output) = home();
    let whole = std::fs::read(&input).unwrap();
    let mut scrambled = whole.clone();
    for byte in &mut scrambled[4..60] {
        *byte ^= 0x55;
    }
    for bytes in [&whole[..whole.len() - 20], &whole[..10], &[], b"PAR1 or not", &scrambled] {
        std::fs::write(&input, bytes).unwrap();
        let mut job = serve_with_model("batch");
        let job = job.args([&input, &output]).args(["--column", "body", "--overwrite-columns"]).assert();
        let job = job.code(1).stdout("");
        job.stderr(contains("in.parquet is not a whole Parquet file").and(contains("hint:")));
        assert_eq!(only_file(&home), input);
    }
}

#[test]
fn an_existing_output_survives_a_failure() {
    let (_home, input, output) = home();
    std::fs::write(&output, "precious").unwrap();
    serve_with_model("batch").args([&input, &output]).assert().code(1);
    assert_eq!(std::fs::read(&output).unwrap(), b"precious");
}

#[test]
fn paths_that_do_not_fit_are_named() {
    let (home, input, output) = home();
    let text = home.path().join("in.csv");
    std::fs::write(&text, "body\none\n").unwrap();
    let empty = home.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let nowhere = Path::new("/nowhere/in.parquet");
    for (from, to, status, words) in [
        (text.as_path(), output.as_path(), 2, "are of two formats"),
        (&input, &text, 2, "are of two formats"),
        (&input, Path::new("out.txt"), 2, "out.txt does not end in .parquet, .csv"),
        (&input, &empty, 2, "is a directory"),
        (&empty, &input, 2, "is a directory"),
        (&empty, &output, 1, "holds no .parquet, .csv, .tsv, .jsonl or .ndjson file"),
        (nowhere, &output, 1, "/nowhere/in.parquet"),
        (&input, nowhere, 1, "/nowhere/in.parquet"),
    ] {
        let job = serve_with_model("batch")
            .args([from, to])
            .args(["--column", "body", "--overwrite-columns"])
            .assert();
        job.code(status).stderr(contains(words));
        assert!(!output.exists());
    }
}

#[test]
fn a_signal_stops_it_and_leaves_nothing() {
    let home = tempdir().unwrap();
    let (input, output) = (home.path().join("in.parquet"), home.path().join("out.parquet"));
    let long: ArrayRef = Arc::new(StringArray::from(vec!["no end in sight ".repeat(200); 2000]));
    write(&input, &table(vec![("corrupted", long)]), 100);
    let child = Command::new(SERVE)
        .arg("batch")
        .args([&input, &output])
        .arg("--model")
        .arg(checkpoint::directory())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    // The temporary file shows that the work has begun.
    while std::fs::read_dir(home.path()).unwrap().count() < 2 {
        assert!(start.elapsed() < Duration::from_mins(1));
        std::thread::sleep(Duration::from_millis(5));
    }
    let kill = format!("kill -TERM {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let end = child.wait_with_output().unwrap();
    let message = String::from_utf8(end.stderr).unwrap();
    assert_eq!(end.status.code(), Some(1), "{message}");
    assert!(message.contains("stopped"), "{message}");
    assert_eq!(only_file(&home), input);
}
