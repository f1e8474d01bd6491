//! `serve stream`.

use std::{collections::BTreeMap, num::NonZeroU32, path::PathBuf, str::FromStr};

use clap::{Args, ValueEnum};
use restorer::{Priority, RestoreOptions};

use super::{HttpArgs, OptionArgs, Seconds, parse_count};
#[cfg(feature = "avro")]
use crate::stream::registry::{self, RegistrySettings};
use crate::{
    batch::{self, BatchSettings, ExistingColumns},
    stream::{
        Settings, ValueFormat,
        settings::{BatchLimits, Delivery, NewTopics},
    },
};

/// `serve stream`.
#[derive(Debug, Args)]
pub struct StreamArgs {
    /// Brokers to begin with: HOST:PORT, several separated by commas.
    #[arg(long, env = "REVERTANT_BROKERS", value_name = "HOST:PORT,…")]
    pub brokers: String,
    /// Topic whose records are restored.
    #[arg(long, env = "REVERTANT_INPUT_TOPIC", value_name = "TOPIC")]
    pub input_topic: String,
    /// Topic that restored records are written to: into the same partitions where it has as many, else by key.
    #[arg(long, env = "REVERTANT_OUTPUT_TOPIC", value_name = "TOPIC")]
    pub output_topic: String,
    /// Topic of the records that cannot be restored, with headers that say why; INPUT.dead-letters unless given.
    #[arg(long, env = "REVERTANT_DEAD_LETTER_TOPIC", value_name = "TOPIC")]
    pub dead_letter_topic: Option<String>,
    /// Consumer group; its members share the partitions.
    #[arg(long, env = "REVERTANT_GROUP", default_value = "revertant", value_name = "GROUP")]
    pub group: String,
    /// What tells this process from the others of its group, also after a restart; the host's name unless given.
    #[arg(long, env = "REVERTANT_INSTANCE", value_name = "NAME")]
    pub instance: Option<String>,
    /// What may happen to a record when a process dies: nothing, or that it is written again.
    #[arg(long, env = "REVERTANT_DELIVERY", value_enum, default_value_t)]
    pub delivery: Delivery,
    /// What values are: texts, JSON objects, tables, or records in Avro.
    #[arg(long, env = "REVERTANT_VALUES", value_enum, default_value_t)]
    pub values: Values,
    /// JSON pointer (RFC 6901) to the text of an object, or of a record in Avro.
    #[arg(long, env = "REVERTANT_FIELD", default_value = "/text", value_name = "POINTER", value_parser = parse_pointer)]
    pub field: String,
    /// Registry of the schemas of records in Avro: its address, or several separated by commas, which are tried in their order.
    #[cfg(feature = "avro")]
    #[arg(
        long,
        env = "REVERTANT_SCHEMA_REGISTRY",
        value_name = "URL,…",
        value_delimiter = ',',
        value_parser = parse_address,
        required_if_eq("values", "avro")
    )]
    pub schema_registry: Vec<String>,
    /// Column of texts of a table.
    #[arg(long, env = "REVERTANT_COLUMN", default_value = batch::DEFAULT_COLUMN)]
    pub column: String,
    /// Replace members of objects, and fields of records, that are named restored, edits, confidence or `model_digest`, and columns of tables that are
    /// named restored, edits, confidence or error.
    #[arg(long, env = "REVERTANT_OVERWRITE_FIELDS")]
    pub overwrite_fields: bool,
    /// Bytes of a value, at most; a larger one is a dead letter.
    #[arg(long, env = "REVERTANT_MAX_VALUE_BYTES", default_value_t = 1 << 20, value_parser = parse_count)]
    pub max_value_bytes: usize,
    /// Records of a batch, and of a transaction, which takes all batches that are ready, at most.
    #[arg(long, env = "REVERTANT_TRANSACTION_RECORDS", default_value_t = BatchLimits::DEFAULT_RECORDS, value_parser = parse_count)]
    pub transaction_records: usize,
    /// Tokens of the texts of a batch: it ends with the record that reaches them.
    #[arg(long, env = "REVERTANT_TRANSACTION_TOKENS", default_value_t = BatchLimits::DEFAULT_TOKENS, value_parser = parse_count)]
    pub transaction_tokens: usize,
    /// Seconds for which records are collected for a batch, at most.
    #[arg(long, env = "REVERTANT_TRANSACTION_SECONDS", default_value_t = Seconds(BatchLimits::DEFAULT_TIME))]
    pub transaction_seconds: Seconds,
    /// Tokens that were read and are not written yet, at most; then nothing more is read.
    #[arg(long, env = "REVERTANT_IN_FLIGHT_TOKENS", default_value_t = 1 << 20, value_parser = parse_count)]
    pub in_flight_tokens: usize,
    /// How often a text is tried that the model panics on.
    #[arg(long, env = "REVERTANT_ATTEMPTS", default_value = "3")]
    pub attempts: NonZeroU32,
    /// Make the topics that are not there, with this many partitions.
    #[arg(long, env = "REVERTANT_CREATE_TOPICS", value_name = "PARTITIONS")]
    pub create_topics: Option<NonZeroU32>,
    /// Replicas of each partition of the topics that are made.
    #[arg(long, env = "REVERTANT_REPLICATION", default_value = "1", requires = "create_topics")]
    pub replication: NonZeroU32,
    /// A property of librdkafka, such as `security.protocol=SASL_SSL`; may be given several times.
    #[arg(long = "property", value_name = "NAME=VALUE")]
    pub properties: Vec<Property>,
    /// File of such properties, one a line, # for comments; what is secret is better kept there. Those of --property win.
    #[arg(long, env = "REVERTANT_PROPERTIES", value_name = "FILE")]
    pub properties_file: Option<PathBuf>,
    /// Read the topic of dead letters up to its present end instead, and try them again.
    #[arg(long)]
    pub replay_dead_letters: bool,
    /// Restore nothing: records pass through as they are. It measures everything but the model.
    #[arg(long)]
    pub identity: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub options: OptionArgs,
    /// The server beside the stream, which shares its engine.
    #[command(flatten)]
    pub http: HttpArgs,
}

/// What values are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Values {
    /// Text in UTF-8.
    #[default]
    Text,
    /// JSON objects.
    Json,
    /// Arrow IPC streams.
    Arrow,
    /// Records in Avro, each with the id of its schema in a registry.
    #[cfg(feature = "avro")]
    Avro,
}

/// A property of librdkafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property(pub String, pub String);

impl FromStr for Property {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => {
                Ok(Self(name.trim().to_owned(), value.trim().to_owned()))
            }
            _ => Err("it is a name and a value, such as security.protocol=SASL_SSL".to_owned()),
        }
    }
}

/// The properties of a file.
///
/// # Errors
///
/// What is wrong, with the number of the line.
pub fn properties(text: &str) -> Result<Vec<Property>, String> {
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(at, line)| line.parse().map_err(|error| format!("line {}: {error}", at + 1))).collect()
}

impl StreamArgs {
    /// What the stream does, with the properties of its file, on a host of this name.
    pub fn settings(&self, of_file: Vec<Property>, host: &str) -> Settings {
        let dead_letters =
            self.dead_letter_topic.clone().unwrap_or_else(|| format!("{}.dead-letters", self.input_topic));
        let instance = self.instance.as_deref().unwrap_or(host);
        let replay = self.replay_dead_letters;
        // Two replays at once would restore twice: all have one name.
        let (group, instance, input) = if replay {
            let group = format!("{}.replay", self.group);
            (group.clone(), group, dead_letters.clone())
        } else {
            (self.group.clone(), format!("{}.{instance}", self.group), self.input_topic.clone())
        };
        let properties: BTreeMap<String, String> = of_file
            .into_iter()
            .chain(self.properties.iter().cloned())
            .map(|Property(name, value)| (name, value))
            .collect();
        #[cfg(feature = "avro")]
        let (properties, registry) = self.registry(properties);
        let at_most = |count: NonZeroU32| i32::try_from(count.get()).unwrap_or(i32::MAX);
        Settings {
            brokers: self.brokers.clone(),
            input,
            source: self.input_topic.clone(),
            output: self.output_topic.clone(),
            dead_letters,
            group,
            instance,
            delivery: self.delivery,
            limits: BatchLimits {
                records: self.transaction_records,
                tokens: self.transaction_tokens,
                time: self.transaction_seconds.0,
            },
            in_flight_tokens: self.in_flight_tokens,
            format: match self.values {
                Values::Text => ValueFormat::Text,
                Values::Json => {
                    ValueFormat::Json { field: self.field.clone(), overwrites: self.overwrite_fields }
                }
                Values::Arrow => ValueFormat::Arrow(BatchSettings {
                    column: self.column.clone(),
                    existing: ExistingColumns::overwritten(self.overwrite_fields),
                }),
                #[cfg(feature = "avro")]
                Values::Avro => ValueFormat::Avro {
                    field: self.field.clone(),
                    overwrites: self.overwrite_fields,
                    registry,
                },
            },
            max_value_bytes: self.max_value_bytes,
            attempts: self.attempts.get(),
            options: RestoreOptions { priority: Priority::Bulk, ..RestoreOptions::from(&self.options) },
            is_identity: self.identity,
            properties: properties.into_iter().collect(),
            new_topics: self.create_topics.map(|partitions| NewTopics {
                partitions: at_most(partitions),
                replication: at_most(self.replication),
            }),
            replay,
        }
    }
}

#[cfg(feature = "avro")]
impl StreamArgs {
    /// The properties that are librdkafka's, and those that are the registry's.
    fn registry(&self, properties: BTreeMap<String, String>) -> (BTreeMap<String, String>, RegistrySettings) {
        let mut own = Vec::new();
        let mut others = BTreeMap::new();
        for (name, value) in properties {
            match name.strip_prefix(registry::PREFIX) {
                Some(name) => own.push((name.to_owned(), value)),
                None => drop(others.insert(name, value)),
            }
        }
        (others, RegistrySettings { urls: self.schema_registry.clone(), properties: own })
    }
}

/// An address that can be shown.
#[cfg(feature = "avro")]
fn parse_address(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(rest) if rest.contains('@') => {
            Err("name and password are set by the property schema.registry.basic.auth.user.info".to_owned())
        }
        Some(rest) if !rest.is_empty() => Ok(text.to_owned()),
        _ => Err("an address begins with http:// or https://".to_owned()),
    }
}

fn parse_pointer(text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        return Ok(text.to_owned());
    }
    Err(format!("a JSON pointer begins with a slash, such as /{text}"))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn settings(flags: &[&str]) -> Settings {
        let required = ["serve", "stream", "--brokers=b:9092", "--input-topic=in", "--output-topic=out"];
        let cli = Cli::parse_from(required.iter().chain(flags));
        let Command::Stream(args) = cli.command else { panic!("another command") };
        args.settings(properties("# secret\n\na=1\nb = 2 = 3\n").unwrap(), "host")
    }

    #[test]
    fn flags_become_settings() {
        let found = settings(&["--property=a=7", "--values=json", "--field=/a/b", "--create-topics=6"]);
        assert_eq!((found.input.as_str(), found.dead_letters.as_str()), ("in", "in.dead-letters"));
        assert_eq!((found.group.as_str(), found.instance.as_str()), ("revertant", "revertant.host"));
        let property = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(found.properties, [property("a", "7"), property("b", "2 = 3")]);
        assert_eq!(found.format, ValueFormat::Json { field: "/a/b".to_owned(), overwrites: false });
        assert_eq!(found.new_topics, Some(NewTopics { partitions: 6, replication: 1 }));
        assert!(found.check().is_ok());
        let replay = settings(&["--replay-dead-letters"]);
        assert_eq!((replay.input.as_str(), replay.group.as_str()), ("in.dead-letters", "revertant.replay"));
        assert_eq!(replay.instance, "revertant.replay");
        assert!(replay.check().is_ok());
    }

    #[test]
    fn topics_that_are_one_are_refused() {
        for flags in [
            &["--output-topic=in"][..],
            &["--dead-letter-topic=in"],
            &["--dead-letter-topic=out"],
            &["--dead-letter-topic=out", "--replay-dead-letters"],
        ] {
            let mut all = vec!["serve", "stream", "--brokers=b:9092", "--input-topic=in"];
            if !flags[0].starts_with("--output") {
                all.push("--output-topic=out");
            }
            all.extend(flags);
            let Command::Stream(args) = Cli::parse_from(all).command else { panic!("another command") };
            assert!(args.settings(Vec::new(), "host").check().is_err(), "{flags:?}");
        }
        assert!(parse_pointer("text").is_err());
        assert!(properties("a=1\nb\n").unwrap_err().starts_with("line 2: "));
    }
}
