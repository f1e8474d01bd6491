//! Records that are restored together and written in one transaction.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    record::{Record, RecordError},
    restore::Worker,
    settings::BatchLimits,
    value::Parsed,
};

/// Bytes of a record that count as a token, where its text has fewer.
const BYTES_PER_TOKEN: usize = 4;

/// Tokens that were read and are not written yet.
#[derive(Debug, Clone, Default)]
pub(super) struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    pub(super) fn tokens(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }

    fn hold(&self) -> Held {
        Held { all: self.clone(), tokens: 0 }
    }
}

/// Tokens of one batch; dropped, they are not in flight any more.
#[derive(Debug)]
pub(super) struct Held {
    all: InFlight,
    tokens: usize,
}

impl Held {
    fn add(&mut self, tokens: usize) {
        self.tokens += tokens;
        self.all.0.fetch_add(tokens, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Who sees that nothing is in flight sees what became of it.
        self.all.0.fetch_sub(self.tokens, Ordering::Release);
    }
}

/// A record and what its value is.
pub(super) type Read = (Record, Result<Parsed, RecordError>);

/// Records that are restored by one version of a model.
pub(super) struct Batch {
    pub(super) worker: Worker,
    pub(super) records: Vec<Read>,
    /// When its first record was read.
    pub(super) since: Instant,
    held: Held,
}

impl Batch {
    /// An empty one.
    pub(super) fn new(worker: Worker, in_flight: &InFlight) -> Self {
        Self { worker, records: Vec::new(), since: Instant::now(), held: in_flight.hold() }
    }

    pub(super) fn push(&mut self, record: Record, parsed: Result<Parsed, RecordError>) {
        let texts = parsed.as_ref().map(Parsed::texts).unwrap_or_default();
        let tokens: usize = texts.into_iter().flatten().map(|text| self.worker.tokens(text)).sum();
        // What is no text takes room as well.
        self.held.add(tokens.max(record.bytes() / BYTES_PER_TOKEN).max(1));
        self.records.push((record, parsed));
    }

    pub(super) fn tokens(&self) -> usize {
        self.held.tokens
    }

    /// Whether nothing more belongs to it.
    pub(super) fn is_full(&self, limits: &BatchLimits) -> bool {
        self.records.len() >= limits.records
            || self.held.tokens >= limits.tokens
            || self.since.elapsed() >= limits.time
    }

    /// Time until it is full even if nothing comes.
    pub(super) fn time_left(&self, limits: &BatchLimits) -> Duration {
        limits.time.saturating_sub(self.since.elapsed())
    }

    /// Its parts; the last holds its tokens.
    pub(super) fn into_parts(self) -> (Worker, Vec<Read>, Instant, Held) {
        (self.worker, self.records, self.since, self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::ownership::Assignment;

    #[test]
    fn what_is_not_the_text_takes_room_too() {
        let in_flight = InFlight::default();
        let mut batch = Batch::new(Worker::Identity, &in_flight);
        let record = |value: &str, key: &str| Record {
            partition: 0,
            offset: 0,
            assignment: Assignment::default(),
            timestamp: None,
            key: Some(key.as_bytes().to_vec()),
            value: Some(value.as_bytes().to_vec()),
            headers: vec![("h".repeat(8), Some(vec![0; 8]))],
            origin: None,
        };
        batch.push(record("ab", ""), Ok(Parsed::Text("abcdef".to_owned())));
        assert_eq!(in_flight.tokens(), 6);
        batch.push(record(&"x".repeat(384), &"k".repeat(400)), Ok(Parsed::Text("ab".to_owned())));
        assert_eq!((batch.tokens(), in_flight.tokens()), (206, 206));
        drop(batch);
        assert_eq!(in_flight.tokens(), 0);
    }
}
