//! The command line, as it is written. Every flag is also read from its environment variable; the flag wins.

#[cfg(feature = "kafka")]
pub mod stream;

use std::{fmt, num::NonZeroU32, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Parser, Subcommand};
use restorer::{ComputeType, DeviceChoice, LoadOptions, Reranking, RestoreOptions, source::ModelName};

use crate::{
    api::values::{Alternatives, Beams, Probability, Rounds},
    batch,
    cache::ResultCache,
    config::ModelEntry,
    http::{cors::Origin, server::ConnectionLimits, state::RequestLimits},
    jobs::JobLimits,
    keys::Role,
    logging::LogFormat,
    models::checkpoint::{Checkpoint, Judge},
    scheduler::Limits,
};

/// Restores corrupted text: as an HTTP server, one text, or whole files.
#[derive(Debug, Parser)]
#[command(name = "serve", version)]
pub struct Cli {
    /// Log lines as text or as JSON objects.
    #[arg(
        long,
        global = true,
        help_heading = "Logging",
        env = "REVERTANT_LOG_FORMAT",
        value_enum,
        default_value_t
    )]
    pub log_format: LogFormat,
    /// What is logged: a level (error, warn, info, debug, trace), or a list such as info,serve=debug.
    #[arg(
        long,
        global = true,
        help_heading = "Logging",
        env = "REVERTANT_LOG",
        default_value = "info",
        value_name = "FILTER"
    )]
    pub log: String,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program does.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the HTTP API.
    Http(Box<HttpArgs>),
    /// Restore the records of a Kafka topic into another, each exactly once, beside the HTTP API.
    #[cfg(feature = "kafka")]
    Stream(Box<stream::StreamArgs>),
    /// Restore one text and print it.
    Restore(RestoreArgs),
    /// Restore a column of a Parquet, CSV or JSON-lines file, or of every such file of a directory.
    Batch(BatchArgs),
    /// Make a key of the HTTP API: its table for the file of --keys, and on standard error the key.
    Key(KeyArgs),
    /// Print the description of the HTTP API (OpenAPI 3.1).
    Openapi,
}

/// Which model, and where it runs.
#[derive(Debug, Clone, Args)]
pub struct ModelArgs {
    /// Checkpoint directory, DIR@ALIAS or DIR@VERSION of a directory of versions, owner/name[@revision] of a hub, or `models:/NAME@ALIAS`
    /// or `models:/NAME/VERSION` of a registry (`MLFLOW_TRACKING_URI`); the checkpoint built into the program unless given.
    #[arg(long, env = "REVERTANT_MODEL", value_name = "DIR|ID")]
    pub model: Option<ModelName>,
    /// The channel that a prior decodes: a recipe with a table [corrupt], as `corruptor fit` writes it; the model's own unless given.
    #[arg(long, env = "REVERTANT_CHANNEL", value_name = "RECIPE")]
    pub channel: Option<PathBuf>,
    /// A second model that weighs what the first holds possible: a prior, or a decoder with a tokenizer.
    #[arg(long, env = "REVERTANT_RERANK", value_name = "DIR|ID")]
    pub rerank: Option<ModelName>,
    /// What the second model's nats count beside the first's.
    #[arg(long, env = "REVERTANT_RERANK_WEIGHT", default_value_t = Reranking::DEFAULT_WEIGHT)]
    pub rerank_weight: f64,
    /// Originals that the second model is asked about, at most.
    #[arg(long, env = "REVERTANT_CANDIDATES", default_value_t = Reranking::DEFAULT_CANDIDATES)]
    pub candidates: usize,
    /// Where the model runs: cpu or cuda:N.
    #[arg(long, env = "REVERTANT_DEVICE", default_value = "cpu")]
    pub device: DeviceChoice,
    /// What an autoregressive model computes in on a CPU: float32, int8, or auto, as its checkpoint's matrices are.
    #[arg(long, env = "REVERTANT_COMPUTE_TYPE", default_value_t)]
    pub compute_type: ComputeType,
    /// Bytes of a text that the model sees at once; its own number unless given.
    #[arg(long, env = "REVERTANT_WINDOW_BYTES", value_parser = parse_count)]
    pub window_bytes: Option<usize>,
    /// Bytes on each side of a window of a longer text that only inform; the model's own number unless given.
    #[arg(long, env = "REVERTANT_OVERLAP_BYTES")]
    pub overlap_bytes: Option<usize>,
    /// Threads that the model uses; all cores unless given.
    #[arg(long, env = "REVERTANT_THREADS", value_parser = parse_count)]
    pub threads: Option<usize>,
}

impl From<&ModelArgs> for Checkpoint {
    fn from(args: &ModelArgs) -> Self {
        let ModelArgs { rerank_weight: weight, candidates, .. } = *args;
        Self {
            name: args.model.clone(),
            channel: args.channel.clone(),
            judge: args.rerank.clone().map(|name| Judge { name, weight, candidates }),
            options: LoadOptions {
                device: args.device,
                compute_type: args.compute_type,
                window_bytes: args.window_bytes,
                overlap_bytes: args.overlap_bytes,
                threads: args.threads,
                ..LoadOptions::default()
            },
            golden: None,
        }
    }
}

/// How texts are restored.
#[derive(Debug, Clone, Args)]
pub struct OptionArgs {
    /// Apply only edits at least this probable, from 0 to 1; the model's own threshold unless given.
    #[arg(long, env = "REVERTANT_MIN_CONFIDENCE", value_name = "P")]
    pub min_confidence: Option<Probability>,
    /// Restore the restored text again, up to this many rounds; the model's own number unless given.
    #[arg(long, env = "REVERTANT_MAX_ROUNDS", value_name = "N")]
    pub max_rounds: Option<Rounds>,
    /// Hypotheses that a search keeps: from two on, an autoregressive model searches; a prior's own number unless given.
    #[arg(long, env = "REVERTANT_NUM_BEAMS", value_name = "N")]
    pub num_beams: Option<Beams>,
}

impl From<&OptionArgs> for RestoreOptions {
    fn from(args: &OptionArgs) -> Self {
        Self {
            min_confidence: args.min_confidence.map(|probability| probability.0),
            max_rounds: args.max_rounds.map(Rounds::get),
            num_beams: args.num_beams.map(Beams::get),
            ..Self::default()
        }
    }
}

/// `serve http`.
#[derive(Debug, Args)]
pub struct HttpArgs {
    /// TOML file with any of these flags by name, and tables [[model]]; a flag or its environment variable wins over it.
    #[arg(long, env = "REVERTANT_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print every flag with its value and where it comes from, as such a file, and end.
    #[arg(long)]
    pub print_config: bool,
    /// The tables [[model]] of the file.
    #[arg(skip)]
    pub models: Vec<ModelEntry>,
    /// What `--print-config` prints.
    #[arg(skip)]
    pub printed: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub model: ModelArgs,
    /// Address and port to listen on; port 0 takes any free one and logs it.
    #[arg(long, env = "REVERTANT_LISTEN", default_value = "127.0.0.1:8080", value_name = "HOST:PORT", value_parser = parse_address)]
    pub listen: String,
    /// Another model, which requests reach by this name; may be given several times.
    #[arg(long = "also", env = "REVERTANT_ALSO", value_name = "NAME=DIR|ID", value_delimiter = ',')]
    pub also: Vec<Named>,
    /// Name of the model that answers requests that name none.
    #[arg(long, env = "REVERTANT_MODEL_NAME", default_value = "default")]
    pub model_name: String,
    /// Lines of JSON, each with `text` and `restored`: a model that does not restore them so is not served.
    #[arg(long, env = "REVERTANT_GOLDEN", value_name = "FILE")]
    pub golden: Option<PathBuf>,
    /// Share of them that has to come out so, from 0 to 1.
    #[arg(long, env = "REVERTANT_GOLDEN_SHARE", default_value = "1", value_name = "P")]
    pub golden_share: Probability,
    /// Seconds between two looks at where models come from, for new versions; 0 never looks.
    #[arg(long, env = "REVERTANT_POLL_SECONDS", default_value = "30")]
    pub poll_seconds: Seconds,
    /// File of keys, as `serve key` makes them; without one, whoever reaches the server may ask.
    #[arg(long, env = "REVERTANT_KEYS", value_name = "FILE")]
    pub keys: Option<PathBuf>,
    /// Requests in a second from one address, at most, where there are no keys; without it as many as come.
    #[arg(long, env = "REVERTANT_REQUESTS_PER_SECOND", value_name = "N", conflicts_with = "keys")]
    pub requests_per_second: Option<NonZeroU32>,
    /// Origin whose pages may ask from a browser, such as `https://example.org`, or `*` for all; none unless given.
    #[arg(long, env = "REVERTANT_CORS_ORIGIN", value_name = "ORIGIN", value_delimiter = ',')]
    pub cors_origin: Vec<Origin>,
    /// Certificates in PEM, the server's own first; with them the server speaks TLS only.
    #[arg(long, env = "REVERTANT_TLS_CERTIFICATE", value_name = "FILE", requires = "tls_key")]
    pub tls_certificate: Option<PathBuf>,
    /// The key of the first of them, in PEM.
    #[arg(long, env = "REVERTANT_TLS_KEY", value_name = "FILE", requires = "tls_certificate")]
    pub tls_key: Option<PathBuf>,
    /// Bytes of a request's body, at most.
    #[arg(long, env = "REVERTANT_MAX_BODY_BYTES", default_value_t = RequestLimits::DEFAULT_BODY_BYTES, value_parser = parse_count)]
    pub max_body_bytes: usize,
    /// Directory of jobs: files that are restored in the background, and go on after a restart. Without one, none are taken.
    #[arg(long, env = "REVERTANT_JOBS", value_name = "DIR")]
    pub jobs: Option<PathBuf>,
    /// Directory or URL (s3://, gs://, az://) under which jobs may read and write; may be given several times. Without one, they take uploads only.
    #[arg(
        long = "root",
        env = "REVERTANT_ROOT",
        value_name = "DIR|URL",
        value_delimiter = ',',
        requires = "jobs"
    )]
    pub roots: Vec<PathBuf>,
    /// Jobs that are worked on at a time.
    #[arg(long, env = "REVERTANT_JOBS_AT_ONCE", default_value_t = JobLimits::DEFAULT_AT_ONCE, value_parser = parse_count)]
    pub jobs_at_once: usize,
    /// Jobs that may wait or be under way; more are refused, with status 429.
    #[arg(long, env = "REVERTANT_QUEUE_JOBS", default_value_t = JobLimits::DEFAULT_WAITING, value_parser = parse_count)]
    pub queue_jobs: usize,
    /// Days after which a job that has ended is removed.
    #[arg(long, env = "REVERTANT_JOBS_DAYS", default_value_t = JobLimits::DEFAULT_DAYS, value_parser = parse_count)]
    pub jobs_days: usize,
    /// Bytes of a file that is sent as a body, at most.
    #[arg(long, env = "REVERTANT_MAX_UPLOAD_BYTES", default_value_t = RequestLimits::DEFAULT_UPLOAD_BYTES, value_parser = parse_count)]
    pub max_upload_bytes: usize,
    /// Seconds for a request's body to arrive.
    #[arg(long, env = "REVERTANT_BODY_SECONDS", default_value_t = Seconds(RequestLimits::DEFAULT_BODY_TIME))]
    pub body_seconds: Seconds,
    /// Seconds for a request to be answered; then it is dropped, with status 504.
    #[arg(long, env = "REVERTANT_REQUEST_SECONDS", default_value_t = Seconds(RequestLimits::DEFAULT_ANSWER_TIME))]
    pub request_seconds: Seconds,
    /// Texts that may wait for the model; more are refused, with status 429.
    #[arg(long, env = "REVERTANT_QUEUE_TEXTS", default_value_t = Limits::DEFAULT_QUEUE_TEXTS, value_parser = parse_count)]
    pub queue_texts: usize,
    /// Tokens that may wait for the model; more are refused, with status 429.
    #[arg(long, env = "REVERTANT_QUEUE_TOKENS", default_value_t = Limits::DEFAULT_QUEUE_TOKENS, value_parser = parse_count)]
    pub queue_tokens: usize,
    /// Texts that are restored at a time, at most.
    #[arg(long, env = "REVERTANT_BATCH_TEXTS", default_value_t = Limits::DEFAULT_BATCH_TEXTS, value_parser = parse_count)]
    pub batch_texts: usize,
    /// Tokens that go through the model in one step, at most.
    #[arg(long, env = "REVERTANT_BATCH_TOKENS", default_value_t = Limits::DEFAULT_BATCH_TOKENS, value_parser = parse_count)]
    pub batch_tokens: usize,
    /// Bytes of keys, values and hypotheses that are held for what is being restored, at most.
    #[arg(long, env = "REVERTANT_CACHE_BYTES", default_value_t = Limits::DEFAULT_CACHE_BYTES, value_parser = parse_count)]
    pub cache_bytes: usize,
    /// Bytes of restorations that are kept for whoever asks for the same again; 0 keeps none.
    #[arg(long, env = "REVERTANT_RESULT_CACHE_BYTES", default_value_t = ResultCache::DEFAULT_BYTES)]
    pub result_cache_bytes: usize,
    /// Connections at a time.
    #[arg(long, env = "REVERTANT_MAX_CONNECTIONS", default_value_t = ConnectionLimits::DEFAULT_CONNECTIONS, value_parser = parse_count)]
    pub max_connections: usize,
    /// Seconds for which an idle connection stays open, and in which a request's head must arrive.
    #[arg(long, env = "REVERTANT_IDLE_SECONDS", default_value_t = Seconds(ConnectionLimits::DEFAULT_HEAD_TIME))]
    pub idle_seconds: Seconds,
    /// After SIGTERM, seconds to be unready and still take requests, for load balancers to notice.
    #[arg(long, env = "REVERTANT_UNREADY_SECONDS", default_value = "0")]
    pub unready_seconds: Seconds,
    /// After that, seconds in which the requests that are there are answered.
    #[arg(long, env = "REVERTANT_DRAIN_SECONDS", default_value = "30")]
    pub drain_seconds: Seconds,
}

/// `serve key`.
#[derive(Debug, Args)]
pub struct KeyArgs {
    /// Who holds it.
    pub name: String,
    /// What it is for.
    #[arg(long, value_enum, default_value = "restore")]
    pub role: Role,
    /// Requests in a second, at most.
    #[arg(long, value_name = "N")]
    pub requests_per_second: Option<NonZeroU32>,
}

/// `serve restore`.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The text; `-`, or none, reads standard input.
    pub text: Option<String>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub model: ModelArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub options: OptionArgs,
    /// Print the text, its edits and its confidence as one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Also name up to this many other originals, the most probable first.
    #[arg(long, requires = "json", value_name = "N")]
    pub alternatives: Option<Alternatives>,
}

/// `serve batch`.
#[derive(Debug, Args)]
pub struct BatchArgs {
    /// File by its extension (.parquet, .csv, .tsv, .jsonl, .ndjson), or a directory of them; a path or a URL (s3://, gs://, az://).
    #[arg(value_name = "IN")]
    pub input: PathBuf,
    /// File of the same format to write, or the directory for them; replaced where it is there.
    #[arg(value_name = "OUT")]
    pub output: PathBuf,
    /// Column of texts.
    #[arg(long, env = "REVERTANT_COLUMN", default_value = batch::DEFAULT_COLUMN)]
    pub column: String,
    /// Replace columns named restored, edits, confidence or error.
    #[arg(long)]
    pub overwrite_columns: bool,
    /// Tokens that the model gets at a time, at most; a single longer text goes alone.
    #[arg(long, env = "REVERTANT_BATCH_TOKENS", default_value_t = Limits::DEFAULT_BATCH_TOKENS, value_parser = parse_count)]
    pub batch_tokens: usize,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub model: ModelArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show it as help")]
    pub options: OptionArgs,
}

/// A model with the name that requests call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What requests call it.
    pub name: String,
    /// Where it comes from.
    pub model: ModelName,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, model) = text.split_once('=').unwrap_or_default();
        if name.is_empty() || model.is_empty() {
            return Err("it is a name and a model, such as tagger=models/tagger".to_owned());
        }
        let model = model.parse().map_err(|error| format!("{error}"))?;
        Ok(Self { name: name.to_owned(), model })
    }
}

/// A time on the command line, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let seconds: f64 =
            text.parse().map_err(|_| "it is a number of seconds, such as 30 or 0.5".to_owned())?;
        Duration::try_from_secs_f64(seconds).map(Self).map_err(|error| error.to_string())
    }
}

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.as_secs_f64())
    }
}

fn parse_count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("it is a whole number from 1".to_owned()),
        Ok(count) => Ok(count),
    }
}

fn parse_address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("it is a host and a port, such as 127.0.0.1:8080".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn values_are_checked_at_the_edge() {
        assert_eq!("0.5".parse(), Ok(Seconds(Duration::from_millis(500))));
        for bad in ["-1", "soon", "1e300", "NaN"] {
            assert!(bad.parse::<Seconds>().is_err(), "{bad}");
        }
        assert!(parse_count("0").is_err() && parse_count("-1").is_err());
        for good in ["127.0.0.1:0", "[::1]:8080", "localhost:80"] {
            assert!(parse_address(good).is_ok(), "{good}");
        }
        for bad in ["8080", ":8080", "localhost", "localhost:http", "1.2.3.4:99999"] {
            assert!(parse_address(bad).is_err(), "{bad}");
        }
    }
}
