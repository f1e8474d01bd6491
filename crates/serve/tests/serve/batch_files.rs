//! `serve batch`: what it writes.

use std::{path::Path, sync::Arc};

use arrow::{
    array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray},
    compute::cast,
    datatypes::DataType,
};
use predicates::{prelude::*, str::contains};
use restorer::RestoreOptions;
use tempfile::tempdir;

use crate::{
    checkpoint::{assert_same_edits, restored},
    command_line::serve_with_model,
    parquet_files::{confidences, edits, layout, names, read, strings, table, write},
};

/// Texts of very different lengths, so that the order inside a batch differs from that of the file; every seventh null.
fn texts(rows: usize) -> Vec<Option<String>> {
    let text = |row: usize| format!("row {row} — {}", "of the Uniion ".repeat(row * 7 % 23));
    (0..rows).map(|row| (row % 7 != 3).then(|| text(row))).collect()
}

fn sample(rows: usize) -> RecordBatch {
    let id: ArrayRef = Arc::new((0..i64::try_from(rows).unwrap()).rev().collect::<Int64Array>());
    let corrupted: ArrayRef = Arc::new(StringArray::from(texts(rows)));
    let note: ArrayRef =
        Arc::new((0..rows).map(|row| (row % 2 == 0).then_some("even")).collect::<StringArray>());
    table(vec![("id", id), ("corrupted", corrupted), ("note", note)])
}

/// Checks the new columns of `output` against the library.
fn assert_restored(output: &RecordBatch, texts: &[Option<String>], options: RestoreOptions) {
    assert_eq!(output.num_rows(), texts.len());
    let (found_texts, found_edits) = (strings(output, "restored"), edits(output));
    let (found_confidences, errors) = (confidences(output), strings(output, "error"));
    for (row, text) in texts.iter().enumerate() {
        assert_eq!(errors[row], None, "row {row}");
        let Some(text) = text else {
            assert_eq!(
                (&found_texts[row], &found_edits[row], found_confidences[row]),
                (&None, &None, None),
                "row {row}"
            );
            continue;
        };
        let expected = restored(text, options);
        assert_eq!(found_texts[row].as_ref(), Some(&expected.text), "row {row}");
        assert_same_edits(found_edits[row].as_deref().unwrap(), &expected.edits);
        assert!((found_confidences[row].unwrap() - expected.confidence).abs() < 1e-5, "row {row}");
    }
}

#[test]
fn every_column_row_and_key_is_kept_and_four_columns_are_added() {
    let home = tempdir().unwrap();
    let (input, output) = (home.path().join("in.parquet"), home.path().join("out.parquet"));
    let given = sample(50);
    write(&input, &given, 16);
    let job =
        serve_with_model("batch").args([&input, &output]).args(["--batch-tokens", "300"]).assert().success();
    job.stdout("").stderr(contains("50 rows: 43 restored").and(contains("7 null, 0 failed")));

    let result = read(&output);
    assert_eq!(names(&result), ["id", "corrupted", "note", "restored", "edits", "confidence", "error"]);
    for (index, column) in given.columns().iter().enumerate() {
        assert_eq!(result.column(index), column);
    }
    assert_restored(&result, &texts(50), RestoreOptions::default());
    assert!(edits(&result).iter().flatten().any(|edits| !edits.is_empty()));
    assert_eq!(result.schema().metadata().get("origin").map(String::as_str), Some("a test"));
    let (groups, mut keys) = layout(&output);
    keys.sort();
    assert_eq!(groups, [16, 16, 16, 2]);
    assert_eq!(keys, ["ARROW:schema", "recipe"]);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 2);
}

#[test]
fn options_and_another_column_are_taken() {
    let home = tempdir().unwrap();
    let (input, output) = (home.path().join("in.parquet"), home.path().join("out.parquet"));
    write(&input, &sample(9), 100);
    serve_with_model("batch")
        .args([&input, &output])
        .args(["--column", "note", "--min-confidence", "0", "--max-rounds", "1"])
        .assert()
        .success();
    let notes: Vec<_> = (0..9).map(|row| (row % 2 == 0).then(|| "even".to_owned())).collect();
    let options =
        RestoreOptions { min_confidence: Some(0.0), max_rounds: Some(1), ..RestoreOptions::default() };
    assert_restored(&read(&output), &notes, options);
}

#[test]
fn every_string_type_is_taken_and_kept() {
    let home = tempdir().unwrap();
    let (input, output) = (home.path().join("in.parquet"), home.path().join("out.parquet"));
    let plain: ArrayRef = Arc::new(StringArray::from(texts(8)));
    let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    for data_type in [DataType::LargeUtf8, DataType::Utf8View, dictionary] {
        write(&input, &table(vec![("corrupted", cast(&plain, &data_type).unwrap())]), 3);
        serve_with_model("batch").args([&input, &output]).assert().success();
        let result = read(&output);
        assert_eq!(result.column(0).data_type(), &data_type);
        assert_restored(&result, &texts(8), RestoreOptions::default());
    }
}

#[test]
fn a_file_of_nothing_or_of_nulls_has_the_new_columns_too() {
    let home = tempdir().unwrap();
    let (input, output) = (home.path().join("in.parquet"), home.path().join("out.parquet"));
    for rows in [0, 3] {
        let nulls: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; rows]));
        write(&input, &table(vec![("corrupted", nulls)]), 10);
        serve_with_model("batch").args([&input, &output]).assert().success();
        let result = read(&output);
        assert_eq!((result.num_columns(), result.num_rows()), (5, rows));
        assert!(result.columns().iter().all(|column| column.null_count() == rows));
    }
}

#[test]
fn columns_that_are_there_are_replaced_in_their_place_on_request() {
    let home = tempdir().unwrap();
    let path = home.path().join("same.parquet");
    write(&path, &sample(10), 4);
    serve_with_model("batch").args([&path, &path]).assert().success();
    let once = read(&path);
    let refused = serve_with_model("batch").args([&path, &path]).assert().code(2);
    refused.stderr(
        contains("`restored`, `edits`, `confidence` and `error`").and(contains("--overwrite-columns")),
    );
    assert_eq!(read(&path), once);
    serve_with_model("batch").args([&path, &path]).arg("--overwrite-columns").assert().success();
    assert_eq!(read(&path), once);
}

#[test]
fn a_directory_is_restored_file_by_file() {
    let home = tempdir().unwrap();
    let (input, output) = (home.path().join("in"), home.path().join("a/b/out"));
    std::fs::create_dir(&input).unwrap();
    for (name, rows) in [("part-00000.parquet", 5), ("part-00001.parquet", 3)] {
        write(&input.join(name), &sample(rows), 2);
    }
    std::fs::write(input.join("notes.txt"), "not a table").unwrap();
    serve_with_model("batch").args([&input, &output]).assert().success().stderr(contains("8 rows"));
    assert_restored(&read(&output.join("part-00000.parquet")), &texts(5), RestoreOptions::default());
    assert_restored(&read(&output.join("part-00001.parquet")), &texts(3), RestoreOptions::default());
    assert_eq!(files(&output), ["part-00000.parquet", "part-00001.parquet"]);
}

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
