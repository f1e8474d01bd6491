//! Why a stream cannot begin, or has ended.

use std::io;

use rdkafka::error::KafkaError;

/// Why a stream cannot begin, or has ended. The message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// Two of its topics are one.
    #[error("{first} and {second} are both `{topic}`")]
    SameTopic {
        /// What the first one is.
        first: &'static str,
        /// What the second one is.
        second: &'static str,
        /// The topic.
        topic: String,
    },
    /// A property that the stream sets itself.
    #[error("the property `{name}` is {by}")]
    OwnProperty {
        /// The property.
        name: String,
        /// Who sets it.
        by: &'static str,
    },
    /// The client does not take a property.
    #[error("{0}")]
    Property(String),
    /// No broker has answered.
    #[error("no broker at {brokers} has answered: {reason}")]
    Unreachable {
        /// Where they were looked for.
        brokers: String,
        /// The last thing that went wrong.
        reason: String,
    },
    /// A topic is not there.
    #[error("there is no topic `{0}`")]
    NoTopic(String),
    /// A topic cannot be used.
    #[error("the topic `{topic}` cannot be used: {reason}")]
    Topic {
        /// The topic.
        topic: String,
        /// What the broker said.
        reason: String,
    },
    /// Not even the least of a dead letter is taken.
    #[error(
        "the topic `{topic}` does not take a report of the record {offset} of partition {partition}: {reason}"
    )]
    DeadLetter {
        /// The topic of dead letters.
        topic: String,
        /// Partition of the record.
        partition: i32,
        /// Offset of the record.
        offset: i64,
        /// What the brokers say.
        reason: String,
    },
    /// The registry of schemas cannot be used.
    #[cfg(feature = "avro")]
    #[error("the schema registry at {urls} cannot be used: {reason}")]
    Registry {
        /// Where it was looked for.
        urls: String,
        /// What went wrong.
        reason: String,
    },
    /// A property of the registry has no value that it can have.
    #[cfg(feature = "avro")]
    #[error("the property `schema.registry.{name}` has to be {expected}")]
    RegistryProperty {
        /// The property, less what begins all of them.
        name: String,
        /// What it can be.
        expected: &'static str,
    },
    /// A property that no registry has.
    #[cfg(feature = "avro")]
    #[error("there is no property `schema.registry.{0}`")]
    NoRegistryProperty(String),
    /// Another instance writes under the same name.
    #[error("another process writes as `{0}`")]
    Fenced(String),
    /// One of its threads has panicked: a bug.
    #[error("a thread of the stream has panicked")]
    Panicked,
    /// The engine has stopped.
    #[error("the engine has stopped")]
    NoEngine,
    /// The client cannot go on.
    #[error("the Kafka client cannot go on: {0}")]
    Client(#[from] KafkaError),
    /// The operating system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(io::Error),
}

impl StreamError {
    /// What the user can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::SameTopic { .. } => {
                Some("give each its own with --input-topic, --output-topic and --dead-letter-topic")
            }
            Self::Unreachable { .. } => Some(
                "check --brokers, and what the brokers demand: security.protocol, sasl.mechanism and the like are set with --property \
                 NAME=VALUE",
            ),
            Self::NoTopic(_) => Some("create it, or let the stream do so with --create-topics PARTITIONS"),
            Self::DeadLetter { .. } => Some(
                "let it take records of some kilobytes (max.message.bytes), or give another with --dead-letter-topic",
            ),
            Self::Fenced(_) => Some("give each process its own --instance"),
            Self::Property(_) => {
                Some("--property takes those of librdkafka: its CONFIGURATION.md lists them")
            }
            #[cfg(feature = "avro")]
            Self::Registry { .. } => Some(
                "check --schema-registry, and what the registry demands: schema.registry.basic.auth.user.info=USER:PASSWORD or \
                 schema.registry.bearer.auth.token are set with --property or --properties-file",
            ),
            #[cfg(feature = "avro")]
            Self::NoRegistryProperty(_) => Some(
                "there are schema.registry.basic.auth.user.info, schema.registry.bearer.auth.token and \
                 schema.registry.auto.register.schemas",
            ),
            _ => None,
        }
    }

    /// Whether the command was used wrongly.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::SameTopic { .. } | Self::OwnProperty { .. } | Self::Property(_) => true,
            #[cfg(feature = "avro")]
            Self::RegistryProperty { .. } | Self::NoRegistryProperty(_) => true,
            _ => false,
        }
    }
}
