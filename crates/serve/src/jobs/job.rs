//! What is known of a job.

use std::path::PathBuf;

use restorer::{Priority, RestoreOptions};
use serde::{Deserialize, Serialize};

use crate::batch::{BatchSettings, ExistingColumns, Format, Tally};

/// How far a job has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits for its turn.
    Queued,
    /// It is under way, or will go on when the server is started again.
    Running,
    /// Its output is whole.
    Succeeded,
    /// It has ended without an output.
    Failed,
    /// Its client has ended it.
    Cancelled,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// What the API and the store call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether nothing will change any more.
    pub fn has_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// Where the rows of a job come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// They were sent with the request.
    Upload,
    /// A path or URL under a root.
    Place(PathBuf),
}

/// What a job is to do; stored as JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Where the rows come from.
    pub input: Source,
    /// Path or URL of the output; kept by the server where there is none.
    pub output: Option<PathBuf>,
    /// Extension of both.
    pub extension: String,
    /// Name of the column of texts.
    pub column: String,
    /// Whether columns of the names of the new ones are replaced.
    pub overwrite_columns: bool,
    /// Name of the model; the server's first where there is none.
    pub model: Option<String>,
    /// Threshold of edits; the model's own where there is none.
    pub min_confidence: Option<f32>,
    /// Rounds over a text; the model's own number where there is none.
    pub max_rounds: Option<usize>,
    /// Hypotheses of a search; the model's own number where there is none.
    #[serde(default)]
    pub num_beams: Option<usize>,
}

impl Spec {
    /// The format of input and output.
    pub fn format(&self) -> Option<Format> {
        Format::of_path(&PathBuf::from(format!("file.{}", self.extension)))
    }

    /// Which columns are restored.
    pub fn settings(&self) -> BatchSettings {
        BatchSettings {
            column: self.column.clone(),
            existing: ExistingColumns::overwritten(self.overwrite_columns),
        }
    }

    /// How texts are restored: after those that somebody waits for.
    pub fn options(&self) -> RestoreOptions {
        RestoreOptions {
            min_confidence: self.min_confidence,
            max_rounds: self.max_rounds,
            num_beams: self.num_beams,
            priority: Priority::Bulk,
            ..RestoreOptions::default()
        }
    }
}

/// A job to be accepted.
#[derive(Debug, Clone, PartialEq)]
pub struct NewJob {
    /// Its id, under which its files are.
    pub id: String,
    /// Whose it is.
    pub client: String,
    /// What it is to do.
    pub spec: Spec,
    /// Rows in it, where they were counted.
    pub rows_total: Option<u64>,
}

/// A job. Times are milliseconds since 1970.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub client: String,
    /// How far it has come.
    pub state: State,
    /// What it is to do.
    pub spec: Spec,
    /// What the input was when the work began: another one must not be continued with.
    pub input_version: Option<String>,
    /// When it was accepted.
    pub created_ms: u64,
    /// When the work began.
    pub started_ms: Option<u64>,
    /// When it ended.
    pub finished_ms: Option<u64>,
    /// Time that was worked on it.
    pub seconds: f64,
    /// Rows in it, once they were counted.
    pub rows_total: Option<u64>,
    /// What was done, up to the last finished unit.
    pub tally: Tally,
    /// Why it failed.
    pub error: Option<String>,
}
