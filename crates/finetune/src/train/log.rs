//! The log of a run: JSON lines, one a few steps and one an evaluation.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use restorer::metrics::TextCounts;
use serde::{Deserialize, Serialize};

use crate::error::FinetuneError;

/// A line about the steps since the last one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Steps taken.
    pub step: u64,
    /// Epochs behind the cursor.
    pub epoch: u64,
    /// Mean loss a label, in nats, over these steps.
    pub loss: f64,
    /// Learning rate of the dense parameters at the last step.
    pub learning_rate: f64,
    /// Norm of the last step's gradient (of the mean loss a label), before clipping.
    pub gradient_norm: f64,
    /// Tokens a second over these steps, evaluations not counted.
    pub tokens_per_second: f64,
    /// Tokens trained on so far.
    pub tokens: u64,
    /// Updates skipped so far because the loss or its gradient was not finite.
    pub skipped: u64,
    /// Achieved FLOP/s over the device's peak; none where the peak is not known.
    pub utilization: Option<f64>,
    /// Share of the tokens computed that are padding.
    #[serde(default)]
    pub padding: f64,
    /// The most memory that the process has held so far; none where the system does not tell.
    pub peak_memory_bytes: Option<u64>,
    /// Seconds of training and evaluation so far.
    pub elapsed_s: f64,
}

/// A line about an evaluation on the validation pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// Steps taken.
    pub step: u64,
    /// Mean loss a label of the validation pairs, in nats; none where it is not finite.
    pub valid_loss: Option<f64>,
    /// What restoring them gives; none of a model that learns texts alone.
    #[serde(flatten)]
    pub restored: Option<RestoredRecord>,
    /// Whether it is the best so far.
    pub best: bool,
    /// Seconds of training and evaluation so far.
    pub elapsed_s: f64,
}

/// What restoring the validation pairs gives.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RestoredRecord {
    /// Character error rate of the corrupted texts.
    #[serde(rename = "valid_cer_before")]
    pub cer_before: f64,
    /// Character error rate of the restored texts.
    #[serde(rename = "valid_cer")]
    pub cer: f64,
    /// Share of the errors that are gone.
    #[serde(rename = "valid_reduction")]
    pub reduction: Option<f64>,
    /// Share of the clean texts that were changed.
    #[serde(rename = "valid_harm")]
    pub harm: Option<f64>,
}

impl RestoredRecord {
    /// The figures of counts.
    pub fn of(counts: &TextCounts) -> Self {
        Self {
            cer_before: counts.cer_before(),
            cer: counts.cer_after(),
            reduction: counts.reduction(),
            harm: counts.harm(),
        }
    }
}

/// The log file.
#[derive(Debug)]
pub struct RunLog {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl RunLog {
    /// Opens the log and cuts it to its first `bytes`: what a killed run wrote after its last state is about to come again.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(path: &Path, bytes: u64) -> Result<Self, FinetuneError> {
        let open = || {
            let mut file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
            let bytes = bytes.min(file.metadata()?.len());
            file.set_len(bytes)?;
            file.seek(SeekFrom::End(0))?;
            Ok((file, bytes))
        };
        let (file, bytes) = open().map_err(FinetuneError::file(path, "write"))?;
        Ok(Self { path: path.to_owned(), file, bytes })
    }

    /// Appends a line.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&mut self, record: &impl Serialize) -> Result<(), FinetuneError> {
        let mut write = || {
            let mut line = serde_json::to_vec(record)?;
            line.push(b'\n');
            self.file.write_all(&line)?;
            Ok(line.len() as u64)
        };
        self.bytes += write().map_err(FinetuneError::file(&self.path, "write"))?;
        Ok(())
    }

    /// Bytes written.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}
