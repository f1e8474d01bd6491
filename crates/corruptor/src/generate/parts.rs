//! The files of a run: row groups are appended in order; a thread of its own makes finished parts durable.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use super::job::{Done, Worker};
use super::journal::{Journal, PartRecord};
use super::plan::PartEnd;
use super::work::{WorkDir, commit_part};
use crate::channel::AttemptCounts;
use crate::io_error::IoError;
use crate::pairs::Part;
use crate::split::Split;

/// Parts that may wait to become durable.
const COMMITS_AHEAD: usize = 2;

/// The open parts of the three splits.
pub(super) struct Parts {
    worker: Arc<Worker>,
    open: [Option<Part<File>>; 3],
    /// Number of the open part, or of the next.
    next: [u32; 3],
    attempts: [AttemptCounts; 3],
    committer: Option<Committer>,
    /// Rows appended by this run.
    pub(super) rows: u64,
}

struct Committer {
    queue: SyncSender<Written>,
    thread: JoinHandle<Result<(), IoError>>,
}

/// A part with all its bytes.
struct Written {
    file: File,
    path: PathBuf,
    record: PartRecord,
}

impl Parts {
    pub(super) fn new(worker: Arc<Worker>, work: &WorkDir, mut journal: Journal) -> Result<Self, IoError> {
        let (mut next, mut attempts) = ([0; 3], [AttemptCounts::default(); 3]);
        for record in work.finished() {
            next[record.split as usize] = record.part + 1;
            attempts[record.split as usize] = record.attempts;
        }
        let (queue, written) = sync_channel::<Written>(COMMITS_AHEAD);
        let thread = thread::Builder::new()
            .name("committer".into())
            .spawn(move || {
                written.into_iter().try_for_each(|mut part| {
                    commit_part(&part.file, &part.path, &mut part.record, &mut journal)
                })
            })
            .map_err(|error| IoError::Threads(error.to_string()))?;
        let committer = Some(Committer { queue, thread });
        Ok(Self { worker, open: [None, None, None], next, attempts, committer, rows: 0 })
    }

    /// Appends a row group to the open part of its split, and completes the part if it ends with it.
    pub(super) fn append(&mut self, done: Done, work: &WorkDir) -> Result<(), IoError> {
        let index = done.split as usize;
        let open = self.open[index].take();
        let mut part = open.map_or_else(|| self.open_part(done.split, work), Ok)?;
        self.attempts[index].add(&done.attempts);
        self.rows += done.rows;
        if let Some(group) = done.group {
            part.append(group)?;
        }
        if let Some(end) = done.ends_part {
            return self.complete(done.split, part, end);
        }
        self.open[index] = Some(part);
        Ok(())
    }

    fn open_part(&self, split: Split, work: &WorkDir) -> Result<Part<File>, IoError> {
        let path = work.part(split, self.next[split as usize]);
        let file = File::create(&path).map_err(IoError::file("write", &path))?;
        Part::start(&self.worker.encoder, &path, file)
    }

    fn complete(&mut self, split: Split, part: Part<File>, end: PartEnd) -> Result<(), IoError> {
        self.next[split as usize] = end.part + 1;
        let path = part.path().to_path_buf();
        let record = PartRecord {
            split,
            part: end.part,
            rows: end.rows,
            bytes: 0,
            position: end.position,
            attempts: self.attempts[split as usize],
        };
        let written = Written { file: part.finish()?, path, record };
        let is_gone = self.committer.as_ref().is_none_or(|committer| committer.queue.send(written).is_err());
        // The committer ends early only with an error.
        if is_gone { self.settle() } else { Ok(()) }
    }

    /// Waits until every complete part is durable.
    pub(super) fn settle(&mut self) -> Result<(), IoError> {
        let Some(Committer { queue, thread }) = self.committer.take() else { return Ok(()) };
        drop(queue);
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// What the sampler tried in all splits.
    pub(super) fn attempts(&self) -> AttemptCounts {
        let mut all = AttemptCounts::default();
        self.attempts.iter().for_each(|attempts| all.add(attempts));
        all
    }
}
