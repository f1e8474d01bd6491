//! The evaluations of a run, and the checkpoint of the best weights.

use restorer::train::{CheckpointMeta, Trainable};

use super::card::{TrainingFacts, write_card};
use super::log::{EvaluationRecord, RestoredRecord};
use super::run::Run;
use super::state::Best;
use crate::error::FinetuneError;

/// Why the weights are measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Evaluation {
    /// It is time: what is best is chosen among these.
    Scheduled,
    /// The run stops. Nothing is chosen, else a run in slices would end with other weights than one without a break.
    Interim,
}

impl<M: Trainable> Run<'_, M> {
    /// Measures on the validation pairs, and keeps the weights if they are the best so far; of an average, if one is kept. Of
    /// several processes, one does.
    pub(super) fn evaluate(&mut self, kind: Evaluation) -> Result<(), FinetuneError> {
        if !self.group.leads() {
            return Ok(());
        }
        self.swap_average()?;
        let result = self.evaluate_weights(kind);
        self.swap_average()?;
        result
    }

    fn swap_average(&mut self) -> Result<(), FinetuneError> {
        match &mut self.optimizer.average {
            Some(average) => average.swap().map_err(FinetuneError::tensor("average of the weights")),
            None => Ok(()),
        }
    }

    fn evaluate_weights(&mut self, kind: Evaluation) -> Result<(), FinetuneError> {
        let measured = self.validation.measure(
            self.model,
            self.settings.batch_tokens,
            self.min_confidence(),
            &self.workers,
        )?;
        let best = self.state.best.is_none_or(|best| measured.is_better_than(&best.measured));
        let record = EvaluationRecord {
            step: self.state.step,
            valid_loss: measured.loss,
            restored: measured.counts.as_ref().map(RestoredRecord::of),
            best,
            elapsed_s: self.elapsed_s(),
        };
        self.report.evaluation(&record)?;
        let mark = if best { ", best so far" } else { "" };
        self.report.note(&format!("step {}: validation {measured}{mark}", record.step));
        if best {
            if kind == Evaluation::Scheduled {
                self.state.best = Some(Best { step: self.state.step, measured });
                self.files.save_best(self.model)?;
            }
            let meta = CheckpointMeta {
                recipe: self.options.recipe.text().to_owned(),
                metrics: serde_json::to_value(record).unwrap_or_default(),
                min_confidence: self.min_confidence(),
                calibration: None,
                text_calibration: None,
                profile: None,
                decoding: None,
            };
            self.model.save(&self.options.out, &meta)?;
            write_card(&self.options.out, &TrainingFacts::of(self, self.min_confidence(), measured))?;
        }
        Ok(())
    }
}
