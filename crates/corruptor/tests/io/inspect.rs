//! The checker finds what was tampered with.

use std::path::{Path, PathBuf};

use corruptor::generate::GenerateOptions;
use corruptor::inspect::{InspectOptions, Inspection, html_report, inspect};
use corruptor::pairs::{PairMetadata, PairWriter};
use corruptor::progress::unobserved;
use corruptor::{Event, EventOp, Op, Pair, Passage, align, cer, pair_id};
use tempfile::{TempDir, tempdir};

use crate::helpers::{pairs_of, run, settings, texts, write_parquet, write_texts};

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
    let pairs: Vec<_> = pairs_of(&out).into_iter().filter(|pair| !pair.events.is_empty()).take(10).collect();
    let mut bad = pairs.clone();
    bad[0].id ^= 1;
    bad[1].corrupted.push('x');
    bad[2].events[0].removed.push('~');
    bad[3].cer += 0.01;
    bad[4].cer = f32::NAN;
    bad[5].start += 1;
    bad[6].noise = Some(0.75);
    bad[7].noise = None;
    bad[8].events[0].op = EventOp::Edit;
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
        "0.75 is no noise level of its file's recipe, which has 0, 0.5, 1, 2",
        "it has no noise level, but its file has a recipe",
        "event 0 is an edit, but the row states noise level",
    ];
    assert_eq!(inspection.bad_rows, 9, "{found:?}");
    for (row, part) in (0..).zip(parts) {
        assert!(
            found.iter().any(|(r, message)| *r == row && message.contains(part)),
            "{row} {part}: {found:?}"
        );
    }
    assert_eq!(inspection.findings[0].id, pairs[0].id ^ 1);
    let few = InspectOptions { findings_kept: 2, ..InspectOptions::default() };
    let inspection = inspect(&home.path().join("bad"), &few, &mut unobserved).unwrap();
    assert_eq!((inspection.bad_rows, inspection.findings.len()), (9, 2));
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

fn real(doc_id: &str, original: &str, corrupted: &str) -> Pair {
    Pair {
        id: pair_id(&Passage { source: "real", doc_id, start: 0, text: original }, 0),
        doc_id: doc_id.to_owned(),
        source: "real".to_owned(),
        start: 0,
        copy: 0,
        noise: None,
        original: original.to_owned(),
        corrupted: corrupted.to_owned(),
        events: align(original, corrupted),
        cer: cer(original, corrupted),
    }
}

fn write_real(directory: &Path, pairs: &[Pair]) {
    let mut writer = PairWriter::create(directory, &PairMetadata::imported("{}".to_owned())).unwrap();
    pairs.iter().cloned().try_for_each(|pair| writer.write(pair)).unwrap();
    writer.finish().unwrap();
}

#[test]
fn a_real_text_in_two_splits_is_found() {
    let home = tempdir().unwrap();
    write_real(&home.path().join("train"), &[real("a", "one", "0ne"), real("b", "two", "two")]);
    write_real(&home.path().join("test"), &[real("c", "one", "one"), real("d", "four", "fo ur")]);
    let inspection = inspected(home.path());
    assert_eq!(inspection.bad_rows, 1);
    assert!(inspection.findings[0].message.contains("its original stands in another split"));
    let metrics = inspection.metrics();
    assert_eq!(metrics["train"]["real"]["rows"], 2);
    assert_eq!(metrics["test"]["events"]["edit"]["events"], 1);
}

/// Markup, control characters and directions in the texts must not reach the page as such; long texts are shortened.
#[test]
fn the_report_shows_any_text_and_runs_nothing() {
    let home = tempdir().unwrap();
    let long = format!("{}end", "all work and no play ".repeat(400));
    let hostile = "</p><script>alert('x')</script> & <b>bold</b>\u{202e}\0";
    write_real(
        &home.path().join("test"),
        &[
            real("<script>1</script>", hostile, &hostile.replace("alert", "a\tlert")),
            real("long", &long, &long.replacen("play end", "pay\nend", 1)),
            real("rtl", "שלום עולם", "שלם עולם"),
            real("mark", "cafe\u{301}", "cafe"),
            real("unfit", "abc", "abc"),
        ],
    );
    let inspection = inspected(home.path());
    assert_eq!(inspection.bad_rows, 0, "{:?}", inspection.findings);
    let page = html_report(&inspection);
    assert!(!page.contains("<script") && !page.contains("http") && !page.contains("<b>bold"));
    assert!(!page.contains('\u{202e}') && page.contains("<span class=\"mark\">U+202E</span>"));
    assert!(!page.contains('\0') && page.contains("<span class=\"mark\">NUL</span>"));
    assert!(page.contains("<ins class=\"edit\" title=\"edit, bytes 13 to 13, 1 grapheme: “” becomes “→”\">"));
    assert!(page.len() < 40_000, "{} bytes", page.len());
    assert!(page.contains("bytes …]") && page.contains("dir=\"auto\"") && page.contains("עולם"), "{page}");
    assert!(page.contains("Imported from"));
    for tag in ["<p", "<table", "<figure", "<svg", "<section", "<article", "<ul"] {
        let closing = tag.replace('<', "</");
        let opened = page.matches(&format!("{tag}>")).count() + page.matches(&format!("{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("{closing}>")).count(), "{tag}");
    }
}

#[test]
fn the_report_of_generated_pairs_has_laws_sources_and_licences() {
    let (home, out) = generated();
    let corpus = home.path().join("corpus.parquet");
    let some = |text: &str| vec![Some(text.to_owned())];
    write_parquet(&corpus, &[("source", some("input")), ("licence", some("CC0-1.0")), ("text", some("x"))]);
    let options = InspectOptions { corpus: Some(corpus), ..InspectOptions::default() };
    let inspection = inspect(&out, &options, &mut unobserved).unwrap();
    let page = html_report(&inspection);
    for part in
        ["CC0-1.0", "class=\"law\"", "Spans of reversals", "Error rate of rows", "0 (clean)", "seed 5"]
    {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("<article>").count(), 36);
    assert_eq!(html_report(&inspect(&out, &options, &mut unobserved).unwrap()), page);
    let deletions = inspection.splits[0].1.events[&Op::Deletion.into()].events;
    assert!(page.contains(&format!("<td>{deletions}</td>")));
}

/// Rows whose events do not fit are shown as they are, not left out.
#[test]
fn a_log_that_does_not_fit_is_shown_without_edits() {
    let home = tempdir().unwrap();
    let event = Event {
        op: EventOp::Edit,
        start: 90,
        length: 1,
        removed: "x".to_owned(),
        replacement: "y".to_owned(),
    };
    let bad = Pair { events: vec![event], ..real("d", "abc", "abd") };
    write_real(&home.path().join("test"), &[bad]);
    let inspection = inspected(home.path());
    assert_eq!(inspection.bad_rows, 1);
    let page = html_report(&inspection);
    assert!(
        page.contains("1 bad row")
            && page.contains("The events do not fit the original")
            && page.contains("abd")
    );
}
