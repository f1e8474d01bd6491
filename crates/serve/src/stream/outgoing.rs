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

/// How much of a dead letter is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) error: RecordError,
    /// Whether it goes without its value, which is too large even for the dead letters.
    pub(super) is_bare: bool,
}

/// Where and how records are written.
#[derive(Debug, Clone)]
pub(super) struct Addresses {
    input: String,
    output: String,
    dead_letters: String,
    counts: Counts,
}

impl Addresses {
    pub(super) fn new(settings: &Settings, counts: Counts) -> Self {
        Self {
            input: settings.input.clone(),
            output: settings.output.clone(),
            dead_letters: settings.dead_letters.clone(),
            counts,
        }
    }

    /// Partition of the output for a record: that of the input where there are as many, else what its key says.
    /// What has no key stays with what it was read with, so that the order is kept.
    fn partition(&self, record: &Record) -> Option<i32> {
        let read = record.origin.as_ref().map_or(record.partition, |origin| origin.partition);
        if record.key.is_some() && self.counts.input != self.counts.output {
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
        let is_bare = refusal.is_some_and(|refusal| refusal.is_bare);
        let error = refusal.map(|refusal| &refusal.error).or(self.outcome.as_ref().err());
        let (topic, partition, value, headers) = match (error, &self.outcome) {
            (None, Ok(encoded)) => {
                let headers = owned(record.headers.iter().chain(&encoded.headers));
                (&addresses.output, addresses.partition(record), encoded.value.as_deref(), headers)
            }
            (Some(error), _) | (None, Err(error)) => {
                let own = record.first_read(&addresses.input).headers(error);
                let value = record.value.as_deref().filter(|_| !is_bare);
                (&addresses.dead_letters, None, value, owned(record.headers.iter().chain(&own)))
            }
        };
        let mut outgoing = BaseRecord::with_opaque_to(topic, number);
        outgoing.partition = partition;
        outgoing.key = record.key.as_deref();
        outgoing.payload = value;
        outgoing.timestamp = record.timestamp;
        outgoing.headers = headers;
        send(outgoing)
    }

    /// The error of a dead letter.
    pub(super) fn error(&self) -> Option<&RecordError> {
        self.outcome.as_ref().err()
    }
}
