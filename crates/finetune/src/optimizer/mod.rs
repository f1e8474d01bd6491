//! The optimizer: `AdamW` for dense parameters, row-wise Adagrad for large embedding tables.
//!
//! All state is float32 and open, so that it can be saved and a run goes on bit for bit.

mod adagrad;
mod adamw;
mod ema;
mod gradients;

use candle_core::Var;
use restorer::RowTable;

pub use adagrad::RowWiseAdagrad;
pub use adamw::{AdamW, AdamWSettings, SavedMoments};
pub use ema::WeightAverage;
pub(crate) use gradients::fold_halves;
pub use gradients::{Gradients, MicroBatchGradients, RowGradients, reduce};

use crate::error::FinetuneError;
use crate::settings::TrainSettings;

/// Both halves of the optimizer.
#[derive(Debug)]
pub struct Optimizer {
    /// Dense parameters.
    pub dense: AdamW,
    /// Tables.
    pub tables: RowWiseAdagrad,
    /// The average of the weights, where one is kept.
    pub average: Option<WeightAverage>,
    clip_norm: f64,
}

impl Optimizer {
    /// A fresh optimizer for `parameters` (stable order) and `tables`.
    ///
    /// # Errors
    /// If a moment cannot be allocated on the parameters' device.
    pub fn new(
        parameters: Vec<(String, Var)>,
        tables: &[RowTable],
        settings: &TrainSettings,
    ) -> Result<Self, FinetuneError> {
        let adamw = AdamWSettings {
            beta1: settings.beta1,
            beta2: settings.beta2,
            epsilon: settings.epsilon,
            weight_decay: settings.weight_decay,
        };
        if settings.ema_decay > 0.0 && !tables.is_empty() {
            return Err(FinetuneError::Setting {
                table: "train",
                key: "ema_decay",
                value: settings.ema_decay.to_string(),
                expected: "0 for a model with large embedding tables, of which a step sees a few rows",
            });
        }
        let average = (settings.ema_decay > 0.0)
            .then(|| WeightAverage::new(parameters.clone(), settings.ema_decay))
            .transpose()
            .map_err(FinetuneError::tensor("average of the weights"))?;
        let dense = AdamW::new(parameters, adamw).map_err(FinetuneError::tensor("optimizer state"))?;
        Ok(Self {
            dense,
            tables: RowWiseAdagrad::new(tables, settings.epsilon),
            average,
            clip_norm: settings.clip_norm,
        })
    }

    /// One update from the sum of the step's gradients; the gradient used is that of the mean loss per label, scaled down to the
    /// clipping norm. Returns the norm before clipping, or `None` where it is not finite and nothing was changed.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn step(
        &mut self,
        gradients: &Gradients,
        tables: &[RowTable],
        learning_rate: f64,
        table_learning_rate: f64,
    ) -> Result<Option<f64>, FinetuneError> {
        let per_label = 1.0 / gradients.labels.max(1) as f64;
        let norm = gradients.norm().map_err(FinetuneError::tensor("gradient norm"))? * per_label;
        if !norm.is_finite() || !gradients.loss.is_finite() {
            return Ok(None);
        }
        let scale = per_label * (self.clip_norm / norm.max(self.clip_norm));
        let update = self.dense.step(&gradients.dense, scale, learning_rate);
        update.map_err(FinetuneError::tensor("parameter update"))?;
        if let Some(average) = &mut self.average {
            average.update(self.dense.updates()).map_err(FinetuneError::tensor("average of the weights"))?;
        }
        for (index, (table, rows)) in tables.iter().zip(&gradients.tables).enumerate() {
            self.tables.step(index, table, rows, scale as f32, table_learning_rate as f32);
        }
        Ok(Some(norm))
    }
}
