//! What is written of a record: the restored one, or a dead letter.

use super::{
    record::{Record, RecordError, owned},
    settings::Settings,
    topics::Counts,
    value::Encoded,
};
use rdkafka::producer::BaseRecord;

/// A record with what has become of it.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) record: Record,
    pub(super) outcome: Result<Encoded, RecordError>,
}

/// Why the brokers do not take a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) error: RecordError,
    pub(super) extent: Extent,
}

/// How much of a dead letter is written: less where the brokers do not take more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Extent {
    /// All of it.
    Whole,
    /// Less its value.
    NoValue,
    /// Only where it was read, and what was wrong.
    Report,
}

/// Where and how records are written.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    source: String,
    output: String,
    dead_letters: String,
    counts: Counts,
}

impl Addresses {
    pub(super) fn new(settings: &Settings, counts: Counts) -> Self {
        Self {
            source: settings.source.clone(),
            output: settings.output.clone(),
            dead_letters: settings.dead_letters.clone(),
            counts,
        }
    }

    /// Partition of the output for a record: that where it was read first, where there are as many, else what its key says.
    /// What has no key stays with what it was read with, so that the order is kept.
    fn partition(&self, record: &Record) -> Option<i32> {
        let read = record.origin.as_ref().map_or(record.partition, |origin| origin.partition);
        if record.key.is_some() && self.counts.source != Some(self.counts.output) {
            return None;
        }
        Some(read.rem_euclid(self.counts.output.max(1)))
    }
}

impl Outgoing {
    /// Gives what is to be written to `send`, as number `number`; a refused one is a dead letter.
    pub(super) fn send<T>(
        &self,
        number: usize,
        refusal: Option<&Refusal>,
        addresses: &Addresses,
        send: impl FnOnce(BaseRecord<'_, [u8], [u8], usize>) -> T,
    ) -> T {
        let record = &self.record;
        let extent = refusal.map_or(Extent::Whole, |refusal| refusal.extent);
        let first = record.first_read(&addresses.source);
        let error = refusal.map(|refusal| &refusal.error).or(self.outcome.as_ref().err());
        let outgoing = match (error, &self.outcome) {
            (None, Ok(encoded)) => {
                let mut outgoing = BaseRecord::with_opaque_to(&addresses.output, number);
                outgoing.partition = addresses.partition(record);
                outgoing.key = record.key.as_deref();
                outgoing.payload = encoded.value.as_deref();
                outgoing.timestamp = first.timestamp;
                outgoing.headers = owned(record.headers.iter().chain(&encoded.headers));
                outgoing
            }
            // Of now: what is old might be refused again, or deleted before anybody has looked at it.
            (Some(error), _) | (None, Err(error)) => {
                let own = first.headers(error);
                let foreign = if extent == Extent::Report { &[][..] } else { &record.headers };
                let mut outgoing = BaseRecord::with_opaque_to(&addresses.dead_letters, number);
                outgoing.key = record.key.as_deref().filter(|_| extent < Extent::Report);
                outgoing.payload = record.value.as_deref().filter(|_| extent < Extent::NoValue);
                outgoing.headers = owned(foreign.iter().chain(&own));
                outgoing
            }
        };
        send(outgoing)
    }

    /// The error of a dead letter.
    pub(super) fn error(&self) -> Option<&RecordError> {
        self.outcome.as_ref().err()
    }
}
