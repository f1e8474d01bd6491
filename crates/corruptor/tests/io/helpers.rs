//! What the tests share: texts, files in every format, recipes.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use corruptor::corpus::CorpusSettings;
use corruptor::documents::{Document, DocumentOptions, Documents, Record, Skips};
use corruptor::generate::{GenerateOptions, GenerateSummary, generate};
use corruptor::pairs::read_pairs;
use corruptor::progress::unobserved;
use corruptor::{CorruptSettings, IoError, Pair, RecordStream, Split};
use parquet::arrow::ArrowWriter;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of bytes, as recipes pin it.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A text of sentences, different for every `number`.
pub(crate) fn text(number: u64) -> String {
    const WORDS: [&str; 12] =
        ["whale", "Union", "ship", "people", "naïve", "law", "sea", "peace", "a", "captain", "of", "the"];
    let mut stream = RecordStream::for_purpose(number, "text");
    let mut text = format!("Document {number}.");
    for _ in 0..12 {
        let words: Vec<_> = (0..4 + stream.below(8)).map(|_| WORDS[stream.below(12) as usize]).collect();
        text.push_str(if stream.below(5) == 0 { "\n\n" } else { " " });
        text.push_str(&words.join(" "));
        text.push('.');
    }
    text
}

pub(crate) fn texts(count: u64) -> Vec<String> {
    (0..count).map(text).collect()
}

/// Writes columns of nullable strings.
pub(crate) fn write_parquet(path: &Path, columns: &[(&str, Vec<Option<String>>)]) {
    let arrays = columns.iter().map(|(name, values)| {
        let array: StringArray = values.iter().map(Option::as_deref).collect();
        (*name, Arc::new(array) as ArrayRef)
    });
    write_batch(path, &RecordBatch::try_from_iter_with_nullable(arrays.map(|(n, a)| (n, a, true))).unwrap());
}

pub(crate) fn write_batch(path: &Path, batch: &RecordBatch) {
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

pub(crate) fn some(values: &[String]) -> Vec<Option<String>> {
    values.iter().cloned().map(Some).collect()
}

/// Writes texts under a name whose extensions say how.
pub(crate) fn write_texts(path: &Path, texts: &[String]) -> PathBuf {
    let extension = |path: &Path| path.extension().unwrap().to_str().unwrap().to_owned();
    let last = extension(path);
    let plain =
        if ["gz", "zst"].contains(&last.as_str()) { path.with_extension("") } else { path.to_path_buf() };
    let bare = plain.with_extension("bare");
    match extension(&plain).as_str() {
        "txt" => fs::write(&bare, &texts[0]).unwrap(),
        "jsonl" => {
            let lines = texts.iter().map(|text| format!("{}\n", serde_json::json!({ "text": text })));
            fs::write(&bare, lines.collect::<String>()).unwrap();
        }
        "csv" => {
            let mut writer = csv::Writer::from_path(&bare).unwrap();
            writer.write_record(["text"]).unwrap();
            texts.iter().try_for_each(|text| writer.write_record([text])).unwrap();
            writer.flush().unwrap();
        }
        _ => write_parquet(&bare, &[("text", some(texts))]),
    }
    let bytes = fs::read(&bare).unwrap();
    fs::remove_file(&bare).unwrap();
    let compressed = match last.as_str() {
        "gz" => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(&bytes).unwrap();
            encoder.finish().unwrap()
        }
        "zst" => zstd::encode_all(bytes.as_slice(), 3).unwrap(),
        _ => bytes,
    };
    fs::write(path, compressed).unwrap();
    path.to_path_buf()
}

pub(crate) fn read(paths: &[PathBuf], options: &DocumentOptions) -> Result<(Vec<Document>, Skips), IoError> {
    let (mut documents, mut skips) = (Vec::new(), Skips::default());
    for record in Documents::open(paths, options.clone())? {
        match record? {
            Record::Document(document) => documents.push(document),
            Record::Skipped(skip) => skips.add(skip),
        }
    }
    Ok((documents, skips))
}

/// Settings under which short documents give several passages in all splits.
pub(crate) fn settings() -> (CorpusSettings, CorruptSettings) {
    let corpus =
        CorpusSettings { window_bytes: 120, valid_share: 0.2, test_share: 0.3, ..CorpusSettings::default() };
    let corrupt = CorruptSettings {
        seed: 5,
        copies: 3,
        heldout_copies: 2,
        ..CorruptSettings::default().with_total_rate(0.1)
    };
    (corpus, corrupt)
}

pub(crate) fn run(options: &GenerateOptions) -> Result<GenerateSummary, IoError> {
    let (corpus, corrupt) = settings();
    generate(&corpus, &corrupt, options, &mut unobserved)
}

/// All pairs of a data set, split by split.
pub(crate) fn pairs_of(out: &Path) -> Vec<Pair> {
    let pairs = Split::ALL.into_iter().flat_map(|split| read_pairs(&out.join(split.name())).unwrap());
    pairs.map(Result::unwrap).collect()
}

/// Every file below a directory with its bytes, in order.
pub(crate) fn tree(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = walkdir::WalkDir::new(root).sort_by_file_name().into_iter().map(Result::unwrap);
    let files = entries.filter(|entry| entry.file_type().is_file());
    files.map(|e| (e.path().strip_prefix(root).unwrap().to_path_buf(), fs::read(e.path()).unwrap())).collect()
}

/// Names in a directory, hidden ones included.
pub(crate) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
