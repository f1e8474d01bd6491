//! The import itself: rows in, aligned in parallel, written in order.

use std::fmt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::keys::{Key, Keys};
use super::rows::{Row, Rows};
use crate::alignment::align;
use crate::atomic::Existing;
use crate::corpus::{CorpusSettings, digest};
use crate::distance::cer;
use crate::documents::{Document, DocumentOptions, Skip, SkipReason, Skips};
use crate::generate::thread_pool;
use crate::io_error::IoError;
use crate::pair::{Pair, Passage};
use crate::pairs::{PairMetadata, PairWriter};
use crate::progress::{Observer, Progress, report};
use crate::random::pair_id;
use crate::split::{Split, SplitShares};
use crate::store::Output;

/// Text and rows that are held at a time.
const CHUNK_TEXT_BYTES: usize = 4 << 20;
const CHUNK_ROWS: usize = 8_192;

/// One of the two texts of every row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Texts {
    /// `.txt`: a line is a row; else by extension as everywhere, also compressed.
    pub path: PathBuf,
    /// The column (CSV, Parquet) or key (JSON lines).
    pub column: String,
}

/// Which split a row falls in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ImportSplit {
    /// All rows in one.
    All(Split),
    /// By [`split_of`](crate::split_of) the document's id where it brings one, else its text.
    ByDocument(SplitShares),
}

/// What [`import`] reads and writes.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportOptions {
    /// The originals.
    pub correct: Texts,
    /// The corrupted texts; it may be another column of the same file.
    pub corrupted: Texts,
    /// Id and source columns, of the file with the originals; the longest row.
    pub documents: DocumentOptions,
    /// The corpus name of rows that bring none.
    pub source: String,
    /// Which splits are made.
    pub split: ImportSplit,
    /// The output directory, or a URL of a store.
    pub out: PathBuf,
    /// What to do if it is there already.
    pub existing: Existing,
    /// Rows of a part.
    pub part_rows: usize,
    /// Worker threads; `None`: one for each core. The output does not depend on it.
    pub threads: Option<usize>,
}

impl ImportOptions {
    /// The default of [`source`](Self::source).
    pub const DEFAULT_SOURCE: &str = "real";
    /// The column of the originals, where both texts stand in one file.
    pub const DEFAULT_CORRECT_COLUMN: &str = "correct";
    /// The column of the corrupted texts, where both stand in one file.
    pub const DEFAULT_CORRUPTED_COLUMN: &str = "corrupted";

    /// The defaults for these texts and this output.
    pub fn new(correct: Texts, corrupted: Texts, out: impl Into<PathBuf>) -> Self {
        let settings = CorpusSettings::default();
        Self {
            correct,
            corrupted,
            // The distance of a pair takes quadratic time, as in `CorpusSettings::MAX_WINDOW_BYTES`.
            documents: DocumentOptions {
                max_record_bytes: CorpusSettings::MAX_WINDOW_BYTES as u64,
                ..DocumentOptions::default()
            },
            source: Self::DEFAULT_SOURCE.to_owned(),
            split: ImportSplit::ByDocument(settings.shares()),
            out: out.into(),
            existing: Existing::Keep,
            part_rows: PairWriter::DEFAULT_PART_ROWS,
            threads: None,
        }
    }
}

/// What [`import`] has written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImportSummary {
    /// Documents and pairs of each split, in the order of [`Split::ALL`].
    pub splits: [(u64, u64); 3],
    /// Pairs whose texts are equal.
    pub unchanged: u64,
    /// Events in all.
    pub events: u64,
    /// Rows that were passed over.
    pub skips: Skips,
}

/// Turns two columns of real texts into pairs: `<out>/{train,valid,test}/part-NNNNN.parquet`, as a whole or not at all; with
/// [`ImportSplit::All`], that split only.
///
/// Rows in which one of the texts is empty, null or not UTF-8 are skipped and counted, and so are those whose text stands under
/// another id in another split. Memory holds a chunk of rows, and about 60 bytes for each different text.
///
/// # Errors
/// If a file cannot be read, both do not have the same number of rows, no row has both texts, or the output cannot be written.
pub fn import(options: &ImportOptions, observer: &mut Observer<'_>) -> Result<ImportSummary, IoError> {
    let splits = match options.split {
        ImportSplit::All(split) => vec![split],
        ImportSplit::ByDocument(SplitShares { valid, test }) => {
            CorpusSettings { valid_share: valid, test_share: test, ..CorpusSettings::default() }
                .validate()?;
            Split::ALL.to_vec()
        }
    };
    let pool = thread_pool(options.threads)?;
    let mut rows = Rows::open(&options.correct, &options.corrupted, &options.documents)?;
    let metadata = PairMetadata::imported(origin(&options.correct, &options.corrupted)?);
    let mut out = Output::create(&options.out, options.existing)?;
    let mut writers = splits
        .into_iter()
        .map(|split| {
            let writer = PairWriter::create(&out.path().join(split.name()), &metadata)?;
            Ok((split, writer.with_part_rows(options.part_rows)))
        })
        .collect::<Result<Vec<_>, IoError>>()?;
    let (mut keys, mut summary) = (Keys::default(), ImportSummary::default());
    let (mut chunk, mut chunk_bytes, mut is_done) = (Vec::new(), 0, false);
    while !is_done {
        match rows.next()? {
            None => is_done = true,
            Some(Row::Skipped(skip)) => summary.skips.add(skip),
            Some(Row::Pair { correct: Document { text, doc_id, source, place }, corrupted }) => {
                let source = source.unwrap_or_else(|| options.source.clone());
                match keys.next(&source, doc_id, &text, options.split) {
                    None => summary.skips.add(Skip { place, reason: SkipReason::Duplicate }),
                    Some(key) => {
                        chunk_bytes += text.len() + corrupted.len();
                        chunk.push(Keyed { key, source, text, corrupted });
                    }
                }
            }
        }
        if is_done || chunk_bytes >= CHUNK_TEXT_BYTES || chunk.len() >= CHUNK_ROWS {
            let keyed = std::mem::take(&mut chunk);
            chunk_bytes = 0;
            let pairs: Vec<(Split, Pair)> =
                pool.install(|| keyed.into_par_iter().map(Keyed::into_pair).collect());
            for (split, pair) in pairs {
                summary.add(split, &pair);
                let writer = writers.iter_mut().find(|(of, _)| *of == split);
                writer.map_or(Ok(()), |(_, writer)| writer.write(pair))?;
            }
            let (done, total) = rows.progress();
            let records = summary.pairs();
            report(observer, Progress { stage: "import", done, total, records })?;
            out.publish()?;
        }
    }
    if summary.pairs() == 0 {
        return Err(IoError::NoText { skipped: summary.skips.to_string() });
    }
    writers.into_iter().try_for_each(|(_, writer)| writer.finish().map(drop))?;
    out.commit()?;
    Ok(summary)
}

/// A row with its key.
struct Keyed {
    key: Key,
    source: String,
    text: String,
    corrupted: String,
}

impl Keyed {
    fn into_pair(self) -> (Split, Pair) {
        let Self { key: Key { doc_id, start, copy, split, .. }, source, text, corrupted } = self;
        let passage = Passage { source: &source, doc_id: &doc_id, start, text: &text };
        let pair = Pair {
            id: pair_id(&passage, copy),
            noise: None,
            events: align(&text, &corrupted),
            cer: cer(&text, &corrupted),
            doc_id,
            source,
            start,
            copy,
            original: text,
            corrupted,
        };
        (split, pair)
    }
}

/// Names without paths, digests, and columns where the format has them.
fn origin(correct: &Texts, corrupted: &Texts) -> Result<String, IoError> {
    let of = |texts: &Texts| -> Result<serde_json::Value, IoError> {
        let name = texts.path.file_name().map(|name| name.to_string_lossy().into_owned());
        let mut object = serde_json::json!({ "file": name, "sha256": digest::of_file(&texts.path)? });
        if !is_lines(&texts.path) {
            object["column"] = texts.column.clone().into();
        }
        Ok(object)
    };
    Ok(serde_json::json!({ "correct": of(correct)?, "corrupted": of(corrupted)? }).to_string())
}

fn is_lines(path: &Path) -> bool {
    use crate::documents::{Format, InputFile};
    InputFile::new(path).is_ok_and(|file| file.format == Format::Text)
}

impl ImportSummary {
    fn add(&mut self, split: Split, pair: &Pair) {
        let (documents, pairs) = &mut self.splits[split as usize];
        *documents += u64::from(pair.start == 0 && pair.copy == 0);
        *pairs += 1;
        self.unchanged += u64::from(pair.events.is_empty());
        self.events += pair.events.len() as u64;
    }

    /// Pairs of all splits.
    pub fn pairs(&self) -> u64 {
        self.splits.iter().map(|(_, pairs)| pairs).sum()
    }
}

impl fmt::Display for ImportSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (split, (documents, pairs)) in Split::ALL.into_iter().zip(self.splits) {
            if pairs > 0 {
                writeln!(f, "{}: {documents} documents, {pairs} pairs", split.name())?;
            }
        }
        write!(f, "{} edits; {} pairs unchanged\n{}", self.events, self.unchanged, self.skips)
    }
}
