//! What librdkafka tells: logs, statistics, partitions given and taken away, records that were not delivered.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::{
    ClientContext, Statistics, TopicPartitionList,
    client::Client,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    consumer::{BaseConsumer, Consumer as _, ConsumerContext, Rebalance},
    error::{KafkaError, RDKafkaErrorCode},
    message::DeliveryResult,
    producer::{ProducerContext, ThreadedProducer},
};

use super::{
    StreamError, StreamHealth,
    client::{consumer_config, producer_config},
    ownership::Ownership,
    settings::Settings,
};
use crate::metrics;

/// The consumer of a stream.
pub(super) type Consumer = BaseConsumer<ReaderContext>;
/// The producer of a stream.
pub(super) type Producer = ThreadedProducer<WriterContext>;

/// Makes the consumer, which is connected to nothing yet.
pub(super) fn consumer(
    settings: &Settings,
    ownership: &Arc<Ownership>,
    health: &Arc<StreamHealth>,
) -> Result<Consumer, StreamError> {
    let context = ReaderContext {
        topic: settings.input.clone(),
        is_alone: settings.replay,
        ownership: Arc::clone(ownership),
        health: Arc::clone(health),
        last_error: Mutex::default(),
    };
    BaseConsumer::from_config_and_context(&consumer_config(settings)?, context).map_err(refused)
}

/// Makes the producer, which is connected to nothing yet.
pub(super) fn producer(settings: &Settings) -> Result<Producer, StreamError> {
    let context = WriterContext { undelivered: Mutex::default() };
    ThreadedProducer::from_config_and_context(&producer_config(settings)?, context).map_err(refused)
}

/// Why a client is not made: its properties.
fn refused(error: KafkaError) -> StreamError {
    match error {
        // Without the value, which may be a secret.
        KafkaError::ClientConfig(_, reason, name, _) => StreamError::Property(format!("`{name}`: {reason}")),
        KafkaError::ClientCreation(reason) => StreamError::Property(reason),
        other => StreamError::Client(other),
    }
}

/// What the consumer tells.
pub(super) struct ReaderContext {
    topic: String,
    /// Whether it takes its partitions without a group.
    is_alone: bool,
    ownership: Arc<Ownership>,
    health: Arc<StreamHealth>,
    last_error: Mutex<Option<String>>,
}

impl ReaderContext {
    /// The last thing that went wrong between this client and a broker.
    pub(super) fn last_error(&self) -> Option<String> {
        self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ClientContext for ReaderContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        if matches!(facility, "FAIL" | "ERROR") {
            // After the names of client and broker comes what happened.
            let what = message.rsplit_once("]: ").map_or(message, |(_, what)| what);
            *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(what.to_owned());
        }
        log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        if let (Some(group), false) = (&statistics.cgrp, self.is_alone) {
            match (group.state.as_str(), group.join_state.as_str()) {
                ("up", "steady") => self.health.join(),
                ("up", _) => {}
                // Nobody tells a member without partitions.
                _ => self.health.leave(),
            }
        }
        let Some(topic) = statistics.topics.get(&self.topic) else { return };
        for (number, partition) in &topic.partitions {
            // The client's own figure counts from offsets that it has committed itself, and a transaction's are not.
            let read = [partition.app_offset, partition.committed_offset, partition.next_offset];
            let read = read.into_iter().find(|offset| *offset >= 0);
            let lag = match read {
                Some(read) if self.ownership.of(*number).is_some() => (partition.ls_offset - read).max(0),
                // Of others, or not known yet.
                _ => 0,
            };
            if *number >= 0 {
                metrics::stream::lag(*number, lag);
            }
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // Whoever polls is told of it.
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::warn!(%error, reason, "the consumer");
        }
    }
}

impl ConsumerContext for ReaderContext {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Revoke(partitions) => {
                tracing::info!(partitions = ?numbers(partitions), "partitions are taken away");
                // Before it waits for a transaction, which may take its time.
                if consumer.assignment_lost() {
                    self.health.leave();
                }
                self.ownership.revoke(numbers(partitions));
                for partition in numbers(partitions) {
                    metrics::stream::lag(partition, 0);
                }
            }
            Rebalance::Error(error) => {
                tracing::warn!(%error, "partitions cannot be shared anew");
                self.health.leave();
            }
            Rebalance::Assign(_) => {}
        }
        metrics::stream::rebalance();
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Assign(partitions) = rebalance {
            tracing::info!(partitions = ?numbers(partitions), "partitions are given");
            // One that was paused when it was taken away is paused still, and nobody would know.
            if let Err(error) = consumer.resume(partitions) {
                tracing::warn!(%error, "cannot resume the partitions that were given");
            }
            self.ownership.assign(numbers(partitions));
            self.health.join();
        }
    }
}

fn numbers(partitions: &TopicPartitionList) -> Vec<i32> {
    partitions
        .elements()
        .iter()
        .map(rdkafka::topic_partition_list::TopicPartitionListElem::partition)
        .collect()
}

/// What the producer tells.
pub(super) struct WriterContext {
    undelivered: Mutex<Vec<(usize, RDKafkaErrorCode)>>,
}

impl WriterContext {
    /// The records, by the numbers that they were sent with, that were not delivered since this was last asked, and why.
    pub(super) fn take_undelivered(&self) -> Vec<(usize, RDKafkaErrorCode)> {
        std::mem::take(&mut *self.undelivered.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether there are none.
    pub(super) fn has_delivered_all(&self) -> bool {
        self.undelivered.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl ClientContext for WriterContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "the producer");
    }
}

impl ProducerContext for WriterContext {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        if let Err((error, _)) = result {
            let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
            self.undelivered.lock().unwrap_or_else(PoisonError::into_inner).push((number, code));
        }
    }
}

/// Whether the producer has met an error after which it can do nothing any more.
pub(super) fn fatal_error<C: ClientContext>(client: &Client<C>) -> Option<(RDKafkaErrorCode, String)> {
    client.fatal_error()
}

fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
    match level {
        // Properties go to consumer and producer alike; each says of those of the other that it ignores them.
        _ if facility == "CONFWARN" => tracing::debug!(facility, "{message}"),
        Emerg | Alert | Critical | Error => tracing::error!(facility, "{message}"),
        Warning => tracing::warn!(facility, "{message}"),
        Notice | Info => tracing::info!(facility, "{message}"),
        Debug => tracing::debug!(facility, "{message}"),
    }
}
