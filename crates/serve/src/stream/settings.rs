//! What a stream does, and within which bounds.

use std::time::Duration;

use restorer::RestoreOptions;

use super::StreamError;
#[cfg(feature = "avro")]
use super::registry::RegistrySettings;
use crate::batch::BatchSettings;

/// What may happen to a record when a process dies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Delivery {
    /// Nothing: consumers that read committed records see it once.
    #[default]
    ExactlyOnce,
    /// It is written again; cheaper, as nothing waits for a transaction.
    AtLeastOnce,
}

/// When a batch is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Records in it, and in a transaction, which takes all batches that are ready.
    pub records: usize,
    /// Tokens of the texts in it: it ends with the record that reaches them.
    pub tokens: usize,
    /// Time since its first record.
    pub time: Duration,
}

impl BatchLimits {
    /// [`BatchLimits::records`] unless told otherwise.
    pub const DEFAULT_RECORDS: usize = 2000;
    /// [`BatchLimits::tokens`] unless told otherwise.
    pub const DEFAULT_TOKENS: usize = 1 << 18;
    /// [`BatchLimits::time`] unless told otherwise.
    pub const DEFAULT_TIME: Duration = Duration::from_millis(50);
}

/// Topics that are made where they are not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewTopics {
    /// Partitions of each.
    pub partitions: i32,
    /// Replicas of each partition.
    pub replication: i32,
}

/// What the values of records are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueFormat {
    /// Text in UTF-8; the answer is the restored text, and the rest stands in headers.
    Text,
    /// A JSON object; the answer is the object with more members.
    Json {
        /// JSON pointer (RFC 6901) to the text.
        field: String,
        /// Whether members of the names of the new ones are replaced.
        overwrites: bool,
    },
    /// An Arrow IPC stream; the answer is the table with more columns.
    Arrow(BatchSettings),
    /// A record in Avro, whose schema is in a registry; the answer is the record with more fields.
    #[cfg(feature = "avro")]
    Avro {
        /// JSON pointer (RFC 6901) to the text.
        field: String,
        /// Whether fields of the names of the new ones are replaced.
        overwrites: bool,
        /// Where the schemas are.
        registry: RegistrySettings,
    },
}

/// What a stream does.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Brokers to begin with.
    pub brokers: String,
    /// Topic that is read.
    pub input: String,
    /// Topic of the stream: that one, or where its dead letters were read first.
    pub source: String,
    /// Topic that restored records are written to.
    pub output: String,
    /// Topic that records are written to which cannot be restored.
    pub dead_letters: String,
    /// Consumer group.
    pub group: String,
    /// Transactional id, which no other process may have at the same time.
    pub instance: String,
    /// What may happen when a process dies.
    pub delivery: Delivery,
    /// When a batch is full.
    pub limits: BatchLimits,
    /// Tokens that were read and are not written yet, at most; then the stream pauses.
    pub in_flight_tokens: usize,
    /// What values are.
    pub format: ValueFormat,
    /// Bytes of a value, at most; a larger one is a dead letter.
    pub max_value_bytes: usize,
    /// How often a text is tried that the model panics on.
    pub attempts: u32,
    /// Options of every text.
    pub options: RestoreOptions,
    /// Restore nothing: records pass through, to measure everything else.
    pub is_identity: bool,
    /// Properties of librdkafka, by name.
    pub properties: Vec<(String, String)>,
    /// Topics that are made where they are not there.
    pub new_topics: Option<NewTopics>,
    /// Whether `input` holds dead letters, which are read up to their present end.
    pub replay: bool,
}

impl Settings {
    /// Checks what can be checked without a broker.
    ///
    /// # Errors
    ///
    /// Where two topics are one.
    pub fn check(self) -> Result<Self, StreamError> {
        let (input, output, dead) = ("the input topic", "the output topic", "the topic of dead letters");
        for (first, one, second, other) in [
            (input, &self.input, output, &self.output),
            (output, &self.output, dead, &self.dead_letters),
            (input, &self.input, dead, &self.dead_letters),
        ] {
            if one == other && !(self.replay && second == dead && first == input) {
                return Err(StreamError::SameTopic { first, second, topic: one.clone() });
            }
        }
        Ok(self)
    }
}
