//! The producer: batches in transactions, or without.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rdkafka::{
    TopicPartitionList,
    consumer::{CommitMode, Consumer as _},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
    producer::{BaseRecord, Producer as _},
};

use super::{
    StreamError,
    context::{Consumer, Producer, fatal_error, producer},
    settings::{Delivery, Settings},
};

/// Time in which a broker has to answer, before it is asked again.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time until there is room again for another record.
const ROOM: Duration = Duration::from_millis(5);
/// Time until it is asked again whether everything was delivered.
const LOOK: Duration = Duration::from_micros(300);

/// Why a batch was not written. Of a transaction, nothing is seen by those that read committed records.
#[derive(Debug)]
pub(super) enum WriteError {
    /// It was aborted, and may be tried again.
    Aborted(String),
    /// Another process writes under the same name.
    Fenced(String),
    /// The producer can do nothing any more; another one may.
    Fatal(String),
    /// Not even a report of the record of this partition and offset is taken.
    Unwritable((i32, i64), RDKafkaErrorCode),
}

/// The producer of a stream and what it writes by.
pub(super) struct Sink {
    settings: Arc<Settings>,
    consumer: Arc<Consumer>,
    producer: Producer,
    stop: Arc<AtomicBool>,
}

impl Sink {
    /// Makes a producer; what another process of this name has left open is aborted.
    pub(super) fn new(
        settings: Arc<Settings>,
        consumer: Arc<Consumer>,
        stop: Arc<AtomicBool>,
    ) -> Result<Self, StreamError> {
        let producer = ready(&settings, &stop)?;
        Ok(Self { settings, consumer, producer, stop })
    }

    /// Makes another producer in the place of one that can do nothing any more.
    pub(super) fn renew(&mut self) -> Result<(), StreamError> {
        self.producer = ready(&self.settings, &self.stop)?;
        Ok(())
    }

    /// The records, by number, that the brokers did not take, and why.
    pub(super) fn take_undelivered(&self) -> Vec<(usize, RDKafkaErrorCode)> {
        self.producer.context().take_undelivered()
    }

    /// Begins a batch.
    pub(super) fn begin(&self) -> Result<(), WriteError> {
        self.take_undelivered();
        match self.settings.delivery {
            Delivery::ExactlyOnce => self.judged(self.producer.begin_transaction()),
            Delivery::AtLeastOnce => Ok(()),
        }
    }

    /// Sends a record; an error is about this one alone.
    pub(super) fn send(
        &self,
        mut record: BaseRecord<'_, [u8], [u8], usize>,
    ) -> Result<Result<(), RDKafkaErrorCode>, WriteError> {
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(Ok(())),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), again)) => {
                    record = again;
                    std::thread::sleep(ROOM);
                }
                Err((
                    KafkaError::MessageProduction(
                        code @ (RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidRecord),
                    ),
                    _,
                )) => return Ok(Err(code)),
                Err((error, _)) => return Err(self.failed(&error)),
            }
        }
    }

    /// Waits until everything that was sent is delivered; false where something was not.
    pub(super) fn is_delivered(&self) -> bool {
        self.wait_for_delivery();
        self.producer.context().has_delivered_all()
    }

    /// Waits until nothing is under way any more; what is not delivered within `message.timeout.ms` has failed then.
    fn wait_for_delivery(&self) {
        // The client's own flush looks only ten times a second.
        while self.producer.in_flight_count() > 0 {
            std::thread::sleep(LOOK);
        }
    }

    /// Writes the batch, with the offsets after it.
    pub(super) fn commit(&self, offsets: &TopicPartitionList) -> Result<(), WriteError> {
        match self.settings.delivery {
            Delivery::ExactlyOnce => {
                let Some(group) = self.consumer.group_metadata() else {
                    return Err(WriteError::Aborted("the consumer is in no group".to_owned()));
                };
                // Asked after the metadata: one that has lost its place may name no member, and brokers take its offsets then.
                if self.consumer.assignment_lost() {
                    return Err(WriteError::Aborted("the partitions were lost to others".to_owned()));
                }
                self.again(|| self.producer.send_offsets_to_transaction(offsets, &group, PATIENCE))?;
                self.wait_for_delivery();
                self.again(|| self.producer.commit_transaction(PATIENCE))
            }
            Delivery::AtLeastOnce => {
                if !self.is_delivered() {
                    return Err(WriteError::Aborted("records were not delivered".to_owned()));
                }
                self.judged(self.consumer.commit(offsets, CommitMode::Sync))
            }
        }
    }

    /// Takes back what was sent since the begin.
    pub(super) fn abort(&self) -> Result<(), WriteError> {
        match self.settings.delivery {
            Delivery::ExactlyOnce => self.again(|| self.producer.abort_transaction(PATIENCE)),
            Delivery::AtLeastOnce => {
                // What is told of these records must not be taken for the next.
                self.wait_for_delivery();
                Ok(())
            }
        }
    }

    /// Does what may be done again until it is done.
    fn again(&self, mut work: impl FnMut() -> KafkaResult<()>) -> Result<(), WriteError> {
        loop {
            match work() {
                Err(error) if is_retriable(&error) => tracing::debug!(%error, "trying again"),
                done => return self.judged(done),
            }
        }
    }

    fn judged(&self, done: KafkaResult<()>) -> Result<(), WriteError> {
        done.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &KafkaError) -> WriteError {
        let said = error.to_string();
        let fatal = fatal_error(self.producer.client());
        // What sending says of it is only that it is fatal.
        let codes = [error.rdkafka_error_code(), fatal.as_ref().map(|(code, _)| *code)];
        if codes.into_iter().flatten().any(is_fenced) {
            return WriteError::Fenced(said);
        }
        match (error, fatal) {
            (_, Some((_, reason))) => WriteError::Fatal(reason),
            (KafkaError::Transaction(error), None) if !error.txn_requires_abort() => WriteError::Fatal(said),
            _ => WriteError::Aborted(said),
        }
    }
}

fn is_fenced(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::FencedInstanceId
    )
}

fn is_retriable(error: &KafkaError) -> bool {
    match error {
        KafkaError::Transaction(error) => error.is_retriable(),
        KafkaError::Flush(code) => *code == RDKafkaErrorCode::OperationTimedOut,
        _ => false,
    }
}

/// A producer that can begin transactions.
fn ready(settings: &Settings, stop: &AtomicBool) -> Result<Producer, StreamError> {
    let producer = producer(settings)?;
    if settings.delivery == Delivery::ExactlyOnce {
        while let Err(error) = producer.init_transactions(PATIENCE) {
            if !is_retriable(&error) || stop.load(Ordering::Relaxed) {
                return Err(error.into());
            }
            tracing::warn!(%error, "cannot begin transactions yet");
        }
    }
    Ok(producer)
}
