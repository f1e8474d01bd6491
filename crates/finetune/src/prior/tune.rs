//! What a prior needs to decode a channel, learned on the validation documents: the weights of prior and events, the calibration
//! of confidences, and the threshold.

use corruptor::{Channel, CorruptSettings, Edit, Pair, Passage, align, apply_edits, passages};
use rayon::prelude::*;
use restorer::Calibration;
use restorer::channel::{ChannelRestorer, Decoding, Evidence, Weights};
use restorer::metrics::TextCounts;
use restorer::prior::Prior;
use restorer::{LoadOptions, Restoration, RestoreOptions, RestoreRequest};
use serde_json::{Value, json};

use super::texts::Sample;
use crate::data::spread;
use crate::error::FinetuneError;
use crate::scores::total;
use crate::sets::{SetKind, operation_sets};
use crate::stop::Stop;
use crate::workers::Workers;

/// Passages that weights are tried on, some of the mixture.
const WEIGHT_PASSAGES: usize = 96;
/// Passages of the recipe's own mixture: for calibration and threshold.
const MIXTURE_PASSAGES: usize = 240;
/// Passages of each operation that the threshold is chosen on.
const OPERATION_PASSAGES: usize = 80;
/// Most pieces of clean text that the threshold is chosen on.
const CLEAN_PIECES: usize = 4000;
/// Bytes of such a piece where there are few.
const PIECE_BYTES: usize = 256;
/// Share of clean pieces that may be touched, and by how many standard errors less are: 95 % confidence.
const HARM_LIMIT: f64 = 0.005;
const STANDARD_ERRORS: f64 = 1.645;
/// What a text is given for being clean: so many steps at most, of so many nats.
const CLEAN_STEPS: u32 = 24;
const CLEAN_STEP: f64 = 0.5;
/// What a nat of a tagger's suspicion can take from that.
const SUSPICIONS: [f64; 6] = [0.0, 0.25, 0.5, 1.0, 2.0, 4.0];
/// The threshold where nothing has been learned.
const UNDECIDED: f32 = 0.5;
/// Thresholds that are tried.
const THRESHOLDS: [f32; 6] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5];
/// What a threshold of 1 would have to gain: one that gains little here costs much where foreign texts make all edits less probable.
const THRESHOLD_GAIN: f64 = 0.04;
/// Weights that are tried, the one after the other.
const PRIOR_WEIGHTS: [f64; 6] = [0.7, 0.85, 1.0, 1.15, 1.3, 1.5];
const PENALTIES: [f64; 6] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0];

/// What was learned.
pub(super) struct Tuned {
    pub(super) decoding: Decoding,
    pub(super) min_confidence: f32,
    pub(super) metrics: Value,
}

/// A prior that decodes `settings` as nothing has taught it yet.
///
/// # Errors
/// If the channel cannot be decoded.
pub(super) fn undecided<P: Prior>(
    prior: P,
    settings: &CorruptSettings,
) -> Result<ChannelRestorer<P>, FinetuneError> {
    let options = LoadOptions::default();
    Ok(ChannelRestorer::new(prior, settings, Decoding::default(), UNDECIDED, &options)?)
}

/// Learns how `settings` is decoded on held-out passages, a `share` of what is usual; without any, the defaults. `None` if it was
/// stopped.
///
/// # Errors
/// If the tensor library fails, or the threads cannot be started.
pub(super) fn tune<P: Prior>(
    restorer: ChannelRestorer<P>,
    settings: &CorruptSettings,
    valid: &Sample,
    share: f64,
    stop: &Stop,
    note: fn(&str),
) -> Result<Option<Tuned>, FinetuneError> {
    let decoding = Decoding::default();
    let untuned = Tuned { decoding, min_confidence: UNDECIDED, metrics: Value::Null };
    if valid.texts().is_empty() || settings.total_rate() == 0.0 {
        return Ok(Some(untuned));
    }
    // What was fitted has an escape, which stands for anything and cannot be drawn.
    let settings = CorruptSettings { escape: 0.0, ..settings.clone() };
    let some = |most: usize| ((most as f64 * share).ceil() as usize).max(1);
    let mixture = pairs(&settings, &spread(valid.texts(), some(MIXTURE_PASSAGES)))?;
    let Some((restorer, weights)) = weigh(restorer, &spread(&mixture, some(WEIGHT_PASSAGES)), stop)? else {
        return Ok(None);
    };
    let sets = operation_sets(&spread(&mixture, some(OPERATION_PASSAGES)), &settings, settings.seed)?;
    let sets = sets.into_iter().filter(|set| set.kind != SetKind::Clean).map(|set| set.pairs);
    let mut examined = Vec::new();
    for pairs in std::iter::once(mixture).chain(sets) {
        if stop.reason().is_some() {
            return Ok(None);
        }
        examined.push(Examined::new(&restorer, pairs)?);
    }
    let pieces = clean_pieces(valid.texts(), some(CLEAN_PIECES));
    let mut touched = examine(&restorer, &pieces)?;
    touched.retain(|(one, _)| !one.edits.is_empty());
    let suspicions = if restorer.has_tagger() { &SUSPICIONS[..] } else { &SUSPICIONS[..1] };
    let steps = suspicions.iter().flat_map(|suspicion| {
        (0..=CLEAN_STEPS).map(|step| Weights {
            clean: f64::from(step) * CLEAN_STEP,
            suspicion: *suspicion,
            ..weights
        })
    });
    let choices: Vec<Choice> = steps
        .collect::<Vec<_>>()
        .into_par_iter()
        .filter_map(|weights| choose(weights, &examined, &touched, pieces.len()))
        .collect();
    let alone = choices.iter().filter(|choice| choice.weights.suspicion == 0.0);
    let alone = alone.map(|choice| choice.reduction).fold(f64::NEG_INFINITY, f64::max);
    // Where nothing is harmless, only what is certain is applied.
    let Some(best) = choices.into_iter().reduce(better) else {
        return Ok(Some(Tuned { min_confidence: 1.0, ..untuned }));
    };
    let Choice { weights, calibration, min_confidence, counts, harmed, reduction: mean } = best;
    let reduction = counts.reduction().unwrap_or(0.0);
    note(&format!(
        "decoding: prior × {}, {} nats an event, {} for a clean text, confidence from {min_confidence}: CER of the validation \
         split cut by {:.1} %, {harmed} of {} clean pieces touched",
        weights.prior,
        weights.event_penalty,
        weights.clean,
        100.0 * reduction,
        pieces.len()
    ));
    if restorer.has_tagger() {
        note(&format!(
            "a nat of the tagger's suspicion takes {} from that: errors cut by {:.1} % in the mean of the sets, {:.1} % without the tagger",
            weights.suspicion,
            100.0 * mean,
            100.0 * alone
        ));
    }
    let mut metrics = json!({
        "cer_before": counts.cer_before(),
        "cer_after": counts.cer_after(),
        "reduction": reduction,
        "mean_reduction": mean,
        "clean_pieces": pieces.len(),
        "harm": harmed as f64 / pieces.len() as f64,
    });
    if restorer.has_tagger() {
        metrics["mean_reduction_without_tagger"] = json!(alone);
    }
    Ok(Some(Tuned { decoding: Decoding { weights, calibration, ..decoding }, min_confidence, metrics }))
}

/// A restoration with all edits, and what speaks for its text, which fits one window, being clean.
type Weighed = (Restoration, Evidence);

/// A set of pairs, restored with all edits.
struct Examined {
    pairs: Vec<Pair>,
    restored: Vec<Weighed>,
    /// Of each edit, whether it is one of those that lead to the original.
    right: Vec<Vec<bool>>,
}

impl Examined {
    fn new<P: Prior>(restorer: &ChannelRestorer<P>, pairs: Vec<Pair>) -> Result<Self, FinetuneError> {
        let restored =
            examine(restorer, &pairs.iter().map(|pair| pair.corrupted.as_str()).collect::<Vec<_>>())?;
        let right = |(pair, (one, _)): (&Pair, &Weighed)| {
            let script = align(&pair.corrupted, &pair.original);
            let is_right = |edit: &Edit| {
                script.iter().any(|event| {
                    let (start, end) = (event.start as usize, (event.start + event.length) as usize);
                    (start, end, &event.replacement) == (edit.start, edit.end, &edit.replacement)
                })
            };
            one.edits.iter().map(is_right).collect()
        };
        let right = pairs.par_iter().zip(&restored).map(right).collect();
        Ok(Self { pairs, restored, right })
    }
}

/// What is learned at one weight of clean texts and of suspicion.
struct Choice {
    weights: Weights,
    calibration: Calibration,
    min_confidence: f32,
    /// Of the recipe's own mixture.
    counts: TextCounts,
    /// Mean over all sets.
    reduction: f64,
    harmed: usize,
}

/// The one that leaves fewer errors, unless it is only for a threshold; of equal ones the first.
fn better(best: Choice, one: Choice) -> Choice {
    let merit = |choice: &Choice| choice.reduction - THRESHOLD_GAIN * f64::from(choice.min_confidence);
    if merit(&one) > merit(&best) { one } else { best }
}

/// The shares of the edits where clean texts weigh as `weights` says; none where that makes the clean text the best. It counts at
/// the end only, so nothing is searched again.
fn favoured((one, evidence): &Weighed, weights: Weights) -> Option<impl Iterator<Item = f64> + use<'_>> {
    let clean = weights.clean_under(evidence.suspicion);
    let left = 1.0 / (1.0 + clean.exp_m1() * evidence.share);
    (evidence.gap > clean).then(|| one.edits.iter().map(move |edit| f64::from(edit.confidence) * left))
}

/// Calibration and threshold from restored sets, the recipe's mixture first, and touched pieces of clean text, of which there are
/// `pieces` in all; `None` if every threshold lets too many of them be touched.
fn choose(weights: Weights, sets: &[Examined], touched: &[Weighed], pieces: usize) -> Option<Choice> {
    let mixture = sets[0].restored.iter().zip(&sets[0].right);
    let points = mixture.filter_map(|(one, right)| Some(favoured(one, weights)?.zip(right.iter().copied())));
    let calibration = Calibration::fit(&points.flatten().collect::<Vec<_>>());
    let confidences = |one: &Weighed| -> Vec<f32> {
        favoured(one, weights)
            .into_iter()
            .flatten()
            .map(|share| calibration.probability(share) as f32)
            .collect()
    };
    let worst: Vec<f32> =
        touched.iter().filter_map(|one| confidences(one).into_iter().reduce(f32::max)).collect();
    let harmed = |threshold: f32| worst.iter().filter(|worst| **worst >= threshold).count();
    let sets: Vec<(&Examined, Vec<Vec<f32>>)> =
        sets.iter().map(|set| (set, set.restored.iter().map(confidences).collect())).collect();
    let at = |min_confidence: f32| {
        let counts: Vec<TextCounts> =
            sets.iter().map(|(set, confidences)| thinned(set, confidences, min_confidence)).collect();
        let reductions: Vec<f64> = counts.iter().filter_map(TextCounts::reduction).collect();
        let reduction = reductions.iter().sum::<f64>() / reductions.len().max(1) as f64;
        Choice {
            weights,
            calibration,
            min_confidence,
            counts: counts[0],
            reduction,
            harmed: harmed(min_confidence),
        }
    };
    let expected = HARM_LIMIT * pieces as f64;
    let most = (expected - STANDARD_ERRORS * expected.sqrt()).max(0.0);
    let harmless = THRESHOLDS.into_iter().filter(|threshold| harmed(*threshold) as f64 <= most);
    harmless.map(at).reduce(better)
}

/// The recipe's own mixture, of all `texts`.
fn pairs(settings: &CorruptSettings, texts: &[String]) -> Result<Vec<Pair>, FinetuneError> {
    let channel = Channel::new(settings)?;
    let pair = |(start, text): (u64, &String)| {
        channel.pair(&Passage { source: "validation", doc_id: "", start, text }, 0)
    };
    Ok((0..).zip(texts).map(pair).collect())
}

/// Restores texts, all edits applied.
fn examine<P: Prior>(restorer: &ChannelRestorer<P>, texts: &[&str]) -> Result<Vec<Weighed>, FinetuneError> {
    let options = RestoreOptions { min_confidence: Some(0.0), ..RestoreOptions::default() };
    let requests: Vec<_> =
        texts.iter().map(|text| RestoreRequest::new(*text).with_options(options)).collect();
    Ok(restorer.examine(&requests)?)
}

/// The weights that leave the fewest errors: the prior's at a middling penalty, then the penalty. `None` if it was stopped.
fn weigh<P: Prior>(
    mut restorer: ChannelRestorer<P>,
    pairs: &[Pair],
    stop: &Stop,
) -> Result<Option<(ChannelRestorer<P>, Weights)>, FinetuneError> {
    let workers = Workers::new(rayon::current_num_threads())?;
    let mut best = Weights::default();
    let mut fewest = None;
    for of_penalties in [false, true] {
        let middling = best;
        let candidates = if of_penalties {
            PENALTIES.map(|event_penalty| Weights { event_penalty, ..middling })
        } else {
            PRIOR_WEIGHTS.map(|prior| Weights { prior, ..middling })
        };
        for weights in candidates {
            if fewest.is_some() && weights == best {
                continue;
            }
            if stop.reason().is_some() {
                return Ok(None);
            }
            restorer = restorer.with_decoding(Decoding { weights, ..Decoding::default() })?;
            let errors = total(&restorer, pairs, 0.0, &workers)?.errors_after;
            if fewest.is_none_or(|fewest| errors < fewest) {
                (fewest, best) = (Some(errors), weights);
            }
        }
    }
    Ok(Some((restorer.with_decoding(Decoding { weights: best, ..Decoding::default() })?, best)))
}

/// Pieces of clean text: passages, cut again where there are few of them.
fn clean_pieces(texts: &[String], most: usize) -> Vec<&str> {
    let pieces: Vec<&str> = if texts.len() >= most {
        texts.iter().map(String::as_str).collect()
    } else {
        texts.iter().flat_map(|text| passages(text, PIECE_BYTES, 16).map(|range| &text[range])).collect()
    };
    spread(&pieces, most)
}

/// The counts where only edits whose `confidences` reach the threshold are applied.
fn thinned(set: &Examined, confidences: &[Vec<f32>], threshold: f32) -> TextCounts {
    let of = |((pair, (one, _)), confidences): ((&Pair, &Weighed), &Vec<f32>)| {
        let kept = one.edits.iter().zip(confidences).filter(|(_, confidence)| **confidence >= threshold);
        let edits: Vec<Edit> = kept.map(|(edit, _)| edit.clone()).collect();
        let text = apply_edits(&pair.corrupted, &edits).unwrap_or_else(|_| pair.corrupted.clone());
        TextCounts::of(&pair.original, &pair.corrupted, &text)
    };
    set.pairs.iter().zip(&set.restored).zip(confidences).map(of).sum()
}
