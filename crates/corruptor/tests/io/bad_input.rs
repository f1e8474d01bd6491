//! Every kind of bad input: a counted skip with its place, or an error that names the file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use corruptor::IoError;
use corruptor::documents::{Column, DocumentOptions, SkipReason};
use corruptor::generate::GenerateOptions;
use tempfile::tempdir;

use crate::helpers::{names, read, run, text, texts, write_batch, write_texts};

fn error_of(path: &Path, options: &DocumentOptions) -> String {
    read(&[path.to_path_buf()], options).unwrap_err().to_string()
}

/// A file with these bytes.
fn file(home: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let path = home.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

#[test]
fn invalid_utf8_is_skipped_with_its_byte() {
    let home = tempdir().unwrap();
    let options = DocumentOptions::default();
    let cases: [(&str, &[u8], u64, usize); 3] = [
        ("a.txt", b"good \xff bad", 5, 0),
        ("a.jsonl", b"{\"text\":\"one\"}\n{\"text\":\"\xc3\x28\"}\n{\"text\":\"two\"}\n", 24, 2),
        ("a.csv", b"text\none\n\xff\ntwo\n", 9, 2),
    ];
    for (name, bytes, byte, good) in cases {
        let path = file(home.path(), name, bytes);
        let (documents, skips) = read(std::slice::from_ref(&path), &options).unwrap();
        assert_eq!(documents.len(), good, "{name}");
        assert_eq!(skips.count(SkipReason::InvalidUtf8), 1, "{name}");
        let place = &skips.places(SkipReason::InvalidUtf8)[0];
        assert_eq!((&*place.file, place.byte), (path.as_path(), Some(byte)), "{name}");
    }
}

/// On these files the Parquet reader panics.
#[test]
fn files_that_contradict_themselves_are_refused() {
    let home = tempdir().unwrap();
    let negative = include_bytes!("../../../../fuzz/seeds/parquet_documents/negative-offset.parquet");
    let path = file(home.path(), "negative.parquet", negative);
    let error = error_of(&path, &DocumentOptions::default());
    assert!(error.contains("negative.parquet is not a whole Parquet file: "), "{error}");
    let hollow = include_bytes!("../../../../fuzz/seeds/pairs/page-without-values.parquet");
    let path = file(home.path(), "hollow.parquet", hollow);
    let error = corruptor::pairs::read_pairs(&path).unwrap().find_map(Result::err).unwrap().to_string();
    assert!(error.contains("hollow.parquet is not a whole Parquet file: "), "{error}");
}

#[test]
fn empty_files_are_reported() {
    let home = tempdir().unwrap();
    for name in ["a.txt", "a.jsonl", "a.csv"] {
        let path = file(home.path(), name, b"");
        let (documents, skips) = read(&[path], &DocumentOptions::default()).unwrap();
        assert_eq!((documents.len(), skips.count(SkipReason::Empty)), (0, 1), "{name}");
    }
    let rowless = write_texts(&home.path().join("a.parquet"), &[]);
    let (documents, skips) = read(&[rowless], &DocumentOptions::default()).unwrap();
    assert_eq!((documents.len(), skips.count(SkipReason::Empty)), (0, 1));
    let hollow = file(home.path(), "hollow.parquet", b"");
    assert!(
        error_of(&hollow, &DocumentOptions::default()).contains("hollow.parquet is not a whole Parquet file")
    );
}

#[test]
fn a_missing_column_names_the_columns_there_are() {
    let home = tempdir().unwrap();
    let parquet = home.path().join("a.parquet");
    let body: ArrayRef = Arc::new(StringArray::from(vec!["x"]));
    let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    write_batch(&parquet, &RecordBatch::try_from_iter([("body", body), ("number", number)]).unwrap());
    let cases = [
        (parquet.clone(), "body (Utf8), number (Int64)"),
        (file(home.path(), "a.jsonl", b"{\"body\":\"x\",\"number\":1}\n"), "body, number"),
        (file(home.path(), "a.csv", b"body,number\nx,1\n"), "body, number"),
    ];
    for (path, columns) in &cases {
        let message = error_of(path, &DocumentOptions::default());
        assert!(message.contains("no column \"text\"") && message.contains(columns), "{message}");
        assert!(message.contains(path.to_str().unwrap()), "{message}");
        let keyed = DocumentOptions {
            text_column: "body".into(),
            id_column: Column::Required("key".into()),
            ..DocumentOptions::default()
        };
        assert!(error_of(path, &keyed).contains("no column \"key\""));
    }
    let numbers = DocumentOptions { text_column: "number".into(), ..DocumentOptions::default() };
    let message = error_of(&parquet, &numbers);
    assert!(message.contains("holds Int64, not text") && message.contains("body (Utf8)"), "{message}");
    let message = error_of(&cases[1].0, &numbers);
    assert!(message.contains("holds a number, not text") && message.contains("line 1"), "{message}");
}

#[test]
fn a_truncated_file_is_an_error_that_names_it() {
    let home = tempdir().unwrap();
    for name in ["a.parquet", "a.parquet.gz", "a.jsonl.gz", "a.csv.zst", "a.txt.zst"] {
        let path = write_texts(&home.path().join(name), &texts(40));
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let message = error_of(&path, &DocumentOptions::default());
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn damage_inside_a_parquet_file_is_an_error_that_names_it() {
    let home = tempdir().unwrap();
    let path = write_texts(&home.path().join("a.parquet"), &texts(40));
    let mut bytes = fs::read(&path).unwrap();
    bytes[4..200].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let message = error_of(&path, &DocumentOptions::default());
    assert!(message.contains("a.parquet"), "{message}");
}

#[test]
fn broken_syntax_is_an_error_with_its_line() {
    let home = tempdir().unwrap();
    let json = file(home.path(), "a.jsonl", b"{\"text\":\"x\"}\n{\"text\":\n");
    let message = error_of(&json, &DocumentOptions::default());
    assert!(message.contains("a.jsonl, line 2, byte 13") && message.contains("no JSON object"), "{message}");
    let csv = file(home.path(), "a.csv", b"text,key\nx,1\ny\n");
    let message = error_of(&csv, &DocumentOptions::default());
    assert!(
        message.contains("a.csv, line 3") && message.contains("1 fields where the header has 2"),
        "{message}"
    );
}

#[test]
fn records_that_would_not_fit_are_refused() {
    let home = tempdir().unwrap();
    let options = DocumentOptions { max_record_bytes: 100, ..DocumentOptions::default() };
    let unclosed = [b"text\n\"never closed ".as_slice(), &b"again and again ".repeat(20_000)].concat();
    let path = file(home.path(), "a.csv", &unclosed);
    assert!(matches!(read(&[path], &options), Err(IoError::TooLarge { limit_bytes: 100, .. })));
    for name in ["a.txt", "a.jsonl.gz", "a.parquet"] {
        let path = write_texts(&home.path().join(name), &texts(1));
        assert!(matches!(read(&[path], &options), Err(IoError::TooLarge { limit_bytes: 100, .. })), "{name}");
    }
}

#[test]
fn unknown_and_absent_files_are_errors() {
    let home = tempdir().unwrap();
    let options = DocumentOptions::default();
    assert!(error_of(&home.path().join("none.txt"), &options).contains("none.txt"));
    let message = error_of(&file(home.path(), "a.docx", b"x"), &options);
    assert!(message.contains("known are .txt, .jsonl"), "{message}");
    assert!(matches!(read(&[home.path().to_path_buf()], &options), Err(IoError::NoFiles { .. })));
}

#[test]
fn nothing_is_left_behind_when_generating_fails() {
    let home = tempdir().unwrap();
    let input = home.path().join("in");
    fs::create_dir(&input).unwrap();
    write_texts(&input.join("a.jsonl"), &texts(200));
    let bad = write_texts(&input.join("b.parquet"), &texts(100));
    let bytes = fs::read(&bad).unwrap();
    fs::write(&bad, &bytes[..bytes.len() - 9]).unwrap();
    let error = run(&GenerateOptions::new(vec![input], home.path().join("pairs"))).unwrap_err();
    assert!(error.to_string().contains("b.parquet"), "{error}");
    assert_eq!(names(home.path()), ["in"]);
}

#[test]
fn input_without_text_is_an_error_that_says_what_was_skipped() {
    let home = tempdir().unwrap();
    let input = file(home.path(), "a.jsonl", b"{\"text\":null}\n{\"text\":\"\"}\n");
    let error = run(&GenerateOptions::new(vec![input], home.path().join("pairs"))).unwrap_err();
    assert!(error.to_string().contains("1 empty") && error.to_string().contains("1 null"), "{error}");
    assert_eq!(names(home.path()), ["a.jsonl"]);
}

#[test]
fn an_id_for_two_texts_is_an_error() {
    let home = tempdir().unwrap();
    let lines =
        [text(1), text(2)].map(|text| format!("{}\n", serde_json::json!({"text": text, "doc_id": "x"})));
    let input = file(home.path(), "a.jsonl", lines.concat().as_bytes());
    let error = run(&GenerateOptions::new(vec![input], home.path().join("pairs"))).unwrap_err();
    assert!(matches!(&error, IoError::AmbiguousId { doc_id, .. } if doc_id == "x"), "{error}");
    assert!(error.to_string().contains("a.jsonl, line 2"), "{error}");
}
