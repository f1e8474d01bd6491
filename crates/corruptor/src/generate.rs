//! From documents to pairs: split by document, cut into passages, corrupt each one several times, write.
//!
//! Work is cut into chunks whose pairs are made in parallel and written in input order, so memory is bounded and the bytes
//! of the output depend on the input's order and the recipe alone.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use rayon::ThreadPool;
use rayon::prelude::*;

use crate::atomic::{AtomicDir, Existing};
use crate::channel::{AttemptCounts, Channel};
use crate::corpus::CorpusSettings;
use crate::documents::{
    Document, DocumentOptions, Documents, Record, Skip, SkipReason, Skips, UniqueDocuments,
};
use crate::io_error::IoError;
use crate::op::Op;
use crate::pair::{Pair, Passage};
use crate::pairs::{PairMetadata, PairWriter};
use crate::passage::passages;
use crate::progress::{Observer, Progress, report};
use crate::settings::CorruptSettings;
use crate::split::{Split, document_id, split_of};

/// Text of the documents that are held at a time (a larger document is held alone).
const CHUNK_TEXT_BYTES: usize = 4 << 20;
/// Text of the pairs that are held at a time.
const GROUP_TEXT_BYTES: usize = 4 << 20;

/// What [`generate`] reads and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateOptions {
    /// Files and directories, read in this order.
    pub inputs: Vec<PathBuf>,
    /// How they are read.
    pub documents: DocumentOptions,
    /// The corpus name of documents that bring none. Part of the record key, so it is never taken from a file's name.
    pub source: String,
    /// The output directory.
    pub out: PathBuf,
    /// What to do if it is there already.
    pub existing: Existing,
    /// Rows of a part.
    pub part_rows: usize,
    /// Worker threads; `None`: one for each core. The output does not depend on it.
    pub threads: Option<usize>,
}

impl GenerateOptions {
    /// The default of [`source`](Self::source).
    pub const DEFAULT_SOURCE: &str = "input";

    /// The defaults for these inputs and this output.
    pub fn new(inputs: Vec<PathBuf>, out: impl Into<PathBuf>) -> Self {
        Self {
            inputs,
            documents: DocumentOptions::default(),
            source: Self::DEFAULT_SOURCE.to_owned(),
            out: out.into(),
            existing: Existing::Keep,
            part_rows: PairWriter::DEFAULT_PART_ROWS,
            threads: None,
        }
    }
}

/// What [`generate`] has written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerateSummary {
    /// Counts of each split, in the order of [`Split::ALL`].
    pub splits: [SplitSummary; 3],
    /// What was passed over.
    pub skips: Skips,
    /// What the sampler tried.
    pub attempts: AttemptCounts,
}

/// What one split holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SplitSummary {
    /// Documents.
    pub documents: u64,
    /// Passages.
    pub passages: u64,
    /// Pairs.
    pub pairs: u64,
}

/// Makes pairs of every document and writes them to `<out>/{train,valid,test}/part-NNNNN.parquet`, as a whole or not at all.
///
/// Training passages are corrupted `copies` times, held-out ones `heldout_copies` times. Of exact duplicates the first counts.
///
/// # Errors
/// If a setting is out of its range, an input cannot be read or holds no text, two texts share an id, or the output cannot be
/// written.
pub fn generate(
    corpus: &CorpusSettings,
    corrupt: &CorruptSettings,
    options: &GenerateOptions,
    observer: &mut Observer<'_>,
) -> Result<GenerateSummary, IoError> {
    corpus.validate()?;
    let channel = Channel::new(corrupt)?;
    let metadata = PairMetadata::of(corpus, corrupt)?;
    let pool = thread_pool(options.threads)?;
    let mut documents = Documents::open(&options.inputs, options.documents.clone())?;
    let out = AtomicDir::create(&options.out, options.existing)?;
    let mut sink = Sink {
        corpus,
        channel: &channel,
        pool: &pool,
        writers: Vec::new(),
        summary: GenerateSummary::default(),
    };
    for split in Split::ALL {
        let writer = PairWriter::create(&out.path().join(split.name()), &metadata)?;
        sink.writers.push(writer.with_part_rows(options.part_rows));
    }
    let mut unique = UniqueDocuments::default();
    let mut chunk = Chunk::default();
    while let Some(record) = documents.next() {
        match record? {
            Record::Skipped(skip) => sink.summary.skips.add(skip),
            Record::Document(document) => {
                let source = document.source.as_deref().unwrap_or(&options.source);
                if unique.admit(source, document.doc_id.as_deref(), &document.text, &document.place)? {
                    chunk.push(document, options, corpus);
                } else {
                    sink.summary.skips.add(Skip { place: document.place, reason: SkipReason::Duplicate });
                }
            }
        }
        if chunk.text_bytes >= CHUNK_TEXT_BYTES {
            let (done, total) = documents.progress();
            sink.take(&std::mem::take(&mut chunk), &mut |records| {
                report(observer, Progress { stage: "generate", done, total, records })
            })?;
        }
    }
    let (_, total) = documents.progress();
    sink.take(&chunk, &mut |records| {
        report(observer, Progress { stage: "generate", done: total, total, records })
    })?;
    let Sink { writers, summary, .. } = sink;
    if summary.splits.iter().all(|split| split.documents == 0) {
        return Err(IoError::NoText { skipped: summary.skips.to_string() });
    }
    for writer in writers {
        writer.finish()?;
    }
    out.commit()?;
    Ok(summary)
}

/// A pool of worker threads; `None`: one for each core.
pub(crate) fn thread_pool(threads: Option<usize>) -> Result<ThreadPool, IoError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0))
        .build()
        .map_err(|error| IoError::Threads(error.to_string()))
}

/// A document with its key.
struct Keyed {
    source: String,
    doc_id: String,
    text: String,
    split: Split,
}

#[derive(Default)]
struct Chunk {
    documents: Vec<Keyed>,
    text_bytes: usize,
}

impl Chunk {
    fn push(&mut self, document: Document, options: &GenerateOptions, corpus: &CorpusSettings) {
        let Document { text, doc_id, source, .. } = document;
        self.text_bytes += text.len();
        let split = split_of(&text, corpus.shares());
        let doc_id = doc_id.unwrap_or_else(|| document_id(&text));
        let source = source.unwrap_or_else(|| options.source.clone());
        self.documents.push(Keyed { source, doc_id, text, split });
    }
}

/// Where chunks become pairs.
struct Sink<'s> {
    corpus: &'s CorpusSettings,
    channel: &'s Channel,
    pool: &'s ThreadPool,
    writers: Vec<PairWriter>,
    summary: GenerateSummary,
}

impl Sink<'_> {
    /// Makes and writes the pairs of a chunk; `observe` hears the number of pairs so far.
    fn take(
        &mut self,
        chunk: &Chunk,
        observe: &mut dyn FnMut(u64) -> Result<(), IoError>,
    ) -> Result<(), IoError> {
        let CorpusSettings { window_bytes, min_passage_bytes, .. } = *self.corpus;
        let cut =
            |document: &Keyed| passages(&document.text, window_bytes, min_passage_bytes).collect::<Vec<_>>();
        let ranges: Vec<Vec<Range<usize>>> =
            self.pool.install(|| chunk.documents.par_iter().map(cut).collect());
        let mut jobs = Vec::new();
        for (document, ranges) in chunk.documents.iter().zip(ranges) {
            let split = &mut self.summary.splits[document.split as usize];
            split.documents += 1;
            split.passages += ranges.len() as u64;
            jobs.extend(ranges.into_iter().map(|range| (document, range)));
        }
        let copies = self.channel.settings().copies.max(self.channel.settings().heldout_copies) as usize;
        let group_jobs = (GROUP_TEXT_BYTES / (window_bytes * copies).max(1)).max(1);
        for group in jobs.chunks(group_jobs) {
            let channel = self.channel;
            let made: Vec<(Vec<Pair>, AttemptCounts)> = self.pool.install(|| {
                group.par_iter().map(|(document, range)| corrupt(channel, document, range)).collect()
            });
            for ((document, _), (pairs, attempts)) in group.iter().zip(made) {
                self.summary.attempts.add(&attempts);
                self.summary.splits[document.split as usize].pairs += pairs.len() as u64;
                pairs.into_iter().try_for_each(|pair| self.writers[document.split as usize].write(pair))?;
            }
            observe(self.summary.splits.iter().map(|split| split.pairs).sum())?;
        }
        Ok(())
    }
}

/// All copies of a passage.
fn corrupt(channel: &Channel, document: &Keyed, range: &Range<usize>) -> (Vec<Pair>, AttemptCounts) {
    let Keyed { source, doc_id, text, split } = document;
    let passage = Passage { source, doc_id, start: range.start as u64, text: &text[range.clone()] };
    let copies = match split {
        Split::Train => channel.settings().copies,
        Split::Valid | Split::Test => channel.settings().heldout_copies,
    };
    let mut attempts = AttemptCounts::default();
    let pairs = (0..copies).map(|copy| channel.pair_counted(&passage, copy, &mut attempts)).collect();
    (pairs, attempts)
}

impl fmt::Display for GenerateSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (split, summary) in Split::ALL.into_iter().zip(self.splits) {
            let SplitSummary { documents, passages, pairs } = summary;
            writeln!(f, "{}: {documents} documents, {passages} passages, {pairs} pairs", split.name())?;
        }
        write!(f, "attempts at 1,000 visited positions:")?;
        for op in Op::ALL {
            let (attempted, visited) =
                (self.attempts.attempted[op as usize], self.attempts.visited[op as usize]);
            write!(f, " {op} {:.2}", 1000.0 * attempted as f64 / visited.max(1) as f64)?;
        }
        write!(f, "\n{}", self.skips)
    }
}
