//! The thread with the consumer: it collects records into batches and gives them to the engine.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset, Timestamp, TopicPartitionList, consumer::Consumer as _, error::KafkaError,
    message::BorrowedMessage,
};
use tokio::{runtime::Handle, sync::oneshot};

use super::{
    StreamError, StreamHealth,
    batch::{Batch, InFlight},
    context::Consumer,
    ownership::{Assignment, Ownership},
    parked::{Parked, Unread},
    record::Record,
    restore::{Restored, Restoring},
    settings::Settings,
    turns::Turns,
    value::{Codec, Unparsed},
};
use crate::metrics;

/// Longest time for which nothing else is looked at.
const TICK: Duration = Duration::from_millis(100);
/// Time in which a broker has to answer, before it is asked again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time for which nothing is asked of the client while too much is in flight. A partition that is paused loses what was fetched of it,
/// and librdkafka needs up to a second to fetch again; but who does not ask keeps the group waiting.
const HOLD: Duration = Duration::from_secs(2);
/// Time until it is looked again whether less is in flight.
const MOMENT: Duration = Duration::from_millis(5);
/// Time after which a value that could not be read is tried again.
const LATER: Duration = Duration::from_secs(1);

/// A batch on its way to the writer.
pub(super) type Pending = oneshot::Receiver<Result<Restored, StreamError>>;

/// The thread with the consumer.
pub(super) struct Reader {
    pub(super) settings: Arc<Settings>,
    pub(super) consumer: Arc<Consumer>,
    pub(super) ownership: Arc<Ownership>,
    pub(super) health: Arc<StreamHealth>,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) codec: Codec,
    pub(super) restoring: Restoring,
    pub(super) runtime: Handle,
    /// In the order in which they have to be written.
    pub(super) batches: Sender<Pending>,
}

/// What changes while it reads.
#[derive(Default)]
struct Progress {
    batch: Option<Batch>,
    in_flight: InFlight,
    turns: Turns,
    parked: Parked,
    /// The first record of each partition, by its assignment: where to begin again while nothing is committed.
    first: HashMap<i32, (Assignment, i64)>,
    /// The last record of each partition, by its assignment.
    last: HashMap<i32, (Assignment, i64, Timestamp)>,
    /// Since when too much is in flight.
    held: Option<Instant>,
    is_paused: bool,
    /// Partitions whose end was reached, where only what is there now is read.
    ended: HashSet<i32>,
}

impl Progress {
    /// Notes the first record that was read of a partition.
    fn begin(&mut self, partition: i32, assignment: Assignment, offset: i64) {
        if self.first.get(&partition).is_none_or(|(known, _)| *known != assignment) {
            self.first.insert(partition, (assignment, offset));
        }
    }

    /// Whether a record is the one that was read last. librdkafka pauses all partitions while some are shared anew, from its own thread; a
    /// record that is given out at that moment is fetched again afterwards. (Offsets that go back further are those of another log.)
    fn is_again(&mut self, partition: i32, record: (Assignment, i64, Timestamp)) -> bool {
        self.last.insert(partition, record) == Some(record)
    }

    /// Whether every partition was read up to its end.
    fn has_read_all(&self, until: &HashMap<i32, i64>) -> bool {
        self.parked.is_empty()
            && until.iter().all(|(partition, end)| *end == 0 || self.ended.contains(partition))
    }
}

impl Reader {
    /// Reads until it is stopped, or up to `until` of every partition where there is such an end.
    pub(super) fn run(self, until: &HashMap<i32, i64>) -> Result<(), StreamError> {
        let mut progress = Progress::default();
        if self.settings.replay {
            self.take_all(until)?;
        } else {
            self.consumer.subscribe(&[&self.settings.input])?;
        }
        while !self.stop.load(Ordering::Relaxed) {
            if self.ownership.must_rewind() {
                self.rewind(&mut progress);
                continue;
            }
            self.take_parked(&mut progress)?;
            if self.settings.replay && progress.has_read_all(until) {
                self.hand_over(&mut progress);
                // A transaction that is aborted says so before it lets go of its tokens.
                if progress.in_flight.tokens() == 0 && !self.ownership.must_rewind() {
                    break;
                }
            }
            if self.hold_back(&mut progress)? {
                std::thread::sleep(MOMENT);
                continue;
            }
            let limits = &self.settings.limits;
            let timeout = progress.batch.as_ref().map_or(TICK, |batch| batch.time_left(limits).min(TICK));
            match self.consumer.poll(timeout) {
                Some(Ok(message)) => self.take(&message, until, &mut progress)?,
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    progress.ended.insert(partition);
                }
                Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => return Err(error.into()),
                Some(Err(error)) => tracing::warn!(%error, "the consumer"),
                // Time to look around.
                None => metrics::stream::in_flight(progress.in_flight.tokens()),
            }
            if progress.batch.as_ref().is_some_and(|batch| batch.is_full(limits)) {
                self.hand_over(&mut progress);
            }
        }
        self.hand_over(&mut progress);
        Ok(())
    }

    /// Takes every partition without a group: what is read has an end.
    fn take_all(&self, until: &HashMap<i32, i64>) -> Result<(), StreamError> {
        let mut all = TopicPartitionList::new();
        for partition in until.keys() {
            all.add_partition(&self.settings.input, *partition);
        }
        let committed = self.consumer.committed_offsets(all, PATIENCE)?;
        for partition in until.keys() {
            if let Some(mut found) = committed.find_partition(&self.settings.input, *partition) {
                // What cannot be told is not nothing.
                found.error()?;
                if !matches!(found.offset(), Offset::Offset(_)) {
                    found.set_offset(Offset::Beginning)?;
                }
            }
        }
        self.consumer.assign(&committed)?;
        self.ownership.assign(until.keys().copied());
        self.health.join();
        Ok(())
    }

    fn take(
        &self,
        message: &BorrowedMessage<'_>,
        until: &HashMap<i32, i64>,
        progress: &mut Progress,
    ) -> Result<(), StreamError> {
        let (partition, offset) = (message.partition(), message.offset());
        // One that was fetched before its partition was taken away.
        let Some(assignment) = self.ownership.of(partition) else { return Ok(()) };
        if until.get(&partition).is_some_and(|end| offset >= *end) {
            progress.ended.insert(partition);
            return Ok(());
        }
        if progress.is_again(partition, (assignment, offset, message.timestamp())) {
            tracing::info!(partition, offset, "a record was given twice");
            return Ok(());
        }
        progress.begin(partition, assignment, offset);
        let unread = Record::new(message, assignment, self.settings.replay);
        if let Some(unread) = progress.parked.keep(unread)
            && let Some((unread, error)) = self.add(unread, progress)?
        {
            tracing::warn!(%error, partition, offset, "the partition waits");
            self.park(partition, [unread].into(), progress)?;
        }
        Ok(())
    }

    /// Has a partition wait with these records.
    fn park(
        &self,
        partition: i32,
        records: VecDeque<Unread>,
        progress: &mut Progress,
    ) -> Result<(), KafkaError> {
        // Also one that has waited: it may have been given again meanwhile.
        self.consumer.pause(&self.places([partition]))?;
        progress.parked.park(partition, records, LATER);
        Ok(())
    }

    /// Adds a record to the batch, which is handed over once it is full. The record comes back where it cannot be read yet.
    fn add(
        &self,
        (record, headers): Unread,
        progress: &mut Progress,
    ) -> Result<Option<(Unread, StreamError)>, StreamError> {
        let parsed = match self.codec.parse(record.value.as_deref()) {
            Ok(parsed) => Ok(parsed),
            Err(Unparsed::Record(error)) => Err(error),
            Err(Unparsed::Later(error)) => return Ok(Some(((record, headers), error))),
            Err(Unparsed::Never(error)) => return Err(error),
        };
        if progress.batch.is_none() {
            progress.batch = self.begun(&progress.in_flight);
        }
        if let Some(batch) = &mut progress.batch {
            batch.push(record, headers.and(parsed));
            if batch.is_full(&self.settings.limits) {
                self.hand_over(progress);
            }
        }
        Ok(None)
    }

    /// Tries those of a partition again that could not be read: of one, as it may take long.
    fn take_parked(&self, progress: &mut Progress) -> Result<(), StreamError> {
        if let Some((partition, mut records)) = progress.parked.due() {
            let is_owned = |(record, _): &Unread| self.ownership.of(partition) == Some(record.assignment);
            let mut waits = VecDeque::new();
            while let Some(unread) = records.pop_front() {
                // Given again since, its partition is read again.
                if !is_owned(&unread) {
                    continue;
                }
                if let Some((unread, error)) = self.add(unread, progress)? {
                    tracing::debug!(%error, partition, "the partition still waits");
                    waits.push_back(unread);
                    waits.extend(records.drain(..));
                }
            }
            if !waits.is_empty() {
                self.park(partition, waits, progress)?;
            } else if !progress.is_paused {
                tracing::info!(partition, "the partition goes on");
                self.consumer.resume(&self.places([partition]))?;
            }
        }
        Ok(())
    }

    /// Partitions of the input.
    fn places(&self, partitions: impl IntoIterator<Item = i32>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.settings.input, partition);
        }
        list
    }

    /// A batch for the version of the model that is served now; none where it was stopped before there was one.
    fn begun(&self, in_flight: &InFlight) -> Option<Batch> {
        loop {
            match self.restoring.worker() {
                Some(worker) => return Some(Batch::new(worker, in_flight)),
                None if self.stop.load(Ordering::Relaxed) => return None,
                None => std::thread::sleep(TICK),
            }
        }
    }

    /// Gives the batch to the engine, and its place in the order to the writer.
    fn hand_over(&self, progress: &mut Progress) {
        let Some(batch) = progress.batch.take() else { return };
        metrics::stream::batch(batch.records.len(), batch.tokens());
        metrics::stream::in_flight(progress.in_flight.tokens());
        let (done, pending) = oneshot::channel();
        if self.batches.send(pending).is_err() {
            // Nobody writes any more.
            self.stop.store(true, Ordering::Relaxed);
            return;
        }
        let restoring = self.restoring.clone();
        let turn = progress.turns.next();
        self.runtime.spawn(async move {
            // The writer has ended where nobody waits.
            let _gone = done.send(restoring.restore(batch, turn).await);
        });
    }

    /// Whether nothing is to be read now: too much is in flight, until it is half as much. Where that takes long, all is paused instead.
    fn hold_back(&self, progress: &mut Progress) -> Result<bool, KafkaError> {
        let (tokens, most) = (progress.in_flight.tokens(), self.settings.in_flight_tokens);
        let holds = if progress.held.is_some() { tokens > most / 2 } else { tokens >= most };
        if holds != progress.held.is_some() {
            metrics::stream::paused(holds);
            metrics::stream::in_flight(tokens);
        }
        if !holds {
            progress.held = None;
            if std::mem::take(&mut progress.is_paused) {
                let assignment = self.consumer.assignment()?;
                let all = assignment.elements().into_iter().map(|place| place.partition());
                self.consumer
                    .resume(&self.places(all.filter(|&partition| !progress.parked.has(partition))))?;
            }
            return Ok(false);
        }
        // What is in the batch must not wait for more.
        self.hand_over(progress);
        if progress.held.get_or_insert_with(Instant::now).elapsed() < HOLD {
            return Ok(true);
        }
        // Every time, for partitions that were given meanwhile.
        self.consumer.pause(&self.consumer.assignment()?)?;
        progress.is_paused = true;
        Ok(false)
    }

    /// Goes back to the committed offsets: what was read and is not written is read again.
    fn rewind(&self, progress: &mut Progress) {
        progress.batch = None;
        let waited = progress.parked.clear();
        if !progress.is_paused
            && let Err(error) = self.consumer.resume(&self.places(waited))
        {
            tracing::warn!(%error, "cannot resume the partitions that have waited");
        }
        // The end of a partition that is not read again is not told again.
        progress.ended.retain(|partition| !progress.first.contains_key(partition));
        let begun = Instant::now();
        match self.sought(progress) {
            Ok(()) => {
                self.ownership.rewound();
                tracing::info!(
                    seconds = begun.elapsed().as_secs_f64(),
                    "reading again from the committed offsets"
                );
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read again from the committed offsets yet");
                // Events come meanwhile: partitions may be taken away. What is read is read again.
                let until = Instant::now() + TICK;
                while Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
                    match self.consumer.poll(TICK) {
                        Some(Ok(message)) => {
                            if let Some(assignment) = self.ownership.of(message.partition()) {
                                progress.begin(message.partition(), assignment, message.offset());
                            }
                        }
                        Some(Err(KafkaError::PartitionEOF(partition))) => {
                            progress.ended.insert(partition);
                        }
                        _ => {}
                    }
                }
            }
        }
    }

    fn sought(&self, progress: &Progress) -> Result<(), KafkaError> {
        let assignment = self.consumer.assignment()?;
        if assignment.count() == 0 {
            return Ok(());
        }
        let committed = self.consumer.committed_offsets(assignment, PATIENCE)?;
        for place in committed.elements() {
            place.error()?;
            let (partition, topic) = (place.partition(), place.topic());
            let first = || progress.first.get(&partition).map(|(_, offset)| Offset::Offset(*offset));
            let offset = match place.offset() {
                found @ Offset::Offset(_) => Some(found),
                _ => first(),
            };
            // Where nothing was read yet, nothing has to be read again.
            if let (Some(offset), true) = (offset, progress.first.contains_key(&partition)) {
                self.consumer.seek(topic, partition, offset, PATIENCE)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_once_until_its_partition_is_read_anew() {
        let mut progress = Progress::default();
        let at = Timestamp::CreateTime;
        for (partition, record, is_again) in [
            (0, (0, 7, at(1)), false),
            (1, (0, 7, at(1)), false),
            (0, (0, 7, at(1)), true),
            (0, (0, 8, at(1)), false),
            // Of a topic that was made anew.
            (0, (0, 8, at(2)), false),
            (0, (0, 0, at(3)), false),
            // After a transaction that was aborted.
            (0, (1, 0, at(3)), false),
        ] {
            assert_eq!(progress.is_again(partition, record), is_again, "{partition} {record:?}");
        }
    }
}
