//! The checker finds what was tampered with.

use std::path::{Path, PathBuf};

use corruptor::generate::GenerateOptions;
use corruptor::inspect::{InspectOptions, Inspection, html_report, inspect};
use corruptor::pairs::{PairMetadata, PairWriter};
use corruptor::progress::unobserved;
use corruptor::{Op, Pair};
use tempfile::{TempDir, tempdir};

use crate::helpers::{pairs_of, run, settings, texts, write_texts};

fn generated() -> (TempDir, PathBuf) {
    let home = tempdir().unwrap();
    let input = write_texts(&home.path().join("in.jsonl"), &texts(60));
    let out = home.path().join("pairs");
    run(&GenerateOptions::new(vec![input], &out)).unwrap();
    (home, out)
}

fn inspected(path: &Path) -> Inspection {
    inspect(path, &InspectOptions::default(), &mut unobserved).unwrap()
}

fn write(directory: &Path, pairs: Vec<Pair>) {
    let (corpus, corrupt) = settings();
    let metadata = PairMetadata::of(&corpus, &corrupt).unwrap();
    let mut writer = PairWriter::create(directory, &metadata).unwrap();
    pairs.into_iter().try_for_each(|pair| writer.write(pair)).unwrap();
    writer.finish().unwrap();
}

#[test]
fn generated_pairs_hold_and_are_counted() {
    let (_home, out) = generated();
    let inspection = inspected(&out);
    assert_eq!((inspection.bad_rows, inspection.findings.len()), (0, 0));
    let pairs = pairs_of(&out);
    let splits: Vec<_> = inspection.splits.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(splits, ["train", "valid", "test"]);
    let total = |of: fn(&corruptor::inspect::SplitStatistics) -> u64| {
        inspection.splits.iter().map(|(_, s)| of(s)).sum::<u64>()
    };
    assert_eq!(total(|s| s.rows), pairs.len() as u64);
    assert_eq!(total(|s| s.documents), 60);
    let logged = pairs.iter().flat_map(|p| &p.events).filter(|e| e.op == Op::Deletion).count() as u64;
    assert_eq!(total(|s| s.events[&Op::Deletion.into()].events), logged);
    let clean = pairs.iter().filter(|p| p.noise == Some(0.0)).count() as u64;
    assert_eq!(total(|s| s.levels[&0].rows), clean);

    let metrics = inspection.metrics();
    assert_eq!(metrics["train"]["rows"], inspection.splits[0].1.rows);
    assert!(
        metrics["test"]["levels"]["2"]["cer"].as_f64().unwrap()
            > metrics["test"]["levels"]["0.5"]["cer"].as_f64().unwrap()
    );
    assert!(metrics["valid"]["events"]["reversal"]["mean_span"].as_f64().unwrap() >= 2.0);
    let report = html_report(&inspection);
    assert!(report.contains("<h2>valid</h2>") && report.contains("<del>") && !report.contains("http"));
}

#[test]
fn one_split_or_file_can_be_inspected() {
    let (_home, out) = generated();
    let split = inspected(&out.join("test"));
    let file = inspected(&out.join("test/part-00000.parquet"));
    assert_eq!(split.splits[0].0, "pairs");
    assert_eq!(split.metrics(), file.metrics());
}

#[test]
fn every_broken_rule_is_found() {
    let (home, out) = generated();
    let pairs: Vec<_> = pairs_of(&out).into_iter().filter(|pair| !pair.events.is_empty()).take(7).collect();
    let mut bad = pairs.clone();
    bad[0].id ^= 1;
    bad[1].corrupted.push('x');
    bad[2].events[0].removed.push('~');
    bad[3].cer += 0.01;
    bad[4].cer = f32::NAN;
    bad[5].start += 1;
    write(&home.path().join("bad"), bad);
    let inspection = inspected(&home.path().join("bad"));
    let found: Vec<_> = inspection.findings.iter().map(|f| (f.row, f.message.clone())).collect();
    let parts = [
        "the id is not",
        "another text than `corrupted`",
        "do not replay",
        "cer is",
        "cer is NaN",
        "the id is not",
    ];
    assert_eq!(inspection.bad_rows, 6, "{found:?}");
    for (row, part) in (0..).zip(parts) {
        assert!(
            found.iter().any(|(r, message)| *r == row && message.contains(part)),
            "{row} {part}: {found:?}"
        );
    }
    assert_eq!(inspection.findings[0].id, pairs[0].id ^ 1);
    let few = InspectOptions { findings_kept: 2, ..InspectOptions::default() };
    let inspection = inspect(&home.path().join("bad"), &few, &mut unobserved).unwrap();
    assert_eq!((inspection.bad_rows, inspection.findings.len()), (6, 2));
}

#[test]
fn a_document_in_two_splits_is_found() {
    let (home, out) = generated();
    let pairs = pairs_of(&out);
    let set = home.path().join("crossed");
    let (same, other): (Vec<_>, Vec<_>) = pairs.into_iter().partition(|pair| pair.doc_id.as_str() < "8");
    let leaked = same[0].clone();
    write(&set.join("train"), same);
    write(&set.join("test"), other.into_iter().chain([leaked.clone()]).collect());
    let inspection = inspected(&set);
    assert_eq!(inspection.bad_rows, 1);
    assert!(inspection.findings[0].message.contains("another split"));
    assert_eq!(inspection.findings[0].id, leaked.id);
}
