//! The walk over all files of a data set.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::path::{Path, PathBuf};

use rayon::ThreadPool;
use rayon::prelude::*;

use super::check::{Distances, check};
use super::licences::{Licences, licences};
use super::rules::{Rules, corrupt_of, metadata_of};
use super::sample::Sample;
use super::statistics::SplitStatistics;
use crate::documents::digest;
use crate::generate::thread_pool;
use crate::io_error::IoError;
use crate::pair::Pair;
use crate::pairs::{PairMetadata, Pairs, read_pairs};
use crate::progress::{Observer, Progress, report};
use crate::split::Split;
use crate::store::is_directory;

/// How [`inspect`] works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InspectOptions {
    /// Bad rows that are described; the others are counted.
    pub findings_kept: usize,
    /// Pairs of each split that are kept as examples: a random sample that depends on the ids alone.
    pub examples_kept: usize,
    /// The corpus that the pairs were made of, for the licences of its sources.
    pub corpus: Option<PathBuf>,
    /// Worker threads; `None`: one for each core.
    pub threads: Option<usize>,
}

impl Default for InspectOptions {
    fn default() -> Self {
        Self { findings_kept: 10, examples_kept: 12, corpus: None, threads: None }
    }
}

/// A row that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file.
    pub file: PathBuf,
    /// Number of the row, counted from 0.
    pub row: u64,
    /// The pair's id.
    pub id: u64,
    /// What does not hold.
    pub message: String,
}

/// What [`inspect`] has found.
#[derive(Clone, Debug, Default)]
pub struct Inspection {
    /// Name and statistics of each split; a path without splits is one, named `pairs`.
    pub splits: Vec<(String, SplitStatistics)>,
    /// Rows that break a rule.
    pub bad_rows: u64,
    /// The first of them.
    pub findings: Vec<Finding>,
    /// A sample of each split, in the order of the splits.
    pub examples: Vec<Example>,
    /// What the files say about their making: each different metadata once, the first [`METADATA_KEPT`](Self::METADATA_KEPT).
    pub metadata: Vec<PairMetadata>,
    /// What the corpus says about its sources.
    pub licences: Licences,
}

/// A row to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The name of its split.
    pub split: String,
    /// The row.
    pub pair: Pair,
}

/// Checks every pair under `path`: a data set with splits, one split, or a file.
///
/// Each row must have the id of its key, replay, invert, state its error rate and a noise level of the recipe in its file's
/// metadata; no document may stand in two splits, and no text of a real pair, which is a document of its own. Besides a chunk
/// of rows, memory holds about 40 bytes for each document and each different real text.
///
/// # Errors
/// If a file cannot be read or departs from the pair schema. Rows that break a rule are findings, not errors.
pub fn inspect(
    path: &Path,
    options: &InspectOptions,
    observer: &mut Observer<'_>,
) -> Result<Inspection, IoError> {
    let pool = thread_pool(options.threads)?;
    let known = options.corpus.as_deref().map(licences).transpose()?.unwrap_or_default();
    let found = Inspection { licences: known, ..Inspection::default() };
    let mut walk = Walk { options, pool: &pool, documents: HashMap::new(), texts: HashMap::new(), found };
    let mut splits = Vec::new();
    for split in Split::ALL {
        let path = path.join(split.name());
        if is_directory(&path)? {
            splits.push((split.name(), path));
        }
    }
    if splits.is_empty() {
        walk.split(0, "pairs", path, observer)?;
    }
    for (index, (name, path)) in splits.iter().enumerate() {
        walk.split(index as u8, name, path, observer)?;
    }
    Ok(walk.found)
}

/// Distances, what does not hold, and the digest of the document.
type Checked = (Distances, Result<(), String>, u128);

struct Walk<'w> {
    options: &'w InspectOptions,
    pool: &'w ThreadPool,
    /// Digest of source and document → the split in which it stood first.
    documents: HashMap<u128, u8>,
    /// Digest of the original of a real pair → the split in which it stood first.
    texts: HashMap<u128, u8>,
    found: Inspection,
}

impl Walk<'_> {
    fn split(
        &mut self,
        split: u8,
        name: &str,
        path: &Path,
        observer: &mut Observer<'_>,
    ) -> Result<(), IoError> {
        let stage = format!("inspect {name}");
        let mut pairs = read_pairs(path)?;
        let total = Pairs::rows_in(path)?;
        let mut statistics = SplitStatistics::default();
        let mut sample = Sample::new(self.options.examples_kept);
        let (mut rules, mut rules_of) = (Rules::default(), PathBuf::new());
        while let Some(chunk) = pairs.next_chunk()? {
            if rules_of != chunk.file {
                rules = self.rules(&chunk.file)?;
                rules_of.clone_from(&chunk.file);
            }
            let checked: Vec<Checked> = self.pool.install(|| {
                let check = |pair: &Pair| {
                    let (distances, result) = check(pair);
                    let result = result.and_then(|()| rules.check(pair));
                    (distances, result, digest(&[&pair.source, &pair.doc_id]))
                };
                chunk.pairs.par_iter().map(check).collect()
            });
            for (row, (pair, (distances, result, document))) in
                (chunk.first_row..).zip(chunk.pairs.iter().zip(checked))
            {
                let before = self.documents.len();
                let first_split = *self.documents.entry(document).or_insert(split);
                statistics.add(pair, distances, self.documents.len() > before);
                sample.offer(pair);
                let crossed = if first_split != split {
                    Err(format!("its document {:?} stands in another split too", pair.doc_id))
                } else if pair.noise.is_none() && self.text_crosses(&pair.original, split) {
                    Err("its original stands in another split too, in another document".to_owned())
                } else {
                    Ok(())
                };
                let result = result.and(crossed);
                if let Err(message) = result {
                    self.report(Finding { file: chunk.file.clone(), row, id: pair.id, message });
                }
            }
            report(
                observer,
                Progress { stage: &stage, done: statistics.rows, total, records: statistics.rows },
            )?;
        }
        statistics.finish();
        let examples = sample.into_pairs().map(|pair| Example { split: name.to_owned(), pair });
        self.found.examples.extend(examples);
        self.found.splits.push((name.to_owned(), statistics));
        Ok(())
    }

    /// What the metadata of the next file demands; different metadata are kept for the report.
    fn rules(&mut self, file: &Path) -> Result<Rules, IoError> {
        let Some(metadata) = metadata_of(file) else { return Ok(Rules::default()) };
        let rules = corrupt_of(&metadata, file)?.map_or_else(Rules::default, |settings| Rules::of(&settings));
        let known = &mut self.found.metadata;
        if known.len() < Inspection::METADATA_KEPT && !known.contains(&metadata) {
            known.push(metadata);
        }
        Ok(rules)
    }

    fn text_crosses(&mut self, text: &str, split: u8) -> bool {
        match self.texts.entry(digest(&[text])) {
            Entry::Occupied(first) => *first.get() != split,
            Entry::Vacant(new) => {
                new.insert(split);
                false
            }
        }
    }

    fn report(&mut self, finding: Finding) {
        self.found.bad_rows += 1;
        if self.found.findings.len() < self.options.findings_kept {
            self.found.findings.push(finding);
        }
    }
}

impl Inspection {
    /// Different metadata of files that are kept.
    pub const METADATA_KEPT: usize = 8;

    /// The statistics as JSON: an object with one key a split.
    pub fn metrics(&self) -> serde_json::Value {
        let splits = self.splits.iter();
        splits.map(|(name, statistics)| (name.clone(), serde_json::json!(statistics))).collect()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, row {}, id {}: {}", self.file.display(), self.row, self.id, self.message)
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, split) in &self.splits {
            let SplitStatistics { rows, documents, passages, unchanged, .. } = split;
            writeln!(
                f,
                "{name}: {rows} rows, {passages} passages of {documents} documents, {unchanged} unchanged"
            )?;
            write!(f, "  CER {:.2} %; by noise level:", 100.0 * split.cer)?;
            for (bits, level) in &split.levels {
                write!(f, " {}: {:.2} % ({} rows)", f32::from_bits(*bits), 100.0 * level.cer, level.rows)?;
            }
            if let Some(real) = split.real {
                write!(f, " real pairs: {:.2} % ({} rows)", 100.0 * real.cer, real.rows)?;
            }
            writeln!(f)?;
            for (op, of) in &split.events {
                writeln!(
                    f,
                    "  {op}: {} events, {:.2} in 1,000 graphemes, spans of {:.2} on average, {} at most",
                    of.events, of.per_1000_graphemes, of.mean_span, of.max_span
                )?;
            }
        }
        match self.bad_rows {
            0 => write!(f, "every row holds"),
            bad_rows => write!(f, "{bad_rows} bad rows"),
        }
    }
}
