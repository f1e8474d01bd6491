//! The recipe's `[train]` and `[evaluate]` tables.

use std::fmt::Display;

use candle_core::DType;
use restorer::layers::Operands;
use restorer::lm::Compute;
use serde::{Deserialize, Serialize};

use crate::error::FinetuneError;
use crate::schedule::ScheduleKind;

/// The `[train]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSettings {
    /// Seed of the order of the data and of dropout.
    pub seed: u64,
    /// Optimizer steps: the length of the run and of its learning-rate schedule.
    pub steps: u64,
    /// Tokens of one micro-batch, padding included.
    pub batch_tokens: usize,
    /// Tokens of one step: the gradients of as many micro-batches as fit are summed; on a CPU they run in parallel.
    pub step_tokens: usize,
    /// Pairs that are prepared and sorted by length together.
    pub bucket_pairs: usize,
    /// Peak learning rate of the dense parameters (`AdamW`).
    pub learning_rate: f64,
    /// Peak learning rate of the large embedding tables (row-wise Adagrad).
    pub table_learning_rate: f64,
    /// Steps of linear warm-up.
    pub warmup_steps: u64,
    /// The learning rate's way from the peak to its last value.
    pub schedule: ScheduleKind,
    /// Of the schedule `warmup-stable-decay`: share of the steps in which it falls.
    pub decay_share: f64,
    /// Learning rate at the last step, as a share of the peak.
    pub final_share: f64,
    /// Share of each label's weight that is spread over all classes.
    pub label_smoothing: f32,
    /// Decay a step of an exponential moving average of the weights, which is then evaluated and kept; 0: none.
    pub ema_decay: f64,
    /// What activations are computed in: `"auto"` is bfloat16 on a GPU and float32 on a CPU. What learns is float32.
    pub precision: Precision,
    /// Whether activations are computed again for the backward pass instead of being kept: less memory, a third more work.
    pub recompute: bool,
    /// Whether originals are corrupted anew every epoch, by the channel that made the pairs.
    pub fresh_pairs: bool,
    /// Decoupled weight decay of matrices, per unit of learning rate.
    pub weight_decay: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Largest norm of the whole gradient (per label); longer ones are scaled down.
    pub clip_norm: f64,
    /// Steps between two evaluations on the validation split.
    pub eval_steps: u64,
    /// Validation pairs used for an evaluation.
    pub valid_pairs: usize,
    /// Evaluations in a row without a new best after which the run ends; 0: it runs to its last step.
    pub patience: u64,
    /// Minutes between two saved states.
    pub save_minutes: f64,
    /// Saved states that are kept.
    pub keep_states: usize,
    /// Steps between two lines of the log.
    pub log_steps: u64,
    /// Updates in a row that may be skipped because the loss or its gradient is not finite.
    pub max_skipped: u32,
    /// Probability under which an edit is not applied, while training evaluates; with `--init` that checkpoint's own counts.
    pub min_confidence: f32,
    /// Candidates for the checkpoint's `min_confidence`, tried on the validation split at the end.
    pub confidence_grid: Vec<f32>,
    /// Largest share of clean validation texts that the chosen `min_confidence` may let the model change.
    pub harm_limit: f64,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            steps: 4000,
            batch_tokens: 4096,
            step_tokens: 16_384,
            bucket_pairs: 2048,
            learning_rate: 2e-3,
            table_learning_rate: 2e-2,
            warmup_steps: 100,
            schedule: ScheduleKind::Cosine,
            decay_share: 0.2,
            final_share: 0.02,
            label_smoothing: 0.0,
            ema_decay: 0.0,
            precision: Precision::Auto,
            recompute: false,
            fresh_pairs: false,
            weight_decay: 0.05,
            beta1: 0.9,
            beta2: 0.98,
            epsilon: 1e-8,
            clip_norm: 1.0,
            eval_steps: 250,
            valid_pairs: 256,
            patience: 0,
            save_minutes: 5.0,
            keep_states: 2,
            log_steps: 10,
            max_skipped: 20,
            min_confidence: 0.5,
            confidence_grid: vec![0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95],
            harm_limit: 0.1,
        }
    }
}

impl TrainSettings {
    /// Checks every range.
    ///
    /// # Errors
    /// [`FinetuneError::Setting`] with the first key that is out of range.
    pub fn validate(&self) -> Result<(), FinetuneError> {
        let positive = |key, value: f64| {
            require("train", key, value, value > 0.0 && value.is_finite(), "a number above 0")
        };
        let share = |key, value: f64| {
            require("train", key, value, (0.0..=1.0).contains(&value), "a number from 0 to 1")
        };
        let count = |key, value: u64| require("train", key, value, value > 0, "an integer above 0");
        count("steps", self.steps)?;
        count("batch_tokens", self.batch_tokens as u64)?;
        count("step_tokens", self.step_tokens as u64)?;
        count("keep_states", self.keep_states as u64)?;
        count("bucket_pairs", self.bucket_pairs as u64)?;
        count("eval_steps", self.eval_steps)?;
        count("valid_pairs", self.valid_pairs as u64)?;
        count("log_steps", self.log_steps)?;
        positive("learning_rate", self.learning_rate)?;
        positive("table_learning_rate", self.table_learning_rate)?;
        positive("epsilon", self.epsilon)?;
        positive("clip_norm", self.clip_norm)?;
        positive("save_minutes", self.save_minutes)?;
        share("final_share", self.final_share)?;
        share("decay_share", self.decay_share)?;
        share("harm_limit", self.harm_limit)?;
        share("min_confidence", f64::from(self.min_confidence))?;
        let below_one = |key, value: f64| {
            require("train", key, value, (0.0..1.0).contains(&value), "at least 0 and below 1")
        };
        below_one("beta1", self.beta1)?;
        below_one("beta2", self.beta2)?;
        below_one("ema_decay", self.ema_decay)?;
        below_one("label_smoothing", f64::from(self.label_smoothing))?;
        let decay = self.weight_decay;
        require("train", "weight_decay", decay, decay >= 0.0 && decay.is_finite(), "a number from 0")?;
        let grid = &self.confidence_grid;
        let shown = format!("{grid:?}");
        let fits = !grid.is_empty() && grid.iter().all(|c| (0.0..=1.0).contains(c));
        require("train", "confidence_grid", shown.as_str(), fits, "at least one number, each from 0 to 1")
    }
}

/// What activations are computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// bfloat16 on a GPU, float32 on a CPU.
    #[default]
    Auto,
    /// float32.
    Float32,
    /// bfloat16.
    Bfloat16,
}

impl Precision {
    /// What a model computes in, on a CPU or elsewhere. A CPU keeps activations in float32, and rounds what it multiplies.
    pub fn compute(self, on_cpu: bool) -> Compute {
        let is_half = self == Self::Bfloat16 || (self == Self::Auto && !on_cpu);
        match (is_half, on_cpu) {
            (false, _) => Compute::default(),
            (true, true) => Compute { operands: Operands::Bfloat16, ..Compute::default() },
            (true, false) => Compute { dtype: DType::BF16, ..Compute::default() },
        }
    }
}

/// The `[evaluate]` table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvaluateSettings {
    /// Seed of the bootstrap and of the sets that `--sets` makes.
    pub seed: u64,
    /// Bootstrap resamples behind each interval.
    pub resamples: usize,
    /// Passages in each of the sets that `--sets` makes.
    pub set_passages: usize,
    /// Examples of restored texts in the HTML report.
    pub report_examples: usize,
}

impl Default for EvaluateSettings {
    fn default() -> Self {
        Self { seed: 1, resamples: 2000, set_passages: 400, report_examples: 40 }
    }
}

impl EvaluateSettings {
    /// Checks every range.
    ///
    /// # Errors
    /// [`FinetuneError::Setting`] with the first key that is out of range.
    pub fn validate(&self) -> Result<(), FinetuneError> {
        let resamples = self.resamples;
        require("evaluate", "resamples", resamples, resamples >= 100, "an integer from 100")?;
        let passages = self.set_passages;
        require("evaluate", "set_passages", passages, passages > 0, "an integer above 0")
    }
}

fn require(
    table: &'static str,
    key: &'static str,
    value: impl Display + Copy,
    fits: bool,
    expected: &'static str,
) -> Result<(), FinetuneError> {
    if fits { Ok(()) } else { Err(FinetuneError::Setting { table, key, value: value.to_string(), expected }) }
}
