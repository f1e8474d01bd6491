//! The walk over all files of a data set.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use rayon::ThreadPool;
use rayon::prelude::*;

use super::check::{Distances, check};
use super::statistics::SplitStatistics;
use crate::documents::digest;
use crate::generate::thread_pool;
use crate::io_error::IoError;
use crate::pair::Pair;
use crate::pairs::{Pairs, read_pairs};
use crate::progress::{Observer, Progress, report};
use crate::split::Split;

/// How [`inspect`] works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InspectOptions {
    /// Bad rows that are described; the others are counted.
    pub findings_kept: usize,
    /// Pairs kept as examples from the start of each split.
    pub examples_kept: usize,
    /// Worker threads; `None`: one for each core.
    pub threads: Option<usize>,
}

impl Default for InspectOptions {
    fn default() -> Self {
        Self { findings_kept: 10, examples_kept: 8, threads: None }
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
    /// The first pairs of each split, in the order of the splits.
    pub examples: Vec<Pair>,
}

/// Checks every pair under `path`: a data set with splits, one split, or a file.
///
/// Each row must have the id of its key, replay, invert, and state its error rate; no document may stand in two splits.
/// Besides a chunk of rows, memory holds 17 bytes a document.
///
/// # Errors
/// If a file cannot be read or departs from the pair schema. Rows that break a rule are findings, not errors.
pub fn inspect(
    path: &Path,
    options: &InspectOptions,
    observer: &mut Observer<'_>,
) -> Result<Inspection, IoError> {
    let pool = thread_pool(options.threads)?;
    let mut walk = Walk { options, pool: &pool, documents: HashMap::new(), found: Inspection::default() };
    let splits: Vec<_> = Split::ALL
        .into_iter()
        .map(|split| (split.name(), path.join(split.name())))
        .filter(|(_, p)| p.is_dir())
        .collect();
    if splits.is_empty() {
        walk.split(0, "pairs", path, observer)?;
    }
    for (index, (name, path)) in splits.iter().enumerate() {
        walk.split(index as u8, name, path, observer)?;
    }
    Ok(walk.found)
}

struct Walk<'w> {
    options: &'w InspectOptions,
    pool: &'w ThreadPool,
    /// Digest of source and document → the split in which it stood first.
    documents: HashMap<u128, u8>,
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
        let mut examples_left = self.options.examples_kept;
        while let Some(chunk) = pairs.next_chunk()? {
            type Checked = (Distances, Result<(), String>, u128);
            let checked: Vec<Checked> = self.pool.install(|| {
                let check = |pair: &Pair| {
                    let (distances, result) = check(pair);
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
                let crossed = || format!("its document {:?} stands in another split too", pair.doc_id);
                let result = result.and_then(|()| if first_split == split { Ok(()) } else { Err(crossed()) });
                if let Err(message) = result {
                    self.report(Finding { file: chunk.file.clone(), row, id: pair.id, message });
                }
            }
            let taken = examples_left.min(chunk.pairs.len());
            self.found.examples.extend_from_slice(&chunk.pairs[..taken]);
            examples_left -= taken;
            report(
                observer,
                Progress { stage: &stage, done: statistics.rows, total, records: statistics.rows },
            )?;
        }
        statistics.finish();
        self.found.splits.push((name.to_owned(), statistics));
        Ok(())
    }

    fn report(&mut self, finding: Finding) {
        self.found.bad_rows += 1;
        if self.found.findings.len() < self.options.findings_kept {
            self.found.findings.push(finding);
        }
    }
}

impl Inspection {
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
