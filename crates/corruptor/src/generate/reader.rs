//! The thread that reads: documents ahead of the work, keyed, without duplicates, in order.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use super::budget::{Budget, Held};
use crate::documents::{Document, Documents, Record, Skip, SkipReason, Skips, UniqueDocuments};
use crate::io_error::IoError;
use crate::split::{Split, SplitShares, document_id_of, split_of_hash};

/// Text of a batch of documents (a larger document is a batch of its own).
const BATCH_TEXT_BYTES: usize = 512 << 10;
/// Documents of a batch.
const BATCH_DOCUMENTS: usize = 1_024;
/// Text that may wait to be cut; nothing is read on while there is more.
const READ_AHEAD_BYTES: usize = 32 << 20;
/// Batches that may wait.
const READ_AHEAD_BATCHES: usize = 8;

/// What a record is known by.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) source: String,
    pub(super) doc_id: String,
}

/// A document with its key.
#[derive(Debug)]
pub(super) struct Keyed {
    pub(super) key: Arc<Key>,
    pub(super) text: String,
    pub(super) split: Split,
    /// BLAKE3 of the text.
    pub(super) hash: blake3::Hash,
    _held: Held,
}

/// Consecutive documents.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) documents: Vec<Keyed>,
    /// What was passed over among them.
    pub(super) skips: Skips,
    /// Bytes read so far and in all, as stored.
    pub(super) progress: (u64, u64),
}

/// The receiving end; dropping it ends the thread, at the latest when its next record is there.
#[derive(Debug)]
pub(super) struct Reader {
    batches: Option<Receiver<Result<Batch, IoError>>>,
    budget: Arc<Budget>,
}

/// What the thread works with.
pub(super) struct Reading {
    pub(super) documents: Documents,
    pub(super) unique: UniqueDocuments,
    /// The corpus name of documents that bring none.
    pub(super) source: String,
    pub(super) shares: SplitShares,
}

impl Reader {
    pub(super) fn start(reading: Reading) -> Result<Self, IoError> {
        let (sender, batches) = sync_channel(READ_AHEAD_BATCHES);
        let budget = Arc::new(Budget::default());
        let held = Arc::clone(&budget);
        // Not joined: it may hang in a read that never returns, such as one from a pipe.
        thread::Builder::new()
            .name("reader".into())
            .spawn(move || reading.run(&sender, &held))
            .map_err(|error| IoError::Threads(error.to_string()))?;
        Ok(Self { batches: Some(batches), budget })
    }

    /// Where batches arrive, in order; it closes at the end of the input, or after an error.
    pub(super) fn batches(&self) -> Option<&Receiver<Result<Batch, IoError>>> {
        self.batches.as_ref()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.batches = None;
        self.budget.close();
    }
}

impl Reading {
    fn run(mut self, sender: &SyncSender<Result<Batch, IoError>>, budget: &Arc<Budget>) {
        loop {
            match self.batch(budget) {
                Ok(Some(batch)) => {
                    if sender.send(Ok(batch)).is_err() {
                        return;
                    }
                }
                Ok(None) => return,
                Err(error) => {
                    // Nobody may be listening any more; then nobody wants to know.
                    let _ = sender.send(Err(error));
                    return;
                }
            }
        }
    }

    /// The next documents; `None` at the end of the input, or if nobody wants more.
    fn batch(&mut self, budget: &Arc<Budget>) -> Result<Option<Batch>, IoError> {
        let mut batch = Batch { documents: Vec::new(), skips: Skips::default(), progress: (0, 0) };
        let (mut text_bytes, mut records) = (0, 0);
        while text_bytes < BATCH_TEXT_BYTES && records < BATCH_DOCUMENTS {
            if !budget.wait(READ_AHEAD_BYTES) {
                return Ok(None);
            }
            let Some(record) = self.documents.next() else { break };
            records += 1;
            match record? {
                Record::Skipped(skip) => batch.skips.add(skip),
                Record::Document(document) => {
                    text_bytes += document.text.len();
                    let place = document.place.clone();
                    match self.keyed(document, budget)? {
                        Some(keyed) => batch.documents.push(keyed),
                        None => batch.skips.add(Skip { place, reason: SkipReason::Duplicate }),
                    }
                }
            }
        }
        batch.progress = self.documents.progress();
        Ok((records > 0).then_some(batch))
    }

    /// The document with its key; `None` if its text came before.
    fn keyed(&mut self, document: Document, budget: &Arc<Budget>) -> Result<Option<Keyed>, IoError> {
        let Document { text, doc_id, source, place } = document;
        let hash = blake3::hash(text.as_bytes());
        let source = source.unwrap_or_else(|| self.source.clone());
        if !self.unique.admit_hashed(&source, doc_id.as_deref(), &hash, &place)? {
            return Ok(None);
        }
        let doc_id = doc_id.unwrap_or_else(|| document_id_of(&hash));
        let split = split_of_hash(&hash, self.shares);
        let held = budget.hold(text.len());
        Ok(Some(Keyed { key: Arc::new(Key { source, doc_id }), text, split, hash, _held: held }))
    }
}
