//! Which pair stands in which row group of which part: decided by the order of the documents and the recipe alone.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::journal::{PartRecord, Position};
use super::reader::{Key, Keyed};
use crate::io_error::IoError;
use crate::pairs::group_is_full;
use crate::split::Split;

/// A row group to be made.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) split: Split,
    /// The passages, one after the other.
    pub(super) texts: String,
    pub(super) pieces: Vec<Piece>,
    pub(super) rows: usize,
    /// Bytes of the originals of all rows.
    pub(super) text_bytes: usize,
    /// The part that is complete with this row group.
    pub(super) ends_part: Option<PartEnd>,
}

/// Some copies of a passage.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) key: Arc<Key>,
    /// Where the passage starts in its document.
    pub(super) start: u64,
    /// Where it stands in the texts of the job.
    pub(super) text: Range<usize>,
    pub(super) copies: Range<u32>,
}

/// A part's number, and how far the documents of its split have come with it.
#[derive(Debug)]
pub(super) struct PartEnd {
    pub(super) part: u32,
    pub(super) rows: u64,
    pub(super) position: Position,
}

/// Turns passages into jobs, split by split.
pub(super) struct Plan {
    splits: [SplitPlan; 3],
    part_rows: usize,
    /// Where finished parts are kept.
    partial: PathBuf,
}

/// The documents are not those that finished parts were made from.
struct Changed;

struct SplitPlan {
    split: Split,
    copies: u32,
    /// Documents whose cutting has been asked about.
    asked: u64,
    /// Documents, passages and rows so far, those of finished parts included.
    documents: u64,
    passages: u64,
    rows: u64,
    /// Passages before the current document.
    passages_before: u64,
    /// The passage that is being copied, and the next copy of it.
    passage: Option<Range<usize>>,
    copy: u32,
    /// What all documents so far were: their texts and keys.
    chain: blake3::Hasher,
    /// Where finished parts end.
    finished: Position,
    /// Whether the last finished part was the last one of all.
    is_finished: bool,
    part: u32,
    part_rows: usize,
    job: Job,
}

impl Plan {
    /// `copies` of each split, and the last finished part of each, if there is one.
    pub(super) fn new(
        copies: [u32; 3],
        part_rows: usize,
        finished: [Option<&PartRecord>; 3],
        partial: &Path,
    ) -> Self {
        let splits = Split::ALL.map(|split| {
            let last = finished[split as usize];
            let position = last.map(|record| record.position.clone()).unwrap_or_default();
            SplitPlan {
                split,
                copies: copies[split as usize],
                asked: 0,
                documents: 0,
                passages: position.passages,
                rows: position.passages * u64::from(copies[split as usize]),
                passages_before: 0,
                passage: None,
                copy: 0,
                chain: blake3::Hasher::new(),
                part: last.map_or(0, |record| record.part + 1),
                is_finished: last.is_some_and(|record| record.rows < part_rows as u64),
                finished: position,
                part_rows: 0,
                job: Job::new(split),
            }
        });
        Self { splits, part_rows, partial: partial.to_path_buf() }
    }

    /// Whether the next document of a split must be cut; false if all of its passages are in finished parts.
    ///
    /// Asked once for each document, in the order of [`take`](Self::take), but perhaps long before it.
    pub(super) fn wants(&mut self, split: Split) -> bool {
        let split = &mut self.splits[split as usize];
        split.asked += 1;
        split.asked > split.finished.documents
    }

    /// Begins the next document of the input.
    ///
    /// # Errors
    /// If finished parts were made from other documents.
    pub(super) fn begin(&mut self, document: &Keyed) -> Result<(), IoError> {
        let begun = self.splits[document.split as usize].begin(document);
        begun.map_err(|Changed| self.changed(document.split))
    }

    /// Takes passages of that document until a job is complete; `None` when there are no more.
    ///
    /// # Errors
    /// If finished parts were made from other documents.
    pub(super) fn next_job(
        &mut self,
        document: &Keyed,
        passages: &mut impl Iterator<Item = Range<usize>>,
    ) -> Result<Option<Job>, IoError> {
        let job = self.splits[document.split as usize].next_job(document, passages, self.part_rows);
        job.map_err(|Changed| self.changed(document.split))
    }

    /// Ends the last part of each split, of which there is at least one.
    ///
    /// # Errors
    /// If finished parts were made from more documents than there are.
    pub(super) fn finish(&mut self) -> Result<Vec<Job>, IoError> {
        let mut jobs = Vec::new();
        for split in &mut self.splits {
            if split.documents < split.finished.begun || split.rows < split.finished.rows {
                let split = split.split;
                return Err(self.changed(split));
            }
            if split.part_rows > 0 || split.part == 0 {
                jobs.push(split.close(true));
            }
        }
        Ok(jobs)
    }

    fn changed(&self, split: Split) -> IoError {
        IoError::InputChanged { split: split.name(), partial: self.partial.clone() }
    }

    /// Documents, passages and rows of a split so far.
    pub(super) fn counts(&self, split: Split) -> (u64, u64, u64) {
        let split = &self.splits[split as usize];
        (split.documents, split.passages, split.rows)
    }
}

impl SplitPlan {
    fn begin(&mut self, document: &Keyed) -> Result<(), Changed> {
        self.documents += 1;
        self.passages_before = self.passages;
        self.chain.update(document.hash.as_bytes());
        for text in [&document.key.source, &document.key.doc_id] {
            self.chain.update(&(text.len() as u64).to_le_bytes());
            self.chain.update(text.as_bytes());
        }
        if self.documents == self.finished.begun && self.digest() != self.finished.digest {
            return Err(Changed);
        }
        Ok(())
    }

    fn next_job(
        &mut self,
        document: &Keyed,
        passages: &mut impl Iterator<Item = Range<usize>>,
        part_rows: usize,
    ) -> Result<Option<Job>, Changed> {
        loop {
            if self.copy == self.copies || self.passage.is_none() {
                let Some(next) = passages.next() else {
                    self.passage = None;
                    return Ok(None);
                };
                self.passages += 1;
                self.passage = Some(next);
                self.copy = 0;
            }
            let Some(range) = self.passage.clone() else { return Ok(None) };
            while self.copy < self.copies {
                let copy = self.copy;
                self.copy += 1;
                self.rows += 1;
                if self.rows <= self.finished.rows {
                    continue;
                }
                if self.is_finished {
                    return Err(Changed);
                }
                self.job.push(&document.key, range.start as u64, &document.text[range.clone()], copy);
                self.part_rows += 1;
                let ends_part = self.part_rows == part_rows;
                if ends_part || group_is_full(self.job.rows, self.job.text_bytes) {
                    return Ok(Some(self.close(ends_part)));
                }
            }
        }
    }

    fn digest(&self) -> String {
        self.chain.finalize().to_hex().to_string()
    }

    fn close(&mut self, ends_part: bool) -> Job {
        let mut job = std::mem::replace(&mut self.job, Job::new(self.split));
        if ends_part {
            let position = Position {
                documents: self.documents.saturating_sub(1),
                passages: self.passages_before,
                rows: self.rows,
                begun: self.documents,
                digest: self.digest(),
            };
            job.ends_part = Some(PartEnd { part: self.part, rows: self.part_rows as u64, position });
            self.part += 1;
            self.part_rows = 0;
        }
        job
    }
}

impl Job {
    fn new(split: Split) -> Self {
        Self { split, texts: String::new(), pieces: Vec::new(), rows: 0, text_bytes: 0, ends_part: None }
    }

    fn push(&mut self, key: &Arc<Key>, start: u64, text: &str, copy: u32) {
        self.rows += 1;
        self.text_bytes += text.len();
        match self.pieces.last_mut() {
            Some(last) if last.copies.end == copy && last.start == start && Arc::ptr_eq(&last.key, key) => {
                last.copies.end += 1;
            }
            _ => {
                let at = self.texts.len();
                self.texts.push_str(text);
                let text = at..self.texts.len();
                self.pieces.push(Piece { key: Arc::clone(key), start, text, copies: copy..copy + 1 });
            }
        }
    }
}
