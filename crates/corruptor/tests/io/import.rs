//! Real pairs from lines, CSV, JSON lines and Parquet.

use std::fs;
use std::path::{Path, PathBuf};

use assert_cmd::Command;
use corruptor::documents::{DocumentOptions, SkipReason};
use corruptor::import::{ImportOptions, ImportSplit, ImportSummary, Texts, import};
use corruptor::inspect::{InspectOptions, inspect};
use corruptor::pairs::{PairMetadata, read_pairs};
use corruptor::progress::unobserved;
use corruptor::{Channel, CorruptSettings, IoError, Pair, Passage, Split, replay};
use tempfile::tempdir;

use crate::helpers::{names, pairs_of, some, texts, tree, write_parquet, write_texts};

fn column(path: &Path, column: &str) -> Texts {
    Texts { path: path.to_path_buf(), column: column.to_owned() }
}

fn files(correct: &Path, corrupted: &Path, out: &Path) -> ImportOptions {
    ImportOptions::new(column(correct, "text"), column(corrupted, "text"), out)
}

fn run(options: &ImportOptions) -> Result<ImportSummary, IoError> {
    import(options, &mut unobserved)
}

/// Clean and damaged texts, no line breaks in them; every tenth pair is equal.
fn real(count: u64) -> (Vec<String>, Vec<String>) {
    let channel = Channel::new(&CorruptSettings::default().with_total_rate(0.05).at_level(1.0)).unwrap();
    let clean = texts(count).into_iter().map(|text| text.replace('\n', " "));
    let pairs = clean.enumerate().map(|(i, text)| {
        let passage = Passage { source: "s", doc_id: "d", start: i as u64, text: &text };
        let damaged = if i % 10 == 0 { text.clone() } else { channel.pair(&passage, 0).corrupted };
        (text, damaged)
    });
    pairs.unzip()
}

fn write_lines(path: &Path, lines: &[String]) -> PathBuf {
    fs::write(path, lines.join("\n") + "\n").unwrap();
    path.to_path_buf()
}

fn written(directory: &Path) -> Vec<Pair> {
    read_pairs(directory).unwrap().map(Result::unwrap).collect()
}

#[test]
fn lines_become_pairs_that_hold() {
    let home = tempdir().unwrap();
    let (clean, damaged) = real(300);
    let (a, b) =
        (write_lines(&home.path().join("a.txt"), &clean), write_lines(&home.path().join("b.txt"), &damaged));
    let out = home.path().join("pairs");
    let options = ImportOptions {
        split: ImportSplit::ByDocument(corruptor::SplitShares { valid: 0.2, test: 0.3 }),
        ..files(&a, &b, &out)
    };
    let summary = run(&options).unwrap();
    assert_eq!((summary.pairs(), summary.unchanged, summary.skips.total()), (300, 30, 0));
    assert!(summary.splits.iter().all(|(_, pairs)| *pairs > 30), "{summary}");

    let inspection = inspect(&out, &InspectOptions::default(), &mut unobserved).unwrap();
    assert_eq!(inspection.bad_rows, 0, "{:?}", inspection.findings);
    let pairs = pairs_of(&out);
    let mut found: Vec<_> =
        pairs.iter().map(|pair| (pair.original.clone(), pair.corrupted.clone())).collect();
    let mut expected: Vec<_> = clean.into_iter().zip(damaged).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    for pair in &pairs {
        assert!(pair.noise.is_none() && pair.start == 0 && pair.source == "real");
        assert_eq!(pair.doc_id, corruptor::document_id(&pair.original));
        assert!(pair.events.iter().all(|event| event.op.name() == "edit"));
    }

    let metadata = PairMetadata::read(&out.join("test/part-00000.parquet")).unwrap();
    let origin: serde_json::Value = serde_json::from_str(&metadata.origin.unwrap()).unwrap();
    assert_eq!(origin["correct"]["file"], "a.txt");
    assert_eq!(origin["corrupted"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!((metadata.recipe, metadata.seed), (None, None));
}

/// However the texts come, the pairs are the same; and neither threads nor a second run show.
#[test]
fn every_format_gives_the_same_pairs() {
    let home = tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let (clean, damaged) = real(120);
    let lines = files(&write_lines(&at("a.txt"), &clean), &write_lines(&at("b.txt"), &damaged), &at("lines"));
    run(&lines).unwrap();
    let expected = pairs_of(&at("lines"));
    run(&ImportOptions { out: at("again"), threads: Some(1), ..lines }).unwrap();
    assert_eq!(tree(&at("again")), tree(&at("lines")));

    for name in ["x.jsonl", "x.csv.gz", "x.parquet", "x.txt.zst"] {
        let (a, b) = (at(&format!("a-{name}")), at(&format!("b-{name}")));
        if name.starts_with("x.txt") {
            for (from, to) in [("a.txt", &a), ("b.txt", &b)] {
                fs::write(to, zstd::encode_all(fs::read(at(from)).unwrap().as_slice(), 3).unwrap()).unwrap();
            }
        } else {
            write_texts(&a, &clean);
            write_texts(&b, &damaged);
        }
        let out = at(&format!("out-{name}"));
        run(&files(&a, &b, &out)).unwrap();
        assert_eq!(pairs_of(&out), expected, "{name}");
    }

    let both = at("both.parquet");
    write_parquet(&both, &[("clean", some(&clean)), ("damaged", some(&damaged))]);
    run(&ImportOptions::new(column(&both, "clean"), column(&both, "damaged"), at("columns"))).unwrap();
    assert_eq!(pairs_of(&at("columns")), expected);
}

#[test]
fn ids_and_sources_come_from_their_columns() {
    let home = tempdir().unwrap();
    let path = home.path().join("both.csv");
    fs::write(
        &path,
        "doc_id,source,correct,corrupted\np1,ocr,rn one,m one\np1,ocr,two,tvvo\np1,ocr,two,two\np2,,three,three\n",
    )
    .unwrap();
    let out = home.path().join("out");
    let (a, b) = (column(&path, "correct"), column(&path, "corrupted"));
    let all = ImportSplit::All(Split::Test);
    run(&ImportOptions { split: all, ..ImportOptions::new(a, b, &out) }).unwrap();
    assert_eq!(names(&out), ["test"]);
    let pairs = written(&out.join("test"));
    let keys: Vec<_> =
        pairs.iter().map(|p| (p.source.as_str(), p.doc_id.as_str(), p.start, p.copy)).collect();
    assert_eq!(keys, [("ocr", "p1", 0, 0), ("ocr", "p1", 6, 0), ("ocr", "p1", 6, 1), ("real", "p2", 0, 0)]);
    let events = &pairs[0].events;
    assert_eq!((events.len(), events[0].start, events[0].removed.as_str()), (1, 0, "rn"));
    assert!((pairs[0].cer - 2.0 / 6.0).abs() < 1e-6);
    assert_eq!(inspect(&out, &InspectOptions::default(), &mut unobserved).unwrap().bad_rows, 0);
}

#[test]
fn rows_without_text_are_skipped_with_their_partner() {
    let home = tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::write(at("a.txt"), "\u{feff}one\r\n\nthree\nfour\nfive").unwrap();
    fs::write(at("b.txt"), b"0ne\n2\n\nf\xffur\nfive\n").unwrap();
    let options = ImportOptions {
        split: ImportSplit::All(Split::Train),
        ..files(&at("a.txt"), &at("b.txt"), &at("out"))
    };
    let summary = run(&options).unwrap();
    assert_eq!(summary.skips.count(SkipReason::Empty), 2);
    assert_eq!(summary.skips.count(SkipReason::InvalidUtf8), 1);
    assert_eq!(summary.skips.places(SkipReason::InvalidUtf8)[0].byte, Some(8));
    let pairs = written(&at("out/train"));
    let texts: Vec<_> = pairs.iter().map(|p| (p.original.as_str(), p.corrupted.as_str())).collect();
    assert_eq!(texts, [("one", "0ne"), ("five", "five")]);

    fs::write(at("blank.txt"), "\n\n").unwrap();
    let blank = run(&files(&at("blank.txt"), &at("blank.txt"), &at("none")));
    assert!(matches!(blank, Err(IoError::NoText { .. })) && !at("none").exists());
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let home = tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::write(at("a.txt"), "1\n2\n3\n").unwrap();
    fs::write(at("b.txt"), "1\n2\n3\n4\n5\n").unwrap();
    fs::write(at("empty.jsonl"), "").unwrap();
    for (a, b) in [("a.txt", "b.txt"), ("b.txt", "a.txt")] {
        let message = run(&files(&at(a), &at(b), &at("out"))).unwrap_err().to_string();
        let says = |name: &str, rows: u32| message.contains(&format!("{name} has {rows}"));
        assert!(says("a.txt", 3) && says("b.txt", 5), "{message}");
    }
    let message = run(&files(&at("a.txt"), &at("empty.jsonl"), &at("out"))).unwrap_err().to_string();
    assert!(message.contains("a.txt has 3") && message.contains("empty.jsonl has 0"), "{message}");

    let documents = DocumentOptions { max_record_bytes: 3, ..DocumentOptions::default() };
    fs::write(at("long.txt"), "12\n123456\n1\n").unwrap();
    let long = ImportOptions { documents, ..files(&at("long.txt"), &at("a.txt"), &at("out")) };
    let message = run(&long).unwrap_err().to_string();
    assert!(
        message.contains("long.txt, line 2, byte 3") && message.contains("more than 3 bytes"),
        "{message}"
    );
    assert!(!at("out").exists());
}

#[test]
fn the_program_imports_and_inspects() {
    let home = tempdir().unwrap();
    let (clean, damaged) = real(50);
    let (a, b) = (home.path().join("clean.txt"), home.path().join("damaged.txt"));
    write_lines(&a, &clean);
    write_lines(&b, &damaged);
    let out = home.path().join("real");
    let program = || Command::cargo_bin("corruptor").unwrap();
    let arguments = |command: &mut Command| {
        command.arg("import").arg("--correct").arg(&a).arg("--corrupted").arg(&b).arg("--out").arg(&out);
    };
    let mut first = program();
    arguments(&mut first);
    let done = first.args(["--split", "test", "--source", "ocr"]).assert().success();
    let said = String::from_utf8(done.get_output().stdout.clone()).unwrap();
    assert!(said.contains("test: 50 documents, 50 pairs"), "{said}");
    program().arg("inspect").arg(&out).assert().success();
    let pairs = written(&out.join("test"));
    assert!(pairs.iter().all(|pair| pair.source == "ocr"));
    assert!(pairs.iter().all(|pair| replay(&pair.original, &pair.events).unwrap() == pair.corrupted));
    let mut second = program();
    arguments(&mut second);
    second.assert().failure().stderr(predicates::str::contains("exists already"));
}
