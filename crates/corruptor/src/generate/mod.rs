//! From documents to pairs: split by document, cut into passages, corrupt each one several times, write.
//!
//! One thread reads ahead, workers cut documents and make row groups, and row groups are written in input order. What stands
//! in which row group follows from the documents and the recipe, so the bytes of the output depend on nothing else; queues
//! are bounded in bytes, so memory is too. Finished parts survive the end of the process: the same run goes on after them.

mod budget;
mod job;
mod journal;
mod parts;
mod pipeline;
mod plan;
mod reader;
mod resolved;
mod summary;
mod work;

use std::path::PathBuf;
use std::sync::Arc;

use rayon::ThreadPool;

use crate::atomic::Existing;
use crate::channel::Channel;
use crate::corpus::CorpusSettings;
use crate::documents::{DocumentOptions, Documents, UniqueDocuments, input_files};
use crate::io_error::IoError;
use crate::pairs::{GroupEncoder, PairMetadata, PairWriter, write_error};
use crate::progress::Observer;
use crate::settings::CorruptSettings;
use crate::split::Split;
use crate::store::check_replaceable;

use job::Worker;
use journal::Identity;
use parts::Parts;
use pipeline::Pipeline;
use plan::Plan;
use reader::{Reader, Reading};
use resolved::resolved;
pub use summary::{GenerateSummary, SplitSummary};
use work::WorkDir;

/// What [`generate`] reads and writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GenerateOptions {
    /// Files and directories, also by URL, read in this order.
    pub inputs: Vec<PathBuf>,
    /// How they are read.
    pub documents: DocumentOptions,
    /// The corpus name of documents that bring none. Part of the record key, so it is never taken from a file's name.
    pub source: String,
    /// The output directory, or a URL of a store.
    pub out: PathBuf,
    /// What to do if it is there already.
    pub existing: Existing,
    /// Rows of a part.
    pub part_rows: usize,
    /// Worker threads; `None`: one for each core. The output does not depend on it.
    pub threads: Option<usize>,
    /// Whether the column `cer` is measured.
    pub cer: CerColumn,
}

/// What the column `cer` holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CerColumn {
    /// The character error rate of each pair.
    #[default]
    Measured,
    /// Not a number: for measuring what the distance costs. Such pairs do not pass inspection.
    NotMeasured,
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
            cer: CerColumn::Measured,
        }
    }

    /// Everything that the bytes of the output depend on, but for recipe and input.
    fn identity(&self) -> String {
        let Self { documents, source, part_rows, cer, .. } = self;
        format!("{documents:?}, source {source:?}, {part_rows} rows a part, cer {cer:?}")
    }
}

/// Makes pairs of every document and writes them to `<out>/{train,valid,test}/part-NNNNN.parquet`, as a whole or not at all.
///
/// Settings that depend on files or on the corpus are [resolved](crate::resolve) first.
/// Training passages are corrupted `copies` times, held-out ones `heldout_copies` times. Of exact duplicates the first counts.
/// Parts that an interrupted run with the same recipe, options and input has finished are taken over.
///
/// # Errors
/// If a setting is out of its range, an input cannot be read or holds no text, two texts share an id, or the output cannot be
/// written. [`IoError::Interrupted`] and [`IoError::Paused`] say that finished parts are kept.
pub fn generate(
    corpus: &CorpusSettings,
    corrupt: &CorruptSettings,
    options: &GenerateOptions,
    observer: &mut Observer<'_>,
) -> Result<GenerateSummary, IoError> {
    corpus.validate()?;
    let pool = thread_pool(options.threads)?;
    check_replaceable(&options.out, options.existing)?;
    let corrupt = &resolved(corpus, corrupt, options, &pool, observer)?;
    let channel = Channel::new(corrupt)?;
    let metadata = PairMetadata::of(corpus, corrupt)?;
    let encoder = GroupEncoder::new(&metadata).map_err(write_error(&options.out))?;
    let worker = Arc::new(Worker { channel, encoder, cer: options.cer });
    let files = input_files(&options.inputs)?;
    let names: Vec<_> = files.iter().map(|file| (&*file.label, file.bytes)).collect();
    let program = format!("{}, Unicode {}", metadata.version, metadata.unicode);
    let identity = Identity::new(program, metadata.recipe.unwrap_or_default(), options.identity(), &names);
    let (work, journal) = WorkDir::open(&options.out, options.existing, &identity)?;
    let reading = Reading {
        documents: Documents::of_files(files, options.documents.clone()),
        unique: UniqueDocuments::spilling_into(work.path()),
        source: options.source.clone(),
        shares: corpus.shares(),
    };
    let last = |split| work.finished().iter().rfind(|record| record.split == split);
    let copies = [corrupt.copies, corrupt.heldout_copies, corrupt.heldout_copies];
    let plan = Plan::new(copies, options.part_rows.max(1), Split::ALL.map(last), work.path());
    let mut parts = Parts::new(Arc::clone(&worker), &work, journal)?;
    let pipeline = Pipeline::new(corpus, worker, &pool, plan, &work, &mut parts);
    let made = Reader::start(reading).and_then(|reader| pipeline.run(&reader, observer));
    // What is complete becomes durable even where something else has failed.
    let settled = parts.settle();
    match made.and_then(|summary| settled.map(|()| summary)) {
        Ok(summary) => work.commit().map(|()| summary),
        Err(error) => Err(work.abandon(error)),
    }
}

/// A pool of worker threads; `None`: one for each core.
pub(crate) fn thread_pool(threads: Option<usize>) -> Result<ThreadPool, IoError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.unwrap_or(0))
        .build()
        .map_err(|error| IoError::Threads(error.to_string()))
}
