//! CSV and JSON lines: what is kept, and what is bad.

use std::fs;

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, value::RawValue};

use super::*;

/// Restores a file of `content`; its output and what was done.
fn restored(
    extension: &str,
    content: &[u8],
    settings: &BatchSettings,
) -> Result<(Vec<u8>, Summary), BatchError> {
    let home = tempdir().unwrap();
    let (input, output) = (home.path().join("in"), home.path().join("out"));
    let [input, output] = [input, output].map(|path| path.with_extension(extension));
    fs::write(&input, content).unwrap();
    let model = Script::default();
    let summary = restore_paths(&input, &output, &of(&model), settings, &mut Watcher::default())?;
    Ok((fs::read(&output).unwrap(), summary))
}

fn settings(column: &str) -> BatchSettings {
    BatchSettings { column: column.to_owned(), ..BatchSettings::default() }
}

fn records(bytes: &[u8], delimiter: u8) -> Vec<Vec<String>> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).from_reader(bytes);
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// Values of JSON as somebody may have written them.
fn json_value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("1.0E+2".to_owned()),
        Just("-0".to_owned()),
        Just("123456789012345678901234567890".to_owned()),
        Just(r#""\u00e9\/""#.to_owned()),
        any::<String>().prop_map(|text| Value::from(text).to_string()),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|items| format!("[ {}]", items.join(" ,"))),
            inner.prop_map(|value| format!(r#"{{"a" :{value},"a":1}}"#)),
        ]
    })
}

proptest! {
    #[test]
    fn cells_stay_as_they_are(
        cells in vec([any::<String>(), any::<String>()], 0..8),
        is_tsv in any::<bool>(),
        has_mark in any::<bool>(),
    ) {
        let (extension, delimiter) = if is_tsv { ("tsv", b'\t') } else { ("csv", b',') };
        let mark: &[u8] = if has_mark { b"\xef\xbb\xbf" } else { b"" };
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(mark.to_vec());
        writer.write_record(["corrupted", "no,te\t"]).unwrap();
        for row in &cells {
            writer.write_record(row).unwrap();
        }
        let content = writer.into_inner().unwrap();
        let (output, summary) = restored(extension, &content, &BatchSettings::default()).unwrap();
        prop_assert_eq!(summary.restored, cells.len() as u64);
        prop_assert!(output.starts_with(mark));
        let found = records(&output, delimiter);
        prop_assert_eq!(found[0].join("|"), "corrupted|no,te\t|restored|edits|confidence|error");
        prop_assert_eq!(found.len(), cells.len() + 1);
        for (found, [text, note]) in found[1..].iter().zip(&cells) {
            let expected = [text.as_str(), note, text, "[]", "1", ""];
            prop_assert_eq!(found, &expected);
        }
    }

    #[test]
    fn members_stay_as_they_are(rows in vec((any::<String>(), json_value(), json_value()), 1..8)) {
        let line = |(text, before, after): &(String, String, String)| {
            format!("{{ \"é\\n\": {before}, \"corrupted\": {},\"z\":{after} }}\r\n\n", Value::from(text.as_str()))
        };
        let content: String = rows.iter().map(line).collect();
        let (output, summary) = restored("jsonl", content.as_bytes(), &BatchSettings::default()).unwrap();
        prop_assert_eq!((summary.rows, summary.restored), (rows.len() as u64, rows.len() as u64));
        let output = String::from_utf8(output).unwrap();
        prop_assert_eq!(output.lines().count(), rows.len());
        for (found, (text, before, after)) in output.lines().zip(&rows) {
            let members: indexmap::IndexMap<String, Box<RawValue>> = serde_json::from_str(found).unwrap();
            let members: Vec<(&str, &str)> = members.iter().map(|(name, raw)| (name.as_str(), raw.get())).collect();
            let text = Value::from(text.as_str()).to_string();
            let expected = [("é\n", before.as_str()), ("corrupted", &text), ("z", after), ("restored", &text), ("edits", "[]"), ("confidence", "1.0"), ("error", "null")];
            prop_assert_eq!(members, expected);
        }
    }
}

#[test]
fn bad_records_are_kept_and_told() {
    let content = b"id,text,n\r\n1,a,x\r\n2\r\n\r\n3,b,y,\"z,\"\r\n4,c\xff,w\r\n5,panic,v\r\n6,,u\r\n";
    let (output, summary) = restored("csv", content, &settings("text")).unwrap();
    assert_eq!(summary, Summary { rows: 6, restored: 2, changed: 0, edits: 0, nulls: 0, failed: 4 });
    let text = String::from_utf8(output).unwrap();
    assert!(text.starts_with("id,text,n,restored,edits,confidence,error\r\n") && text.ends_with("\r\n"));
    let found = records(text.as_bytes(), b',');
    assert_eq!(found[1].join("|"), "1|a|x|a|[]|1|");
    assert_eq!(found[2].join("|"), "2||||||the row has 1 cells, the header 3");
    assert_eq!(found[3].join("|"), "3|b|y||||the row has 4 cells, the header 3; the others are [\"z,\"]");
    assert_eq!(found[4].join("|"), "4|c\u{fffd}|w||||`text` is not UTF-8");
    assert!(found[5].join("|").starts_with("5|panic|v||||the model panicked"), "{:?}", found[5]);
    // An empty cell is an empty text.
    assert_eq!(found[6].join("|"), "6||u||[]|1|");
}

#[test]
fn bad_lines_are_kept_and_told() {
    let content = b"{\"t\":\"a\",\"n\":1.50}\n{oops\n[1]\n{\"t\":1}\n{\"t\":null}\n{\"n\":2}\n{\"t\":\"\\ud800\"}\n{\"t\":\"b\",\"t\":\"c\"}\n\"\xff\"\n{\"t\":\"refuse\"}";
    let (output, summary) = restored("ndjson", content, &settings("t")).unwrap();
    assert_eq!(summary, Summary { rows: 10, restored: 1, changed: 0, edits: 0, nulls: 2, failed: 7 });
    let text = String::from_utf8(output).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], r#"{"t":"a","n":1.50,"restored":"a","edits":[],"confidence":1.0,"error":null}"#);
    for (line, kept, words) in [
        (1, r#"{"line":"{oops","restored":null,"#, "no JSON object: key must be a string"),
        (2, r#"{"line":"[1]","restored":null,"#, "expected an object"),
        (3, r#"{"t":1,"restored":null,"#, "`t` is a number, not a string"),
        (4, r#"{"t":null,"restored":null,"#, r#""error":null}"#),
        (5, r#"{"n":2,"restored":null,"#, r#""error":null}"#),
        (6, r#"{"t":"\ud800","restored":null,"#, "`t` is no text"),
        (7, r#"{"t":"b","t":"c","restored":null,"#, "`t` twice"),
        (8, "{\"line\":\"\\\"\u{fffd}\\\"\",", "no JSON object"),
        (9, r#"{"t":"refuse","restored":null,"#, "asked to"),
    ] {
        assert!(lines[line].starts_with(kept) && lines[line].contains(words), "{}", lines[line]);
        // What was half a character stays so.
        assert!(line == 6 || serde_json::from_str::<Value>(lines[line]).is_ok());
    }
}

#[test]
fn columns_that_are_there_are_replaced_in_their_place_on_request() {
    let overwrite = BatchSettings { existing: ExistingColumns::Overwrite, ..settings("t") };
    for (extension, content, expected) in [
        ("csv", "error,t\nold,a\n", "error,t,restored,edits,confidence\n,a,a,[],1\n"),
        ("tsv", "t\trestored\na\told\n", "t\trestored\tedits\tconfidence\terror\na\ta\t[]\t1\t\n"),
        (
            "jsonl",
            "{\"t\":\"a\"}\n{\"edits\":7,\"t\":\"b\",\"edits\":8}",
            "{\"t\":\"a\",\"restored\":\"a\",\"edits\":[],\"confidence\":1.0,\"error\":null}\n{\"edits\":[],\"t\":\"b\",\"restored\":\"b\",\"confidence\":1.0,\"error\":null}\n",
        ),
    ] {
        let error = restored(extension, content.as_bytes(), &settings("t")).unwrap_err();
        assert!(matches!(error, BatchError::ColumnsExist { .. }), "{error}");
        let (output, _) = restored(extension, content.as_bytes(), &overwrite).unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), expected);
    }
}

#[test]
fn files_that_cannot_be_restored_say_why() {
    let long = [b"t\n\"".as_slice(), &vec![b'x'; (64 << 20) + (1 << 17)]].concat();
    let long_line = [b"{\"t\":\"".as_slice(), &vec![b'x'; 64 << 20], b"\"}"].concat();
    for (extension, content, words) in [
        ("csv", b"a,b\n1,2\n".as_slice(), "no column `t`; its columns are `a` and `b`"),
        ("csv", b"", "no column `t`; its columns are none"),
        ("csv", b"t,t\n1,2\n", "two columns `t`"),
        ("csv", &long, "row 1 of"),
        ("jsonl", b"{\"a\":1}\n{\"b\":2}\n", "no column `t`; its columns are `a`"),
        ("jsonl", b"t\n", "no column `t`; its columns are none"),
        ("jsonl", &long_line, "row 1 of"),
    ] {
        let error = restored(extension, content, &settings("t")).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let (output, summary) = restored("jsonl", b"", &settings("t")).unwrap();
    assert_eq!((output.as_slice(), summary), (b"".as_slice(), Summary::default()));
    let (output, _) = restored("csv", b"t", &settings("t")).unwrap();
    assert_eq!(output, b"t,restored,edits,confidence,error\n");
}
