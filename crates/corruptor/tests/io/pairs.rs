//! The pair schema and its files.

use std::fs;
use std::path::Path;

use corruptor::pairs::{PairMetadata, PairWriter, Written, read_pairs};
use corruptor::{Channel, CorruptSettings, Event, EventOp, IoError, Pair, Passage};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::schema::printer::print_schema;
use proptest::prelude::*;
use tempfile::tempdir;

use crate::helpers::{names, settings, text, texts, tree, write_parquet};

fn metadata() -> PairMetadata {
    let (corpus, corrupt) = settings();
    PairMetadata::of(&corpus, &corrupt).unwrap()
}

fn made(count: u32) -> Vec<Pair> {
    let channel = Channel::new(&settings().1).unwrap();
    let text = text(3);
    let passage = Passage { source: "s", doc_id: "d", start: 0, text: &text };
    (0..count).map(|copy| channel.pair(&passage, copy)).collect()
}

fn write(directory: &Path, pairs: &[Pair], part_rows: usize) -> Written {
    let mut writer = PairWriter::create(directory, &metadata()).unwrap().with_part_rows(part_rows);
    pairs.iter().cloned().try_for_each(|pair| writer.write(pair)).unwrap();
    writer.finish().unwrap()
}

fn reread(path: &Path) -> Vec<Pair> {
    read_pairs(path).unwrap().map(Result::unwrap).collect()
}

/// What every consumer reads. It never changes within a major version.
#[test]
fn the_schema_is_the_documented_one() {
    let home = tempdir().unwrap();
    write(home.path(), &made(1), 10);
    let file = fs::File::open(home.path().join("part-00000.parquet")).unwrap();
    let reader = SerializedFileReader::new(file).unwrap();
    let mut found = Vec::new();
    print_schema(&mut found, reader.metadata().file_metadata().schema());
    let golden = include_str!("pair_schema.txt");
    assert_eq!(String::from_utf8(found).unwrap().trim(), golden.trim(), "see tests/io/pair_schema.txt");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn pairs_come_back_as_they_were(
        text in "(\\PC|[a-c \r\n\u{0}]|e\u{301}|🇩🇪){0,40}",
        source in "\\PC{0,5}",
        doc_id in "\\PC{0,5}",
        start in any::<u64>(),
        rate in 0.0f64..0.5,
        copies in 1u32..40,
    ) {
        let channel = Channel::new(&CorruptSettings::default().with_total_rate(rate)).unwrap();
        let passage = Passage { source: &source, doc_id: &doc_id, start, text: &text };
        let pairs: Vec<_> = (0..copies).map(|copy| channel.pair(&passage, copy)).collect();
        let home = tempdir().unwrap();
        write(home.path(), &pairs, 16);
        prop_assert_eq!(reread(home.path()), pairs);
    }
}

#[test]
fn real_pairs_have_edits_and_no_noise_level() {
    let home = tempdir().unwrap();
    let event =
        Event { op: EventOp::Edit, start: 1, length: 2, removed: "rn".into(), replacement: "m".into() };
    let real = Pair {
        noise: None,
        original: "arne".into(),
        corrupted: "ame".into(),
        events: vec![event],
        ..made(1).remove(0)
    };
    let pairs = [made(1).remove(0), real];
    write(home.path(), &pairs, 10);
    assert_eq!(reread(home.path()), pairs);
}

#[test]
fn parts_are_cut_exactly() {
    let home = tempdir().unwrap();
    let pairs = made(2500);
    let at = |name: &str| home.path().join(name);
    assert_eq!(write(&at("a"), &pairs, 1000), Written { rows: 2500, parts: 3 });
    assert_eq!(names(&at("a")), ["part-00000.parquet", "part-00001.parquet", "part-00002.parquet"]);
    assert_eq!(reread(&at("a/part-00001.parquet")), pairs[1000..2000]);
    assert_eq!(reread(&at("a")), pairs);
    assert_eq!(write(&at("b"), &pairs[..2000], 1000).parts, 2);
    assert_eq!(write(&at("c"), &pairs, 1_000_000).parts, 1);
    assert_eq!(reread(&at("c")), pairs);
}

#[test]
fn no_pairs_are_one_part_without_rows() {
    let home = tempdir().unwrap();
    assert_eq!(write(home.path(), &[], 10), Written { rows: 0, parts: 1 });
    assert_eq!(reread(home.path()), []);
}

#[test]
fn an_abandoned_part_leaves_nothing() {
    let home = tempdir().unwrap();
    let mut writer = PairWriter::create(home.path(), &metadata()).unwrap();
    made(1500).into_iter().try_for_each(|pair| writer.write(pair)).unwrap();
    drop(writer);
    assert_eq!(names(home.path()), Vec::<String>::new());
}

#[test]
fn other_schemas_and_damage_are_named() {
    let home = tempdir().unwrap();
    let other = home.path().join("other.parquet");
    write_parquet(&other, &[("original", vec![Some("x".to_owned())])]);
    let message = read_pairs(&other).unwrap().next().unwrap().unwrap_err().to_string();
    assert!(message.contains("other.parquet") && message.contains("no column \"id\""), "{message}");

    let cut = home.path().join("cut.parquet");
    write(home.path(), &made(100), 1000);
    let bytes = fs::read(home.path().join("part-00000.parquet")).unwrap();
    fs::write(&cut, &bytes[..bytes.len() - 10]).unwrap();
    let mut pairs = read_pairs(&cut).unwrap();
    let message = pairs.next().unwrap().unwrap_err().to_string();
    assert!(message.contains("cut.parquet is not a whole Parquet file"), "{message}");
    assert!(pairs.next().is_none(), "nothing follows an error");
    assert!(matches!(read_pairs(&home.path().join("none")), Err(IoError::File { .. })));
}

/// Anyone may reorder, add and widen columns: pandas and Spark do.
#[test]
fn columns_written_by_others_are_read() {
    use arrow::compute::cast;
    use arrow::datatypes::DataType;
    let home = tempdir().unwrap();
    let pairs = made(20);
    write(home.path(), &pairs, 1000);
    let file = fs::File::open(home.path().join("part-00000.parquet")).unwrap();
    let mut reader = parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, 100).unwrap();
    let batch = reader.next().unwrap().unwrap();
    let extra = ("restored", batch.column_by_name("original").unwrap().clone(), true);
    let names: Vec<String> = batch.schema().fields().iter().map(|f| f.name().clone()).collect();
    let columns = names.iter().rev().map(|name| {
        let column = batch.column_by_name(name).unwrap();
        let widened =
            cast(column, &DataType::LargeUtf8).ok().filter(|_| *column.data_type() == DataType::Utf8);
        (name.as_str(), widened.unwrap_or_else(|| column.clone()), true)
    });
    let columns = std::iter::once(extra).chain(columns);
    let batch = arrow::array::RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    let path = home.path().join("widened.parquet");
    crate::helpers::write_batch(&path, &batch);
    assert_eq!(reread(&path), pairs);
}

#[test]
fn the_bytes_of_a_small_set_stay_the_same_between_runs() {
    let home = tempdir().unwrap();
    write(&home.path().join("a"), &made(texts(1).len() as u32), 700);
    write(&home.path().join("b"), &made(texts(1).len() as u32), 700);
    assert_eq!(tree(&home.path().join("a")), tree(&home.path().join("b")));
}
