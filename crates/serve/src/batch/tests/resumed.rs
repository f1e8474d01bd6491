//! Work that was interrupted, and goes on.

use std::cell::Cell;

use parquet::file::{
    metadata::{KeyValue, RowGroupMetaData},
    properties::WriterProperties,
};

use super::*;

/// Counts the texts that a model gets, and stops after some.
struct Counting<'m> {
    model: ModelTexts<'m>,
    left: Cell<usize>,
    given: Cell<usize>,
}

impl Texts for Counting<'_> {
    fn restore(
        &self,
        texts: &[Option<&str>],
        done: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Vec<RowResult>, Halt> {
        if texts.len() > self.left.get() {
            return Err(Halt::Stopped);
        }
        self.left.set(self.left.get() - texts.len());
        self.given.set(self.given.get() + texts.len());
        self.model.restore(texts, done)
    }

    fn digests(&self) -> Vec<String> {
        self.model.digests()
    }
}

const ROWS: usize = 10_000;

fn write(path: &Path) {
    let text = |row: usize| match row % 1000 {
        7 => None,
        8 => Some("refuse".to_owned()),
        _ => Some(format!("text, {row}")),
    };
    match Format::of_path(path).unwrap() {
        Format::Parquet => {
            let column: ArrayRef = Arc::new((0..ROWS).map(text).collect::<StringArray>());
            let rows = RecordBatch::try_from_iter([("corrupted", column)]).unwrap();
            let properties = WriterProperties::builder()
                .set_max_row_group_row_count(Some(3000))
                .set_key_value_metadata(Some(vec![KeyValue::new("origin".to_owned(), "test".to_owned())]))
                .build();
            let mut writer =
                ArrowWriter::try_new(File::create(path).unwrap(), rows.schema(), Some(properties)).unwrap();
            writer.write(&rows).unwrap();
            writer.close().unwrap();
        }
        Format::Csv | Format::Tsv => {
            // Cells of several lines, and a mark where a unit may begin.
            let rows =
                (0..ROWS).map(|row| format!("\"\u{feff}{}\n\",{row}\n", text(row).unwrap_or_default()));
            let rows: String = std::iter::once("corrupted,id\n".to_owned()).chain(rows).collect();
            std::fs::write(path, rows).unwrap();
        }
        Format::JsonLines => {
            let row = |row| serde_json::json!({"id": row, "corrupted": text(row)}).to_string() + "\n";
            std::fs::write(path, (0..ROWS).map(row).collect::<String>()).unwrap();
        }
    }
}

/// Rows, row groups and keys of a Parquet file; the bytes of any other.
fn content(path: &Path) -> (Vec<RecordBatch>, Vec<i64>, Vec<KeyValue>, Vec<u8>) {
    if Format::of_path(path) != Some(Format::Parquet) {
        return (Vec::new(), Vec::new(), Vec::new(), std::fs::read(path).unwrap());
    }
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let groups = reader.metadata().row_groups().iter().map(RowGroupMetaData::num_rows).collect();
    let mut keys = reader.metadata().file_metadata().key_value_metadata().cloned().unwrap();
    keys.sort_by(|a, b| a.key.cmp(&b.key));
    (reader.build().unwrap().map(Result::unwrap).collect(), groups, keys, Vec::new())
}

#[test]
fn what_was_interrupted_ends_as_if_it_had_not_been_and_does_nothing_twice() {
    for extension in ["parquet", "csv", "jsonl"] {
        let home = tempdir().unwrap();
        let [input, whole, resumed] =
            ["in", "whole", "resumed"].map(|name| home.path().join(name).with_extension(extension));
        let parts = home.path().join("parts");
        write(&input);
        let script = Script::default();
        let opened = Input::open(&input, &BatchSettings::default()).unwrap();
        let summary = restore_into(&opened, &whole, &of(&script), &mut Watcher::default()).unwrap();
        assert_eq!((summary.rows, summary.failed), (ROWS as u64, if extension == "csv" { 0 } else { 10 }));

        let attempt = |left: usize| {
            let texts = Counting { model: of(&script), left: Cell::new(left), given: Cell::new(0) };
            // Opened anew, as another process would.
            let opened = Input::open(&input, &BatchSettings::default()).unwrap();
            let mut watch = Watcher::default();
            let tally = restore_in_parts(&opened, &resumed, &parts, &texts, &mut watch);
            (tally, texts.given.get(), watch)
        };
        let (stopped, first, _) = attempt(5000);
        assert!(matches!(stopped, Err(BatchError::Stopped(_))) && !resumed.exists());
        assert!((3000..=5000).contains(&first), "{first}");
        // What a killed process leaves of the unit that was under way.
        std::fs::write(parts.join(".00000001.part.x.tmp"), "half").unwrap();
        let (stopped, nothing, _) = attempt(0);
        assert!(stopped.is_err() && nothing == 0);
        let (tally, second, watch) = attempt(usize::MAX);
        assert_eq!((tally.unwrap().summary, first + second, watch.done), (summary, ROWS, ROWS as u64));
        assert!(content(&resumed) == content(&whole), "{extension}");
        let hidden = std::fs::read_dir(&parts)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
        assert_eq!(hidden.count(), 0);
        // Joined once more, as after a crash right before the end was noted.
        let (_, again, _) = attempt(0);
        assert_eq!(again, 0);
        assert!(content(&resumed) == content(&whole), "{extension}");
    }
}
