//! The thread with the consumer: it collects records into batches and gives them to the engine.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    time::{Duration, Instant},
};

use rdkafka::{
    Message, Offset, TopicPartitionList, consumer::Consumer as _, error::KafkaError, message::BorrowedMessage,
};
use tokio::{runtime::Handle, sync::oneshot};

use super::{
    StreamError, StreamHealth,
    batch::{Batch, InFlight},
    context::Consumer,
    ownership::{Assignment, Ownership},
    record::{Record, RecordError},
    restore::{Restored, Restoring},
    settings::Settings,
    value::{Codec, Parsed, Unparsed},
};
use crate::metrics;

/// Longest time for which nothing else is looked at.
const TICK: Duration = Duration::from_millis(100);
/// Time in which a broker has to answer, before it is asked again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time for which a value may wait for what is needed to read it. Its group would take it for dead after `max.poll.interval.ms`.
const UNAVAILABLE: Duration = Duration::from_mins(1);

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
    /// The first record of each partition, by its assignment: where to begin again while nothing is committed.
    first: HashMap<i32, (Assignment, i64)>,
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

    /// Whether every partition was read up to its end.
    fn has_read_all(&self, until: &HashMap<i32, i64>) -> bool {
        until.iter().all(|(partition, end)| *end == 0 || self.ended.contains(partition))
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
            if self.settings.replay && progress.has_read_all(until) {
                self.hand_over(&mut progress);
                // A transaction that is aborted says so before it lets go of its tokens.
                if progress.in_flight.tokens() == 0 && !self.ownership.must_rewind() {
                    break;
                }
            }
            self.hold_back(&mut progress)?;
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
        progress.begin(partition, assignment, offset);
        let Some(parsed) = self.parsed(message.payload(), progress)? else { return Ok(()) };
        if progress.batch.is_none() {
            progress.batch = self.begun(&progress.in_flight);
        }
        if let Some(batch) = &mut progress.batch {
            let (record, headers) = Record::new(message, assignment, self.settings.replay);
            batch.push(record, headers.and(parsed));
        }
        Ok(())
    }

    /// Reads a value; nothing where it was stopped before that could be done.
    fn parsed(
        &self,
        value: Option<&[u8]>,
        progress: &mut Progress,
    ) -> Result<Option<Result<Parsed, RecordError>>, StreamError> {
        let begun = Instant::now();
        loop {
            match self.codec.parse(value) {
                Ok(parsed) => return Ok(Some(Ok(parsed))),
                Err(Unparsed::Record(error)) => return Ok(Some(Err(error))),
                Err(Unparsed::Unavailable(_)) if self.stop.load(Ordering::Relaxed) => return Ok(None),
                Err(Unparsed::Unavailable(error)) if begun.elapsed() >= UNAVAILABLE => return Err(error),
                Err(Unparsed::Unavailable(error)) => {
                    // What was read before it need not wait as well.
                    self.hand_over(progress);
                    tracing::warn!(%error, "trying again");
                    std::thread::sleep(TICK * 10);
                }
            }
        }
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
        self.runtime.spawn(async move {
            // The writer has ended where nobody waits.
            let _gone = done.send(restoring.restore(batch).await);
        });
    }

    /// Pauses while too much is in flight, and goes on at half of it.
    fn hold_back(&self, progress: &mut Progress) -> Result<(), StreamError> {
        let (tokens, most) = (progress.in_flight.tokens(), self.settings.in_flight_tokens);
        let pause = if progress.is_paused { tokens > most / 2 } else { tokens >= most };
        if pause && !progress.is_paused {
            // What is in the batch must not wait for more.
            self.hand_over(progress);
        }
        if pause || pause != progress.is_paused {
            // Every time, for partitions that were given meanwhile.
            let assignment = self.consumer.assignment()?;
            if pause { self.consumer.pause(&assignment)? } else { self.consumer.resume(&assignment)? }
        }
        if pause != progress.is_paused {
            metrics::stream::paused(pause);
            progress.is_paused = pause;
        }
        Ok(())
    }

    /// Goes back to the committed offsets: what was read and is not written is read again.
    fn rewind(&self, progress: &mut Progress) {
        progress.batch = None;
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
