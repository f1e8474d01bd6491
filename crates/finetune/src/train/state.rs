//! How far a run is: everything that a bit-exact resume needs beside the tensors.

use serde::{Deserialize, Serialize};

use super::validate::Measured;
use crate::batch::Cursor;

/// Version of the state file's layout.
pub(super) const FORMAT: u32 = 2;

/// What a run was started with; a resumed run must agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The recipe, with its overrides.
    pub recipe: String,
    /// Digest of the training pairs.
    pub train_pairs: String,
    /// Digest of the validation pairs.
    pub valid_pairs: String,
    /// Digest of the model that `--init` names.
    pub init: Option<String>,
}

/// The best evaluation so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Steps behind it.
    pub step: u64,
    /// What it found.
    pub measured: Measured,
}

/// The progress of a run, without its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    pub(super) format: u32,
    /// What the run was started with.
    pub identity: Identity,
    /// Steps taken.
    pub step: u64,
    /// Updates of the optimizer (steps that were not skipped).
    pub updates: u64,
    /// The next batch.
    pub cursor: Cursor,
    /// Tokens trained on, without padding.
    pub tokens: u64,
    /// Seconds of training and evaluation so far.
    pub elapsed_s: f64,
    /// Steps skipped because the loss or its gradient was not finite.
    pub skipped: u64,
    /// The best evaluation.
    pub best: Option<Best>,
    /// Bytes of the log that belong to this state.
    pub log_bytes: u64,
}

impl RunState {
    /// The state before the first step.
    pub fn new(identity: Identity) -> Self {
        Self {
            format: FORMAT,
            identity,
            step: 0,
            updates: 0,
            cursor: Cursor::default(),
            tokens: 0,
            elapsed_s: 0.0,
            skipped: 0,
            best: None,
            log_bytes: 0,
        }
    }
}
