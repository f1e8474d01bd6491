//! Runs that were stopped go on where they stopped, and end with the same bytes.

use std::collections::HashMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use corruptor::atomic::Existing;
use corruptor::generate::{GenerateOptions, GenerateSummary, generate};
use corruptor::{IoError, Split};
use tempfile::tempdir;

use crate::helpers::{names, run, settings, texts, tree, write_texts};

fn options(home: &Path, out: &str) -> GenerateOptions {
    let inputs = vec![home.join("in.jsonl")];
    GenerateOptions { part_rows: 100, threads: Some(2), ..GenerateOptions::new(inputs, home.join(out)) }
}

/// Runs until at least `rows` pairs are made, and stops there.
fn stopped_after(rows: u64, options: &GenerateOptions) -> Result<GenerateSummary, IoError> {
    let (corpus, corrupt) = settings();
    generate(&corpus, &corrupt, options, &mut |progress| {
        if progress.records >= rows { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}

/// What tells whether a file has been written again.
fn stamps(directory: &Path) -> HashMap<PathBuf, (u64, SystemTime)> {
    use std::os::unix::fs::MetadataExt as _;
    let entries = walkdir::WalkDir::new(directory).into_iter().map(Result::unwrap);
    let parts = entries.filter(|entry| entry.path().extension().is_some_and(|e| e == "parquet"));
    let stamp = |path: &Path| {
        let metadata = path.metadata().unwrap();
        (metadata.ino(), metadata.modified().unwrap())
    };
    parts.map(|e| (e.path().strip_prefix(directory).unwrap().to_path_buf(), stamp(e.path()))).collect()
}

#[test]
fn stopped_runs_go_on_and_end_with_the_same_bytes() {
    let home = tempdir().unwrap();
    write_texts(&home.path().join("in.jsonl"), &texts(300));
    let summary = run(&options(home.path(), "whole")).unwrap();
    let options = options(home.path(), "stopped");
    let partial = home.path().join(".stopped.partial");
    let mut kept: HashMap<PathBuf, (u64, SystemTime)> = HashMap::new();
    let mut pauses = 0;
    let found = loop {
        // Each run gets a little farther than the one before.
        match stopped_after(500, &options) {
            Err(IoError::Paused { partial: found, parts }) => {
                assert_eq!(found, partial);
                let now = stamps(&partial.join("out"));
                assert_eq!(now.len(), parts, "half a part is none");
                for (path, stamp) in &kept {
                    assert_eq!(now.get(path), Some(stamp), "{} was made again", path.display());
                }
                assert!(parts > kept.len() && !options.out.exists());
                kept = now;
                pauses += 1;
            }
            done => break done.unwrap(),
        }
    };
    assert!(pauses > 3, "{pauses}");
    assert_eq!(found, summary);
    assert_eq!(tree(&options.out), tree(&home.path().join("whole")));
    let now = stamps(&options.out);
    assert!(kept.iter().all(|(path, stamp)| now.get(path) == Some(stamp)), "finished parts are not redone");
    assert_eq!(names(home.path()), ["in.jsonl", "stopped", "whole"]);
}

#[test]
fn what_was_begun_with_something_else_is_refused_and_named() {
    let home = tempdir().unwrap();
    let input = write_texts(&home.path().join("in.jsonl"), &texts(300));
    run(&options(home.path(), "whole")).unwrap();
    let stopped = options(home.path(), "pairs");
    let pause = || assert!(matches!(stopped_after(600, &stopped), Err(IoError::Paused { .. })));
    pause();
    let (corpus, mut corrupt) = settings();
    corrupt.seed += 1;
    let other = |options: &GenerateOptions| {
        generate(&corpus, &corrupt, options, &mut corruptor::progress::unobserved)
    };
    let message = other(&stopped).unwrap_err().to_string();
    assert!(message.contains(".pairs.partial") && message.contains("another recipe"), "{message}");
    let message = run(&GenerateOptions { part_rows: 50, ..stopped.clone() }).unwrap_err().to_string();
    assert!(message.contains("other options"), "{message}");
    let longer = write_texts(&home.path().join("in.jsonl"), &texts(301));
    let message = run(&stopped).unwrap_err().to_string();
    assert!(message.contains("another input"), "{message}");
    // Of the same size, but with other texts.
    write_texts(&longer, &texts(300));
    let same_size = fs::read_to_string(&input).unwrap().replacen("Document 1.", "Document I.", 1);
    fs::write(&input, same_size).unwrap();
    let message = run(&stopped).unwrap_err().to_string();
    assert!(message.contains("not those that its finished parts were made from"), "{message}");
    write_texts(&longer, &texts(300));
    run(&stopped).unwrap();
    assert_eq!(tree(&stopped.out), tree(&home.path().join("whole")), "after all that, the first one goes on");

    fs::remove_dir_all(&stopped.out).unwrap();
    pause();
    other(&GenerateOptions { existing: Existing::Replace, ..stopped.clone() }).unwrap();
    assert_ne!(tree(&stopped.out), tree(&home.path().join("whole")));
    assert_eq!(names(home.path()), ["in.jsonl", "pairs", "whole"]);
}

#[test]
fn parts_that_were_touched_are_made_again() {
    let home = tempdir().unwrap();
    write_texts(&home.path().join("in.jsonl"), &texts(300));
    let summary = run(&options(home.path(), "whole")).unwrap();
    let stopped = options(home.path(), "pairs");
    assert!(matches!(stopped_after(900, &stopped), Err(IoError::Paused { .. })));
    let parts = home.path().join(".pairs.partial/out/train");
    let part = |number| parts.join(format!("part-0000{number}.parquet"));
    let bytes = fs::read(part(1)).unwrap();
    fs::write(part(1), &bytes[..bytes.len() / 2]).unwrap();
    fs::write(part(9), b"half").unwrap();
    assert_eq!(run(&stopped).unwrap(), summary);
    assert_eq!(tree(&stopped.out), tree(&home.path().join("whole")));
}

#[test]
fn two_runs_at_once_are_one_too_many() {
    let home = tempdir().unwrap();
    write_texts(&home.path().join("in.jsonl"), &texts(300));
    let options = options(home.path(), "pairs");
    let mut refused = false;
    let (corpus, corrupt) = settings();
    let made = generate(&corpus, &corrupt, &options, &mut |_| {
        refused |= matches!(run(&options), Err(IoError::Busy { .. }));
        ControlFlow::Continue(())
    });
    assert!(refused);
    assert_eq!(made.unwrap().splits.len(), Split::ALL.len());
    assert_eq!(names(home.path()), ["in.jsonl", "pairs"]);
}
