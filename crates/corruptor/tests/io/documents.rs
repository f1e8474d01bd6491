//! The readers: every format gives the same documents.

use std::fs;
use std::path::PathBuf;

use corruptor::documents::{Column, DocumentOptions, SkipReason};
use tempfile::tempdir;

use crate::helpers::{read, some, texts, write_parquet, write_texts};

#[test]
fn every_format_and_compression_gives_the_same_texts() {
    let home = tempdir().unwrap();
    let mut wanted = texts(150);
    wanted.push("quoted \"text\", with a comma\r\nand lines\n".to_owned());
    for format in ["jsonl", "csv", "parquet"] {
        for compression in ["", ".gz", ".zst"] {
            let path = write_texts(&home.path().join(format!("all.{format}{compression}")), &wanted);
            let (documents, skips) = read(&[path], &DocumentOptions::default()).unwrap();
            assert_eq!(skips.total(), 0);
            assert_eq!(
                documents.into_iter().map(|d| d.text).collect::<Vec<_>>(),
                wanted,
                "{format}{compression}"
            );
        }
    }
    for compression in ["", ".gz", ".zst"] {
        let path = write_texts(&home.path().join(format!("one.txt{compression}")), &wanted[150..]);
        let (documents, _) = read(&[path], &DocumentOptions::default()).unwrap();
        assert_eq!(documents.len(), 1);
        assert_eq!(documents[0].text, wanted[150], "kept verbatim");
        assert_eq!(documents[0].doc_id, None);
    }
}

#[test]
fn directories_are_read_recursively_in_the_order_of_their_paths() {
    let home = tempdir().unwrap();
    for (name, text) in [
        ("b.txt", "4"),
        ("a/z.txt", "2"),
        ("a/b/c.txt", "1"),
        ("b-2.txt", "3"),
        ("notes.md", "-"),
        (".hidden/x.txt", "-"),
    ] {
        let path = home.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let (documents, _) = read(&[home.path().to_path_buf()], &DocumentOptions::default()).unwrap();
    assert_eq!(documents.iter().map(|d| d.text.as_str()).collect::<Vec<_>>(), ["1", "2", "3", "4"]);
    let chosen: Vec<PathBuf> = ["b.txt", "a"].iter().map(|name| home.path().join(name)).collect();
    let (documents, _) = read(&chosen, &DocumentOptions::default()).unwrap();
    assert_eq!(documents.iter().map(|d| d.text.as_str()).collect::<Vec<_>>(), ["4", "1", "2"]);
}

#[test]
fn ids_and_sources_come_from_their_columns() {
    let home = tempdir().unwrap();
    let (json, csv) = (home.path().join("a.jsonl"), home.path().join("a.csv"));
    fs::write(&json, "{\"body\":\"one\",\"key\":7,\"source\":\"s\"}\n{\"body\":\"two\",\"key\":null}\n")
        .unwrap();
    fs::write(&csv, "key,body,source\n7,one,s\n,two,\n").unwrap();
    let parquet = home.path().join("a.parquet");
    let column = |values: [Option<&str>; 2]| values.map(|value| value.map(str::to_owned)).to_vec();
    write_parquet(
        &parquet,
        &[
            ("body", column([Some("one"), Some("two")])),
            ("key", column([Some("7"), None])),
            ("source", column([Some("s"), None])),
        ],
    );
    let options = DocumentOptions {
        text_column: "body".into(),
        id_column: Column::Required("key".into()),
        ..DocumentOptions::default()
    };
    for path in [json, csv, parquet] {
        let (documents, _) = read(std::slice::from_ref(&path), &options).unwrap();
        let found: Vec<_> =
            documents.iter().map(|d| (d.text.as_str(), d.doc_id.as_deref(), d.source.as_deref())).collect();
        assert_eq!(found, [("one", Some("7"), Some("s")), ("two", None, None)], "{}", path.display());
    }
}

#[test]
fn several_members_and_frames_are_one_file() {
    let home = tempdir().unwrap();
    for extension in ["gz", "zst"] {
        let first = write_texts(&home.path().join(format!("1.jsonl.{extension}")), &texts(2));
        let second = write_texts(&home.path().join(format!("2.jsonl.{extension}")), &texts(4)[2..]);
        let joined = home.path().join(format!("joined.jsonl.{extension}"));
        fs::write(&joined, [fs::read(first).unwrap(), fs::read(second).unwrap()].concat()).unwrap();
        let (documents, _) = read(&[joined], &DocumentOptions::default()).unwrap();
        assert_eq!(documents.into_iter().map(|d| d.text).collect::<Vec<_>>(), texts(4));
    }
}

#[test]
fn a_byte_order_mark_and_blank_lines_do_not_disturb_json() {
    let home = tempdir().unwrap();
    let path = home.path().join("a.ndjson");
    fs::write(&path, "\u{feff}{\"text\":\"one\"}\r\n\n  \n{\"text\":\"two\"}").unwrap();
    let (documents, skips) = read(&[path], &DocumentOptions::default()).unwrap();
    assert_eq!(
        documents.iter().map(|d| (d.text.as_str(), d.place.line)).collect::<Vec<_>>(),
        [("one", Some(1)), ("two", Some(4))]
    );
    assert_eq!(skips.total(), 0);
}

#[test]
fn nulls_and_empty_texts_are_counted_with_their_places() {
    let home = tempdir().unwrap();
    let path = home.path().join("a.parquet");
    write_parquet(&path, &[("text", vec![None, some(&texts(1)).remove(0), Some(String::new()), None])]);
    let (documents, skips) = read(&[path], &DocumentOptions::default()).unwrap();
    assert_eq!(documents.len(), 1);
    assert_eq!((skips.count(SkipReason::Null), skips.count(SkipReason::Empty)), (2, 1));
    let rows: Vec<_> = skips.places(SkipReason::Null).iter().map(|place| place.row).collect();
    assert_eq!(rows, [Some(0), Some(3)]);
    let words = skips.to_string();
    assert!(words.contains("2 null (first ") && words.contains("a.parquet, row 0)"), "{words}");
}
