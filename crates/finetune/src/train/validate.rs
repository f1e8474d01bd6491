//! Evaluation on the validation split: while training runs, and the choice of the confidence threshold at its end.

use std::fmt;

use corruptor::{CorruptSettings, Pair};
use restorer::metrics::TextCounts;
use restorer::train::{BatchLoss, LossMode, Trainable};
use restorer::{Calibration, Restorer};
use serde::{Deserialize, Serialize};

use crate::batch::cut;
use crate::calibrate::{ScoredTexts, calibrate, calibrate_texts};
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

/// What the validation pairs say of weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Mean loss a label, in nats; none where it is not finite.
    pub loss: Option<f64>,
    /// What restoring them gives; none of a model that learns texts alone.
    pub counts: Option<TextCounts>,
}

impl Measured {
    /// Whether it leaves fewer errors than `other`, or as many at a lower loss: a model that dares no edit yet does learn.
    pub fn is_better_than(&self, other: &Self) -> bool {
        let rank = |measured: &Self| {
            let errors = measured.counts.map_or(0, |counts| counts.errors_after);
            (errors, measured.loss.unwrap_or(f64::INFINITY))
        };
        rank(self) < rank(other)
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loss {:.4}", self.loss.unwrap_or(f64::NAN))?;
        let Some(counts) = &self.counts else { return Ok(()) };
        write!(
            f,
            ", CER {:.3} % (input {:.3} %), {} of {} clean texts changed",
            100.0 * counts.cer_after(),
            100.0 * counts.cer_before(),
            counts.harmed,
            counts.clean,
        )
    }
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

    /// The loss on the validation pairs, in batches of `batch_tokens`, and the counts of restoring them.
    ///
    /// # Errors
    /// If the model fails.
    pub fn measure<M: Trainable>(
        &self,
        model: &M,
        batch_tokens: usize,
        min_confidence: f32,
        workers: &Workers,
    ) -> Result<Measured, FinetuneError> {
        let loss = self.loss(model, batch_tokens, workers)?;
        let counts = model.restores().then(|| self.counts(model, min_confidence, workers)).transpose()?;
        Ok(Measured { loss: loss.is_finite().then_some(loss), counts })
    }

    /// Mean loss a label, in nats.
    fn loss<M: Trainable>(
        &self,
        model: &M,
        batch_tokens: usize,
        workers: &Workers,
    ) -> Result<f64, FinetuneError> {
        let examples = self.pairs.iter().map(|pair| model.examples(pair));
        let mut examples: Vec<_> = examples.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        examples.sort_by_key(|example| model.example_tokens(example));
        let lengths: Vec<usize> = examples.iter().map(|example| model.example_tokens(example)).collect();
        let batches: Vec<_> = cut(&lengths, batch_tokens).into_iter().map(|range| &examples[range]).collect();
        let losses = workers.map(&batches, |_, batch| -> Result<(f64, usize), FinetuneError> {
            let BatchLoss { loss, labels, .. } =
                model.loss(&batch.iter().collect::<Vec<_>>(), LossMode::Eval)?;
            let nats = loss.to_scalar::<f32>().map_err(FinetuneError::tensor("validation loss"))?;
            Ok((f64::from(nats), labels))
        });
        let (mut nats, mut labels) = (0.0, 0);
        for loss in losses {
            let (of_batch, count) = loss?;
            nats += of_batch;
            labels += count;
        }
        Ok(nats / labels.max(1) as f64)
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

    /// What the validation pairs say of the probabilities that `model`, which is not calibrated, gives its edits; none where it
    /// changes nothing.
    ///
    /// # Errors
    /// If the model fails.
    pub fn calibrate<R: Restorer + ?Sized>(
        &self,
        model: &R,
        workers: &Workers,
    ) -> Result<Option<Calibration>, FinetuneError> {
        Ok(calibrate(model, &self.pairs, workers)?.map(|(calibration, _)| calibration))
    }

    /// The same of the probabilities that it gives to whole texts, whose edits reach `min_confidence` as the model says it. Also gives back
    /// the texts.
    ///
    /// # Errors
    /// If the model fails.
    pub fn calibrate_texts<R: Restorer + ?Sized>(
        &self,
        model: &R,
        min_confidence: f32,
        workers: &Workers,
    ) -> Result<Option<(Calibration, ScoredTexts)>, FinetuneError> {
        calibrate_texts(model, &self.pairs, Some(min_confidence), workers)
    }

    /// Tries one threshold.
    fn try_confidence<R: Restorer + ?Sized>(
        &self,
        model: &R,
        min_confidence: f32,
        calibration: Calibration,
        workers: &Workers,
    ) -> Result<ConfidenceChoice, FinetuneError> {
        let said = calibration.said(f64::from(min_confidence)) as f32;
        let counts = self.counts(model, said, workers)?;
        let mut clean = counts;
        let mut worsened = Vec::new();
        for set in &self.sets {
            let counts = total(model, &set.pairs, said, workers)?;
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
    /// where there is none, harm over the limit counts first, then the number of operations worsened, then CER. Thresholds are of what
    /// `calibration` makes of what the model says.
    ///
    /// # Errors
    /// If the model fails.
    pub fn choose_confidence<R: Restorer + ?Sized>(
        &self,
        model: &R,
        calibration: Calibration,
        settings: &TrainSettings,
        workers: &Workers,
        mut tried: impl FnMut(&ConfidenceChoice),
    ) -> Result<ConfidenceChoice, FinetuneError> {
        let mut best: Option<ConfidenceChoice> = None;
        for &min_confidence in &settings.confidence_grid {
            let choice = self.try_confidence(model, min_confidence, calibration, workers)?;
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
            None => self.try_confidence(model, settings.min_confidence, calibration, workers),
        }
    }
}
