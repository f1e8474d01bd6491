//! Rows that the model fails on, and stopping, with a model that fails on command.

mod resumed;
mod text_files;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicBool},
};

use arrow::{
    array::{Array, ArrayRef, AsArray, RecordBatch, StringArray},
    compute::concat_batches,
};
use parquet::arrow::{ArrowWriter, arrow_reader::ParquetRecordBatchReaderBuilder};
use restorer::RestoreOptions;
use tempfile::{TempDir, tempdir};

use super::*;
use crate::testing::Script;

#[derive(Default)]
struct Watcher {
    total: u64,
    done: u64,
    stop: AtomicBool,
}

impl Watch for Watcher {
    fn start(&mut self, rows: u64) {
        self.total = rows;
    }

    fn advance(&mut self, rows: u64) {
        self.done += rows;
    }

    fn stop_flag(&self) -> &AtomicBool {
        &self.stop
    }
}

fn home(texts: &[Option<&str>]) -> (TempDir, PathBuf, PathBuf) {
    let home = tempdir().unwrap();
    let (input, output) = (home.path().join("in.parquet"), home.path().join("out.parquet"));
    let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    let rows = RecordBatch::try_from_iter([("corrupted", column)]).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(&input).unwrap(), rows.schema(), None).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    (home, input, output)
}

fn of(model: &Script) -> ModelTexts<'_> {
    ModelTexts { model, options: RestoreOptions::default(), batch_tokens: 8192 }
}

fn restore(input: &Path, output: &Path, watch: &mut Watcher) -> Result<Summary, BatchError> {
    let model = Script::default();
    restore_paths(input, output, &of(&model), &BatchSettings::default(), watch)
}

#[test]
fn a_text_that_fails_has_its_error_in_its_row_and_costs_no_other() {
    let (_home, input, output) = home(&[Some("a"), Some("panic"), None, Some("refuse"), Some("b")]);
    let mut watch = Watcher::default();
    let summary = restore(&input, &output, &mut watch).unwrap();
    assert_eq!(summary, Summary { rows: 5, restored: 2, changed: 0, edits: 0, nulls: 1, failed: 2 });
    assert_eq!((watch.total, watch.done), (5, 5));

    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(&output).unwrap()).unwrap();
    let schema = Arc::clone(reader.schema());
    let rows =
        concat_batches(&schema, &reader.build().unwrap().map(Result::unwrap).collect::<Vec<_>>()).unwrap();
    let strings = |name| rows.column_by_name(name).unwrap().as_string::<i32>().iter().collect::<Vec<_>>();
    assert_eq!(strings("restored"), [Some("a"), None, None, None, Some("b")]);
    let errors = strings("error");
    assert!(errors[1].unwrap().contains("asked to") && errors[3].unwrap().contains("asked to"));
    assert_eq!((errors[0], errors[2], errors[4]), (None, None, None));
    for name in ["edits", "confidence"] {
        let nulls: Vec<_> = (0..5).map(|row| rows.column_by_name(name).unwrap().is_null(row)).collect();
        assert_eq!(nulls, [false, true, true, true, false], "{name}");
    }
}

#[test]
fn a_model_that_fails_on_every_text_writes_nothing() {
    let (home, input, output) = home(&[Some("panic"), None, Some("refuse")]);
    let error = restore(&input, &output, &mut Watcher::default()).unwrap_err();
    assert!(matches!(error, BatchError::AllFailed { texts: 2, .. }), "{error}");
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
}

#[test]
fn stopped_work_writes_nothing() {
    let (home, input, output) = home(&[Some("a")]);
    let mut watch = Watcher { stop: AtomicBool::new(true), ..Watcher::default() };
    let error = restore(&input, &output, &mut watch).unwrap_err();
    assert!(matches!(error, BatchError::Stopped(path) if path == input));
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
}
