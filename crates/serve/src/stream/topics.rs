//! The topics of a stream: whether they are there, made where they may be, and where they end.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use rdkafka::{
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    config::FromClientConfig,
    consumer::Consumer as _,
    error::RDKafkaErrorCode,
    metadata::Metadata,
};
use tokio::runtime::Handle;

use super::{StreamError, client::consumer_config, context::Consumer, settings::Settings};

/// Time in which the brokers have to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Time in which one question is answered, before it is asked whether they refuse.
const ASKED: Duration = Duration::from_secs(2);
/// Time until a topic that was made is looked for again.
const RETRY: Duration = Duration::from_millis(200);

/// Partitions of the topics of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    /// Of the topic where records were read first; none where it is there no more.
    pub(super) source: Option<i32>,
    pub(super) output: i32,
}

/// Counts the partitions of every topic, after making those that are not there, where that is allowed.
pub(super) fn check(
    settings: &Settings,
    consumer: &Consumer,
    runtime: &Handle,
) -> Result<Counts, StreamError> {
    let mut counts = Vec::new();
    for topic in [&settings.input, &settings.output, &settings.dead_letters] {
        let found = match partitions(settings, consumer, topic) {
            Err(StreamError::NoTopic(_)) if settings.new_topics.is_some() => {
                create(settings, topic, runtime)?;
                until_there(settings, consumer, topic)?
            }
            found => found?,
        };
        counts.push(found);
    }
    let source = if settings.source == settings.input {
        Some(counts[0])
    } else {
        match partitions(settings, consumer, &settings.source) {
            Err(StreamError::NoTopic(_)) => None,
            found => Some(found?),
        }
    };
    Ok(Counts { source, output: counts[1] })
}

/// The end of every partition of the input, as it is now.
pub(super) fn ends(settings: &Settings, consumer: &Consumer) -> Result<HashMap<i32, i64>, StreamError> {
    let count = partitions(settings, consumer, &settings.input)?;
    let end = |partition| Ok((partition, consumer.fetch_watermarks(&settings.input, partition, PATIENCE)?.1));
    (0..count).map(end).collect()
}

/// Asks the brokers for a topic, until they answer or it is clear that they will not.
fn metadata(settings: &Settings, consumer: &Consumer, topic: &str) -> Result<Metadata, StreamError> {
    let begun = Instant::now();
    loop {
        let error = match consumer.fetch_metadata(Some(topic), ASKED) {
            Ok(metadata) => return Ok(metadata),
            Err(error) => error,
        };
        // A wrong password stays wrong.
        let is_refused = std::iter::from_fn(|| consumer.poll(Duration::ZERO)).any(|event| {
            let code = event.err().and_then(|error| error.rdkafka_error_code());
            code == Some(RDKafkaErrorCode::Authentication)
        });
        if is_refused || begun.elapsed() >= PATIENCE {
            let reason = consumer.context().last_error().unwrap_or_else(|| error.to_string());
            return Err(StreamError::Unreachable { brokers: settings.brokers.clone(), reason });
        }
    }
}

fn partitions(settings: &Settings, consumer: &Consumer, topic: &str) -> Result<i32, StreamError> {
    let metadata = metadata(settings, consumer, topic)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let error = found.and_then(rdkafka::metadata::MetadataTopic::error).map(RDKafkaErrorCode::from);
    match (found, error) {
        (None, _) | (_, Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)) => {
            Err(StreamError::NoTopic(topic.to_owned()))
        }
        (Some(_), Some(error)) => {
            Err(StreamError::Topic { topic: topic.to_owned(), reason: error.to_string() })
        }
        (Some(found), None) => Ok(i32::try_from(found.partitions().len()).unwrap_or(i32::MAX)),
    }
}

fn create(settings: &Settings, topic: &str, runtime: &Handle) -> Result<(), StreamError> {
    let Some(new) = settings.new_topics else { return Err(StreamError::NoTopic(topic.to_owned())) };
    let admin = AdminClient::<DefaultClientContext>::from_config(&consumer_config(settings)?)?;
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE)).request_timeout(Some(PATIENCE));
    let topics = [NewTopic::new(topic, new.partitions, TopicReplication::Fixed(new.replication))];
    for one in runtime.block_on(admin.create_topics(&topics, &options))? {
        match one {
            Ok(topic) => tracing::info!(topic, partitions = new.partitions, "made a topic"),
            // Another instance was faster.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(StreamError::Topic { topic, reason: code.to_string() }),
        }
    }
    Ok(())
}

/// A topic that was made is known to every broker a little later.
fn until_there(settings: &Settings, consumer: &Consumer, topic: &str) -> Result<i32, StreamError> {
    let begun = Instant::now();
    loop {
        match partitions(settings, consumer, topic) {
            Ok(0) | Err(StreamError::NoTopic(_)) if begun.elapsed() < PATIENCE => std::thread::sleep(RETRY),
            found => return found,
        }
    }
}
