//! Jobs, as the API takes and tells them.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    file_options::FileOptions,
    values::{Beams, Method, Probability, Rounds},
};
use crate::jobs::{Job, Progress, Source, State};

/// A job over a file that the server can read.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub(crate) struct JobRequest {
    /// Path or URL (`s3://`, `gs://`, `az://`) of a Parquet, CSV or JSON-lines file under a root of the server.
    pub(crate) input: String,
    /// Path or URL to write, with the same extension; kept by the server, for `/v1/jobs/{id}/result`, unless given.
    pub(crate) output: Option<String>,
    /// Column of texts; `corrupted` unless given.
    pub(crate) column: Option<String>,
    /// Replace columns named `restored`, `edits`, `confidence` or `error`.
    pub(crate) overwrite_columns: Option<bool>,
    /// The model that restores, as `/v1/models` lists it; the server's first unless given.
    pub(crate) model: Option<String>,
    /// Apply only edits at least this probable.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1)]
    pub(crate) min_confidence: Option<Probability>,
    /// Restore the restored text again, up to this many rounds.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 16)]
    pub(crate) max_rounds: Option<Rounds>,
    /// How the model decodes; its own way unless given. `/v1/models` says which ways it knows.
    #[schema(inline)]
    pub(crate) decoding: Option<Method>,
    /// Hypotheses that a search keeps: of `beam` 4 unless given, of `channel` the model's own number.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 256)]
    pub(crate) num_beams: Option<Beams>,
}

impl JobRequest {
    /// The same options as those of an upload.
    pub(crate) fn options(&self) -> FileOptions {
        FileOptions {
            column: self.column.clone(),
            overwrite_columns: self.overwrite_columns,
            model: self.model.clone(),
            min_confidence: self.min_confidence,
            max_rounds: self.max_rounds,
            decoding: self.decoding,
            num_beams: self.num_beams,
        }
    }
}

/// A job.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct JobBody {
    /// Its id.
    id: String,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`; the last three are final.
    state: &'static str,
    /// Path or URL of the input; null for an upload.
    #[schema(value_type = Option<String>)]
    input: Option<PathBuf>,
    /// Path or URL of the output; null where the server keeps it.
    #[schema(value_type = Option<String>)]
    output: Option<PathBuf>,
    /// Media type of both.
    content_type: Option<&'static str>,
    /// Column of texts.
    column: String,
    /// Name of the model; null for the server's first.
    model: Option<String>,
    /// BLAKE3 of each model that has restored rows of it.
    model_digests: Vec<String>,
    /// When it was accepted, in seconds since 1970.
    created: f64,
    /// When the work began.
    started: Option<f64>,
    /// When it ended.
    finished: Option<f64>,
    /// Time that was worked on it, up to its last finished unit.
    seconds: f64,
    /// Rows in the file, once they were counted.
    rows_total: Option<u64>,
    /// Rows that are done.
    rows: u64,
    /// Rows with a restored text, of the finished units, as all that follows.
    restored: u64,
    /// Restored rows whose text changed.
    changed: u64,
    /// Edits.
    edits: u64,
    /// Rows without a text.
    nulls: u64,
    /// Rows that are bad, or whose text the model failed on; the column `error` says why.
    failed: u64,
    /// Rows in a second, of late or over all.
    rows_per_second: Option<f64>,
    /// Seconds until it is done, at this speed.
    seconds_left: Option<f64>,
    /// Why it failed.
    error: Option<String>,
    /// Where to go on.
    links: JobLinks,
}

/// Paths of a job.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct JobLinks {
    /// The job.
    #[serde(rename = "self")]
    job: String,
    /// Its progress, as server-sent events.
    events: String,
    /// Its output, where the server keeps it and it is whole.
    result: Option<String>,
}

/// Jobs.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct JobList {
    /// The newest first.
    pub(crate) jobs: Vec<JobBody>,
}

impl JobBody {
    /// Of a job, and of how far it has come where it is under way.
    pub(crate) fn new(job: Job, progress: Option<Progress>) -> Self {
        let Job { id, state, spec, seconds, rows_total, tally, error, .. } = job;
        let live = progress.filter(|_| !state.has_ended());
        let (rows, tally, rows_per_second) = match live {
            // Work that goes on has first to find what was done before.
            Some(live) if live.rows < tally.summary.rows => (tally.summary.rows, tally, None),
            Some(live) => (live.rows, live.tally, live.rows_per_second),
            None => {
                let rows = tally.summary.rows;
                let rate = (rows > 0 && seconds > 0.0).then(|| rows as f64 / seconds);
                (rows, tally, rate)
            }
        };
        let left = rows_total.filter(|_| state == State::Running).zip(rows_per_second);
        let seconds_left = left.map(|(total, rate)| total.saturating_sub(rows) as f64 / rate);
        let path = format!("/v1/jobs/{id}");
        let has_result = state == State::Succeeded && spec.output.is_none();
        let since = |ms: u64| ms as f64 / 1e3;
        Self {
            state: state.name(),
            content_type: spec.format().map(crate::batch::Format::media_type),
            input: match spec.input {
                Source::Upload => None,
                Source::Place(place) => Some(place),
            },
            output: spec.output,
            column: spec.column,
            model: spec.model,
            model_digests: tally.digests.into_iter().collect(),
            created: since(job.created_ms),
            started: job.started_ms.map(since),
            finished: job.finished_ms.map(since),
            seconds,
            rows_total,
            rows,
            restored: tally.summary.restored,
            changed: tally.summary.changed,
            edits: tally.summary.edits,
            nulls: tally.summary.nulls,
            failed: tally.summary.failed,
            rows_per_second,
            seconds_left,
            error,
            links: JobLinks {
                events: format!("{path}/events"),
                result: has_result.then(|| format!("{path}/result")),
                job: path,
            },
            id,
        }
    }

    /// Its id.
    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}
