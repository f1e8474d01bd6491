//! The thread that leads: documents in, jobs out to the workers, row groups back in order.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rayon::ThreadPool;

use super::job::{Done, Worker};
use super::parts::Parts;
use super::plan::{Job, Plan};
use super::reader::{Batch, Keyed, Reader};
use super::summary::{GenerateSummary, SplitSummary};
use super::work::WorkDir;
use crate::corpus::CorpusSettings;
use crate::documents::Skips;
use crate::io_error::IoError;
use crate::passage::passages;
use crate::progress::{Observer, Progress, report};
use crate::split::Split;

/// Memory that jobs may take, from their texts to their encoded columns.
const JOBS_BYTES: usize = 320 << 20;
/// Longest document whose passages are listed before they are taken; a longer one is cut as it goes.
const LISTED_TEXT_BYTES: usize = 4 << 20;
/// How often whoever watches is asked while there is nothing to do but wait.
const PATIENCE: Duration = Duration::from_millis(100);

/// From the reader to the parts.
pub(super) struct Pipeline<'p> {
    corpus: &'p CorpusSettings,
    worker: Arc<Worker>,
    pool: &'p ThreadPool,
    plan: Plan,
    work: &'p WorkDir,
    parts: &'p mut Parts,
    /// Batches that are being cut.
    cutting: VecDeque<Receiver<Cut>>,
    /// Jobs that are being done, with the memory that each takes.
    running: VecDeque<(Receiver<Result<Done, IoError>>, usize)>,
    running_bytes: usize,
    skips: Skips,
    stage: String,
    progress: (u64, u64),
}

/// A batch, and the passages of its documents; `None` where they are not listed.
struct Cut {
    batch: Batch,
    ranges: Vec<Option<Vec<Range<u32>>>>,
}

impl<'p> Pipeline<'p> {
    pub(super) fn new(
        corpus: &'p CorpusSettings,
        worker: Arc<Worker>,
        pool: &'p ThreadPool,
        plan: Plan,
        work: &'p WorkDir,
        parts: &'p mut Parts,
    ) -> Self {
        let stage = match work.finished().len() {
            0 => "generate".to_owned(),
            finished => format!("generate, going on after {finished} finished parts"),
        };
        let (cutting, running) = (VecDeque::new(), VecDeque::new());
        let (skips, progress) = (Skips::default(), (0, 0));
        Self {
            corpus,
            worker,
            pool,
            plan,
            work,
            parts,
            cutting,
            running,
            running_bytes: 0,
            skips,
            stage,
            progress,
        }
    }

    pub(super) fn run(
        mut self,
        reader: &Reader,
        observer: &mut Observer<'_>,
    ) -> Result<GenerateSummary, IoError> {
        let ahead = 2 * self.pool.current_num_threads();
        while let Some(batch) = self.next_batch(reader, observer)? {
            self.cut(batch);
            while self.cutting.len() > ahead {
                self.plan_next(observer)?;
            }
        }
        let splits = Split::ALL.map(|split| {
            let (documents, passages, pairs) = self.plan.counts(split);
            SplitSummary { documents, passages, pairs }
        });
        if splits.iter().all(|split| split.documents == 0) {
            return Err(IoError::NoText { skipped: self.skips.to_string() });
        }
        self.plan.finish()?.into_iter().try_for_each(|job| self.start(job, observer))?;
        while !self.running.is_empty() {
            self.append_next(observer)?;
        }
        Ok(GenerateSummary { splits, skips: self.skips, attempts: self.parts.attempts() })
    }

    /// What was read next, when all that was read before is either planned or can wait: the reader itself waits while too
    /// much of it is not. `None` at the end of the input, with everything planned.
    fn next_batch(&mut self, reader: &Reader, observer: &mut Observer<'_>) -> Result<Option<Batch>, IoError> {
        while !self.cutting.is_empty() {
            if let Some(Ok(batch)) = reader.batches().map(Receiver::try_recv) {
                return batch.map(Some);
            }
            self.plan_next(observer)?;
        }
        self.wait(reader.batches(), observer)?.transpose()
    }

    /// Has a worker list the passages of a batch.
    fn cut(&mut self, batch: Batch) {
        let wanted: Vec<bool> = batch.documents.iter().map(|d| self.plan.wants(d.split)).collect();
        let CorpusSettings { window_bytes, min_passage_bytes, .. } = *self.corpus;
        let (sender, receiver) = channel();
        self.pool.spawn(move || {
            let listed = |(document, wanted): (&Keyed, bool)| match document.text.len() {
                _ if !wanted => Some(Vec::new()),
                long if long > LISTED_TEXT_BYTES => None,
                _ => {
                    let ranges = passages(&document.text, window_bytes, min_passage_bytes);
                    Some(ranges.map(|range| range.start as u32..range.end as u32).collect())
                }
            };
            let ranges = batch.documents.iter().zip(wanted).map(listed).collect();
            // Nobody is waiting any more if the work has been stopped.
            let _ = sender.send(Cut { batch, ranges });
        });
        self.cutting.push_back(receiver);
    }

    /// Makes jobs of the next batch that has been cut.
    fn plan_next(&mut self, observer: &mut Observer<'_>) -> Result<(), IoError> {
        let Some(receiver) = self.cutting.pop_front() else { return Ok(()) };
        let Some(Cut { batch, ranges }) = self.wait(Some(&receiver), observer)? else {
            return Err(IoError::Threads("a worker has gone".to_owned()));
        };
        self.skips.merge(batch.skips);
        self.progress = batch.progress;
        for (document, listed) in batch.documents.into_iter().zip(ranges) {
            if let Some(ranges) = listed {
                let ranges = ranges.into_iter().map(|range| range.start as usize..range.end as usize);
                self.take(&document, ranges, observer)?;
            } else {
                let CorpusSettings { window_bytes, min_passage_bytes, .. } = *self.corpus;
                let ranges = passages(&document.text, window_bytes, min_passage_bytes);
                self.take(&document, ranges, observer)?;
            }
        }
        self.tell(observer)
    }

    fn take(
        &mut self,
        document: &Keyed,
        mut ranges: impl Iterator<Item = Range<usize>>,
        observer: &mut Observer<'_>,
    ) -> Result<(), IoError> {
        self.plan.begin(document)?;
        // A job after the other: starting one may have to wait until there is room for it.
        while let Some(job) = self.plan.next_job(document, &mut ranges)? {
            self.start(job, observer)?;
        }
        Ok(())
    }

    /// Has a worker do a job, when there is memory for it.
    fn start(&mut self, job: Job, observer: &mut Observer<'_>) -> Result<(), IoError> {
        let bytes = self.worker.memory_bytes(&job);
        let ahead = 2 * self.pool.current_num_threads() + 2;
        let is_full = |this: &Self| this.running_bytes + bytes > JOBS_BYTES || this.running.len() >= ahead;
        while !self.running.is_empty() && is_full(self) {
            self.append_next(observer)?;
        }
        let (sender, receiver) = channel();
        let worker = Arc::clone(&self.worker);
        self.pool.spawn(move || {
            let _ = sender.send(worker.run(job));
        });
        self.running.push_back((receiver, bytes));
        self.running_bytes += bytes;
        Ok(())
    }

    /// Writes the oldest job's row group, when it is done.
    fn append_next(&mut self, observer: &mut Observer<'_>) -> Result<(), IoError> {
        let Some((receiver, bytes)) = self.running.pop_front() else { return Ok(()) };
        let Some(done) = self.wait(Some(&receiver), observer)? else {
            return Err(IoError::Threads("a worker has gone".to_owned()));
        };
        self.running_bytes -= bytes;
        self.parts.append(done?, self.work)?;
        self.tell(observer)
    }

    /// What arrives next; `None` if nothing ever will.
    fn wait<T>(
        &self,
        receiver: Option<&Receiver<T>>,
        observer: &mut Observer<'_>,
    ) -> Result<Option<T>, IoError> {
        let Some(receiver) = receiver else { return Ok(None) };
        loop {
            match receiver.recv_timeout(PATIENCE) {
                Ok(value) => return Ok(Some(value)),
                Err(RecvTimeoutError::Disconnected) => return Ok(None),
                Err(RecvTimeoutError::Timeout) => self.tell(observer)?,
            }
        }
    }

    fn tell(&self, observer: &mut Observer<'_>) -> Result<(), IoError> {
        let (done, total) = self.progress;
        report(observer, Progress { stage: &self.stage, done, total, records: self.parts.rows })
    }
}
