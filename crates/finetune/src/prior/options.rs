//! What making a prior from a corpus needs.

use std::path::PathBuf;

use corruptor::Recipe;
use restorer::checkpoint::{CheckpointFiles, WEIGHTS};

use crate::error::FinetuneError;
use crate::stop::Stop;
use crate::train::Existing;

/// What counting or mixing needs.
#[derive(Clone, Debug)]
pub struct PriorOptions {
    /// The recipe: its tables `[model]`, `[corpus]` and `[corrupt]`.
    pub recipe: Recipe,
    /// Files and directories with texts.
    pub corpus: Vec<PathBuf>,
    /// The directory of the checkpoint.
    pub out: PathBuf,
    /// What to do with one that is already there; it is never gone on with: to resume replaces one of `family`, but no other model.
    pub existing: Existing,
    /// When to stop early; nothing is written then.
    pub stop: Stop,
    /// Says what is going on.
    pub note: fn(&str),
}

impl PriorOptions {
    /// Checks that a checkpoint with this `model_type` may be written.
    ///
    /// # Errors
    /// [`FinetuneError::ModelTaken`] if another one is there.
    pub(super) fn check_out(&self, model_type: &str) -> Result<(), FinetuneError> {
        let found = CheckpointFiles::read(&self.out).and_then(|files| files.model_type());
        let is_free = match self.existing {
            Existing::Refuse => false,
            // What took hours to train is not replaced by what takes seconds to make.
            Existing::Resume => found.as_ref().is_ok_and(|found| found == model_type),
            Existing::Overwrite => true,
        };
        if !is_free && (found.is_ok() || self.out.join(WEIGHTS).exists()) {
            return Err(FinetuneError::ModelTaken { path: self.out.clone() });
        }
        Ok(())
    }
}
