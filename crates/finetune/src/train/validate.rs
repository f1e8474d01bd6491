//! Evaluation on the validation split: while training runs, and the choice of the confidence threshold at its end.

use corruptor::{CorruptSettings, Pair};
use restorer::Restorer;
use restorer::metrics::TextCounts;
use serde::Serialize;

use crate::error::FinetuneError;
use crate::scores::total;
use crate::sets::{EvaluationSet, SetKind, operation_sets, passages_of};
use crate::settings::TrainSettings;
use crate::workers::Workers;

/// Validation pairs as they are, and sets of single operations made from their originals.
#[derive(Debug)]
pub struct ValidationSets {
    pairs: Vec<Pair>,
    sets: Vec<EvaluationSet>,
}

/// A threshold and what it gives on the validation split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConfidenceChoice {
    /// The threshold.
    pub min_confidence: f32,
    /// Counts on the validation pairs.
    pub counts: TextCounts,
    /// Share of the clean validation texts that the model changes.
    pub harm: f64,
    /// Operations whose errors grow.
    pub worsened: Vec<String>,
}

impl ValidationSets {
    /// Takes the validation pairs; each set of one operation, and the clean one, has a quarter of their number.
    ///
    /// # Errors
    /// If the channel's settings are not consistent.
    pub fn new(pairs: Vec<Pair>, channel: &CorruptSettings, seed: u64) -> Result<Self, FinetuneError> {
        let passages = passages_of(&pairs, pairs.len().div_ceil(4));
        let sets = operation_sets(&passages, channel, seed)?;
        Ok(Self { pairs, sets })
    }

    /// The counts of the validation pairs.
    ///
    /// # Errors
    /// If the model fails.
    pub fn counts<R: Restorer + ?Sized>(
        &self,
        model: &R,
        min_confidence: f32,
        workers: &Workers,
    ) -> Result<TextCounts, FinetuneError> {
        Ok(total(model, &self.pairs, min_confidence, workers)?)
    }

    /// Tries one threshold.
    fn try_confidence<R: Restorer + ?Sized>(
        &self,
        model: &R,
        min_confidence: f32,
        workers: &Workers,
    ) -> Result<ConfidenceChoice, FinetuneError> {
        let counts = self.counts(model, min_confidence, workers)?;
        let mut clean = counts;
        let mut worsened = Vec::new();
        for set in &self.sets {
            let counts = total(model, &set.pairs, min_confidence, workers)?;
            match set.kind {
                SetKind::Operation(op) if counts.errors_after > counts.errors_before => {
                    worsened.push(op.name().to_owned());
                }
                SetKind::Clean => clean += counts,
                _ => {}
            }
        }
        Ok(ConfidenceChoice { min_confidence, counts, harm: clean.harm().unwrap_or(0.0), worsened })
    }

    /// The threshold of the recipe's grid with the lowest CER among those that keep the harm limit and worsen no operation;
    /// where there is none, harm over the limit counts first, then the number of operations worsened, then CER.
    ///
    /// # Errors
    /// If the model fails.
    pub fn choose_confidence<R: Restorer + ?Sized>(
        &self,
        model: &R,
        settings: &TrainSettings,
        workers: &Workers,
        mut tried: impl FnMut(&ConfidenceChoice),
    ) -> Result<ConfidenceChoice, FinetuneError> {
        let mut best: Option<ConfidenceChoice> = None;
        for &min_confidence in &settings.confidence_grid {
            let choice = self.try_confidence(model, min_confidence, workers)?;
            tried(&choice);
            let rank = |choice: &ConfidenceChoice| {
                let excess = (choice.harm - settings.harm_limit).max(0.0);
                (excess, choice.worsened.len(), choice.counts.errors_after)
            };
            if best.as_ref().is_none_or(|best| rank(&choice) < rank(best)) {
                best = Some(choice);
            }
        }
        match best {
            Some(best) => Ok(best),
            None => self.try_confidence(model, settings.min_confidence, workers),
        }
    }
}
