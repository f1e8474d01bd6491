//! The thread with the producer: it writes batches in their order, each in one transaction.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, atomic::AtomicBool, mpsc::Receiver},
    time::{Duration, Instant},
};

use rdkafka::{Offset, TopicPartitionList, error::RDKafkaErrorCode};
use tokio::sync::oneshot::error::TryRecvError;

use super::{
    StreamError,
    context::Consumer,
    outgoing::{Addresses, Extent, Outgoing, Refusal},
    ownership::{Ownership, Transaction},
    reader::Pending,
    record::{ErrorKind, RecordError},
    restore::Restored,
    settings::Settings,
    sink::{Sink, WriteError},
    topics::Counts,
};
use crate::metrics;

/// Time after a transaction that was aborted, which doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Fenced again within this time, there is another process of the same name; else a transaction has outlived its time.
const TWO_OF_ONE_NAME: Duration = Duration::from_mins(1);

/// The thread with the producer.
pub(super) struct Writer {
    settings: Arc<Settings>,
    ownership: Arc<Ownership>,
    addresses: Addresses,
    sink: Sink,
    /// Records that the brokers have refused, by partition and offset, until they are written as dead letters.
    refused: HashMap<(i32, i64), Refusal>,
    /// Records that were sent together with others, and refused with them: sent alone, it shows which of them are too large.
    suspects: HashSet<(i32, i64)>,
    /// Whether the last transaction was aborted for records that were refused.
    has_gap: bool,
    pause: Duration,
    fenced: Option<Instant>,
}

impl Writer {
    pub(super) fn new(
        settings: Arc<Settings>,
        consumer: Arc<Consumer>,
        ownership: Arc<Ownership>,
        stop: Arc<AtomicBool>,
        counts: Counts,
    ) -> Result<Self, StreamError> {
        let addresses = Addresses::new(&settings, counts);
        let sink = Sink::new(Arc::clone(&settings), consumer, stop)?;
        let (refused, suspects) = (HashMap::new(), HashSet::new());
        Ok(Self {
            settings,
            ownership,
            addresses,
            sink,
            refused,
            suspects,
            has_gap: false,
            pause: FIRST_PAUSE,
            fenced: None,
        })
    }

    /// Writes until the reader has ended.
    pub(super) fn run(mut self, batches: &Receiver<Pending>) -> Result<(), StreamError> {
        let mut ready = Ready { batches, pending: None, restored: None };
        while let Some(first) = ready.wait()? {
            let mut records = first.records.len();
            let mut together = vec![first];
            // What was restored meanwhile goes along: so many transactions as there is time for, not one a batch.
            while let Some(next) =
                ready.next(&together[0].digest, self.settings.limits.records.saturating_sub(records))?
            {
                records += next.records.len();
                together.push(next);
            }
            self.write(&together)?;
        }
        Ok(())
    }

    /// Writes batches, less what is not this process's own any more.
    fn write(&mut self, restored: &[Restored]) -> Result<(), StreamError> {
        let ownership = Arc::clone(&self.ownership);
        // Read before everything has to be read again: dropped.
        let Some(transaction) = ownership.transaction() else { return Ok(()) };
        let is_owned = |one: &&Outgoing| transaction.owns(one.record.partition, one.record.assignment);
        let records: Vec<&Outgoing> =
            restored.iter().flat_map(|batch| &batch.records).filter(is_owned).collect();
        if records.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        match self.written(&records) {
            Ok(()) => {
                drop(transaction);
                self.pause = FIRST_PAUSE;
                self.count(&records, restored, begun);
                Ok(())
            }
            Err(error) => self.aborted(error, &records, transaction),
        }
    }

    fn written(&mut self, records: &[&Outgoing]) -> Result<(), WriteError> {
        self.sink.begin()?;
        for (number, one) in records.iter().enumerate() {
            let place = one.record.place();
            let is_suspect = self.suspects.contains(&place);
            if is_suspect && !self.sink.is_delivered() {
                return Err(WriteError::Aborted("records were not delivered".to_owned()));
            }
            // At most as a restored record, and as a dead letter of each extent.
            while let Err(code) =
                one.send(number, self.refused.get(&place), &self.addresses, |record| self.sink.send(record))?
            {
                if !refuse(&mut self.refused, place, code) {
                    return Err(WriteError::Unwritable(place, code));
                }
            }
            if is_suspect && !self.sink.is_delivered() {
                return Err(WriteError::Aborted("a record is not taken".to_owned()));
            }
        }
        self.sink.commit(&offsets(&self.settings.input, records))
    }

    /// Takes back what was sent, and has everything read again.
    fn aborted(
        &mut self,
        error: WriteError,
        records: &[&Outgoing],
        transaction: Transaction<'_>,
    ) -> Result<(), StreamError> {
        let mut unwritable = None;
        let error = match error {
            WriteError::Unwritable(place, code) => {
                unwritable = Some((place, code));
                self.sink.abort().err()
            }
            WriteError::Aborted(reason) => {
                tracing::warn!(reason, records = records.len(), "a transaction is aborted");
                self.sink.abort().err()
            }
            other => Some(other),
        };
        let undelivered = self.sink.take_undelivered();
        if let Some((number, code)) = undelivered.first() {
            let place = records.get(*number).map(|one| one.record.place());
            tracing::info!(count = undelivered.len(), %code, first = ?place, "records were not delivered");
        }
        let refused: Vec<_> = undelivered
            .into_iter()
            .filter(|(_, code)| is_of_record(*code))
            .filter_map(|(number, code)| records.get(number).map(|one| (one.record.place(), code)))
            .collect();
        for &(place, code) in &refused {
            // Brokers refuse whatever is sent together.
            if refused.len() == 1 || self.suspects.contains(&place) {
                if !refuse(&mut self.refused, place, code) {
                    unwritable = Some((place, code));
                }
            } else {
                self.suspects.insert(place);
            }
        }
        metrics::stream::transaction("aborted");
        if let Some(((partition, offset), code)) = unwritable {
            let (topic, reason) = (self.settings.dead_letters.clone(), code.to_string());
            return Err(StreamError::DeadLetter { topic, partition, offset, reason });
        }
        // Where there is no group, only a producer keeps another one out: offsets are asked for behind it. Elsewhere nobody waits that
        // long for partitions.
        let mut transaction = Some(transaction);
        if !self.settings.replay {
            transaction.take().into_iter().for_each(Transaction::aborted);
        }
        match error {
            // The latter ends the stream above.
            None | Some(WriteError::Unwritable(..)) => {}
            Some(WriteError::Fenced(reason)) => {
                if self.fenced.is_some_and(|last| last.elapsed() < TWO_OF_ONE_NAME) {
                    return Err(StreamError::Fenced(self.settings.instance.clone()));
                }
                tracing::warn!(reason, "fenced off; beginning anew");
                self.fenced = Some(Instant::now());
                self.sink.renew()?;
            }
            Some(WriteError::Aborted(reason) | WriteError::Fatal(reason)) => {
                tracing::warn!(reason, "the producer can do nothing any more; beginning anew");
                self.sink.renew()?;
            }
        }
        transaction.into_iter().for_each(Transaction::aborted);
        // Next time what was refused is sent otherwise. It leaves a gap in the sequence, on which the next transaction fails: librdkafka
        // bumps its epoch only then. Whatever else it was needs time to pass.
        let has_gap = std::mem::replace(&mut self.has_gap, !refused.is_empty());
        if refused.is_empty() && !has_gap {
            std::thread::sleep(self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
        Ok(())
    }

    fn count(&mut self, records: &[&Outgoing], restored: &[Restored], begun: Instant) {
        metrics::stream::transaction("committed");
        metrics::stream::commit(begun.elapsed());
        for batch in restored {
            metrics::stream::latency(batch.since.elapsed());
        }
        let mut dead = 0;
        for one in records {
            let refusal = self.refused.remove(&one.record.place());
            self.suspects.remove(&one.record.place());
            if let Some(error) = refusal.as_ref().map(|refusal| &refusal.error).or(one.error()) {
                dead += 1;
                metrics::stream::dead_letter(error.kind.name());
                let (partition, offset, kind) = (one.record.partition, one.record.offset, error.kind.name());
                tracing::debug!(partition, offset, kind, error = error.message, "a dead letter");
            }
        }
        metrics::stream::records(records.len() - dead);
    }
}

/// The batches in their order, as they are restored.
struct Ready<'r> {
    batches: &'r Receiver<Pending>,
    pending: Option<Pending>,
    /// One that was restored, and did not go along.
    restored: Option<Restored>,
}

impl Ready<'_> {
    /// The next one, however long it takes; none after the last.
    fn wait(&mut self) -> Result<Option<Restored>, StreamError> {
        if let Some(restored) = self.restored.take() {
            return Ok(Some(restored));
        }
        match self.pending.take().or_else(|| self.batches.recv().ok()) {
            Some(pending) => pending.blocking_recv().map_err(|_panicked| StreamError::NoEngine)?.map(Some),
            None => Ok(None),
        }
    }

    /// The next one, where it is restored already, by the model of this digest, and has no more than so many records.
    fn next(&mut self, digest: &str, records: usize) -> Result<Option<Restored>, StreamError> {
        let Some(mut pending) = self.pending.take().or_else(|| self.batches.try_recv().ok()) else {
            return Ok(None);
        };
        let restored = match pending.try_recv() {
            Ok(restored) => restored?,
            Err(TryRecvError::Empty) => {
                self.pending = Some(pending);
                return Ok(None);
            }
            Err(TryRecvError::Closed) => return Err(StreamError::NoEngine),
        };
        if *restored.digest != *digest || restored.records.len() > records {
            self.restored = Some(restored);
            return Ok(None);
        }
        Ok(Some(restored))
    }
}

/// The offset after the last record of each partition.
fn offsets(topic: &str, records: &[&Outgoing]) -> TopicPartitionList {
    let mut next: HashMap<i32, i64> = HashMap::new();
    for one in records {
        next.insert(one.record.partition, one.record.offset + 1);
    }
    let mut list = TopicPartitionList::with_capacity(next.len());
    for (partition, offset) in next {
        // Offsets of records are none of those that stand for something else.
        let _set = list.add_partition_offset(topic, partition, Offset::Offset(offset));
    }
    list
}

/// Whether an error is about the record, and not about the way to the broker.
fn is_of_record(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::MessageBatchTooLarge
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::InvalidMessage
            | RDKafkaErrorCode::InvalidTimestamp
    )
}

/// From now on the record is a dead letter, or less of one; false where there is no less.
fn refuse(refused: &mut HashMap<(i32, i64), Refusal>, place: (i32, i64), code: RDKafkaErrorCode) -> bool {
    match refused.get_mut(&place) {
        None => {
            let error =
                RecordError::new(ErrorKind::Undeliverable, format!("the brokers do not take it: {code}"));
            refused.insert(place, Refusal { error, extent: Extent::Whole });
            true
        }
        Some(refusal) => {
            let less = match refusal.extent {
                Extent::Whole => Extent::NoValue,
                Extent::NoValue => Extent::Report,
                Extent::Report => return false,
            };
            refusal.extent = less;
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_is_a_dead_letter_then_less_of_one_and_then_an_error() {
        let (mut refused, place) = (HashMap::new(), (0, 7));
        let code = RDKafkaErrorCode::MessageSizeTooLarge;
        for extent in [Extent::Whole, Extent::NoValue, Extent::Report] {
            assert!(refuse(&mut refused, place, code));
            assert_eq!(refused[&place].extent, extent);
        }
        assert!(!refuse(&mut refused, place, code));
        assert!(is_of_record(code) && !is_of_record(RDKafkaErrorCode::NotEnoughReplicas));
    }
}
