//! What a prior needs to decode a channel, learned on the validation documents: the weights of prior and events, the calibration
//! of confidences, and the threshold.

use std::collections::HashSet;

use corruptor::{Channel, CorruptSettings, Op, Pair, Passage, align, passages};
use restorer::channel::{Calibration, ChannelRestorer, Decoding, Evidence, Weights};
use restorer::metrics::TextCounts;
use restorer::ngram::NgramModel;
use restorer::{LoadOptions, Restoration, RestoreOptions, RestoreRequest};
use serde_json::{Value, json};

use super::texts::Sample;
use crate::error::FinetuneError;

/// Passages that weights are tried on.
const WEIGHT_PASSAGES: usize = 96;
/// Passages that confidences are calibrated on.
const CALIBRATION_PASSAGES: usize = 240;
/// Most pieces of clean text that the threshold is chosen on.
const CLEAN_PIECES: usize = 4000;
/// Bytes of such a piece where there are few.
const PIECE_BYTES: usize = 256;
/// Share of the clean pieces that may be touched.
const HARM_LIMIT: f64 = 0.005;
/// Half nats that a text is given for being clean, at most.
const CLEAN_STEPS: u32 = 24;
/// Thresholds that are tried, and how many of them from the least harmless one on.
const THRESHOLD_STEPS: usize = 50;
const MOST_THRESHOLDS: usize = 8;
/// Passages of each operation that the threshold is chosen on.
const OPERATION_PASSAGES: usize = 80;
/// Weights that are tried, the one after the other.
const PRIOR_WEIGHTS: [f64; 6] = [0.7, 0.85, 1.0, 1.15, 1.3, 1.5];
const PENALTIES: [f64; 6] = [0.0, 0.5, 1.0, 1.5, 2.0, 3.0];

/// What was learned.
pub(super) struct Tuned {
    pub(super) decoding: Decoding,
    pub(super) min_confidence: f32,
    pub(super) metrics: Value,
}

type Channels = ChannelRestorer<NgramModel>;

/// Learns how `settings` is decoded under `prior` on held-out passages; without any, the defaults.
///
/// # Errors
/// If the channel cannot be decoded.
pub(super) fn tune(
    prior: &NgramModel,
    settings: &CorruptSettings,
    valid: &Sample,
    note: fn(&str),
) -> Result<Tuned, FinetuneError> {
    let (decoding, threshold) = (Decoding::default(), 0.5);
    let restorer = Channels::new(prior.clone(), settings, decoding, threshold, &LoadOptions::default())?;
    if valid.texts().is_empty() || settings.total_rate() == 0.0 {
        return Ok(Tuned { decoding, min_confidence: threshold, metrics: Value::Null });
    }
    let (restorer, weights) = weigh(restorer, &pairs(settings, valid.texts(), WEIGHT_PASSAGES, 0)?)?;
    let held_out = sets(settings, valid.texts())?;
    let pieces = clean_pieces(valid.texts());
    let restored: Vec<Vec<Examined>> = held_out
        .iter()
        .map(|set| examine(&restorer, set.iter().map(|pair| pair.corrupted.as_str())))
        .collect();
    let touched: Vec<Examined> = examine(&restorer, pieces.iter().copied())
        .into_iter()
        .filter(|(one, _)| !one.edits.is_empty())
        .collect();
    let mut best: Option<Choice> = None;
    for clean in (0..=CLEAN_STEPS).map(|step| f64::from(step) * 0.5) {
        let choice = choose(clean, &held_out, &restored, &touched, pieces.len());
        if best.as_ref().is_none_or(|best| choice.reduction > best.reduction) {
            best = Some(choice);
        }
    }
    let Some(Choice { clean, calibration, min_confidence, counts, harmed, reduction: mean }) = best else {
        return Ok(Tuned { decoding, min_confidence: threshold, metrics: Value::Null });
    };
    let weights = Weights { clean, ..weights };
    let reduction = counts.reduction().unwrap_or(0.0);
    note(&format!(
        "decoding: prior × {}, {} nats an event, {clean} for a clean text, confidence from {min_confidence}: CER of the validation \
         split cut by {:.1} %, {harmed} of {} clean pieces touched",
        weights.prior,
        weights.event_penalty,
        100.0 * reduction,
        pieces.len()
    ));
    let metrics = json!({
        "cer_before": counts.cer_before(),
        "cer_after": counts.cer_after(),
        "reduction": reduction,
        "mean_reduction": mean,
        "clean_pieces": pieces.len(),
        "harm": harmed as f64 / pieces.len() as f64,
    });
    Ok(Tuned { decoding: Decoding { weights, calibration, ..decoding }, min_confidence, metrics })
}

/// A restoration with all edits, and what speaks for its text being clean.
type Examined = (Restoration, Evidence);

/// What is learned at one weight of clean texts.
struct Choice {
    clean: f64,
    calibration: Calibration,
    min_confidence: f32,
    /// Of the recipe's own mixture.
    counts: TextCounts,
    /// Mean over all sets.
    reduction: f64,
    harmed: usize,
}

/// What decoding finds where clean texts weigh `clean` nats more: that counts at the end only, so nothing is searched again.
fn favoured((one, evidence): &Examined, clean: f64) -> Restoration {
    if evidence.gap <= clean {
        return Restoration { edits: Vec::new(), ..one.clone() };
    }
    let left = 1.0 / (1.0 + clean.exp_m1() * evidence.share);
    let mut one = one.clone();
    one.edits.iter_mut().for_each(|edit| edit.confidence = (f64::from(edit.confidence) * left) as f32);
    one
}

/// Calibration and threshold from restored sets and touched pieces of clean text, of which there are `pieces` in all.
fn choose(
    clean: f64,
    sets: &[Vec<Pair>],
    restored: &[Vec<Examined>],
    touched: &[Examined],
    pieces: usize,
) -> Choice {
    let favour = |set: &Vec<Examined>| set.iter().map(|one| favoured(one, clean)).collect::<Vec<_>>();
    let mut restored: Vec<Vec<Restoration>> = restored.iter().map(favour).collect();
    let calibration = calibrate(&sets[0], &restored[0]);
    let calibrated = |share: f32| calibration.probability(f64::from(share)) as f32;
    for edit in restored.iter_mut().flatten().flat_map(|one| &mut one.edits) {
        edit.confidence = calibrated(edit.confidence);
    }
    let touched = touched.iter().map(|one| favoured(one, clean)).filter(|one| !one.edits.is_empty());
    let worst: Vec<f32> = touched
        .map(|one| calibrated(one.edits.iter().map(|edit| edit.confidence).fold(0.0, f32::max)))
        .collect();
    let harmed = |threshold: f32| worst.iter().filter(|worst| **worst >= threshold).count();
    let candidates = (0..THRESHOLD_STEPS).map(|step| step as f32 / THRESHOLD_STEPS as f32);
    let least = candidates
        .filter(|threshold| harmed(*threshold) as f64 <= HARM_LIMIT * pieces as f64)
        .chain([1.0])
        .take(MOST_THRESHOLDS);
    let at = |min_confidence: f32| {
        let counts: Vec<TextCounts> = sets
            .iter()
            .zip(&restored)
            .map(|(set, restored)| thinned(set, restored, min_confidence))
            .collect();
        let reductions: Vec<f64> = counts.iter().filter_map(TextCounts::reduction).collect();
        let reduction = reductions.iter().sum::<f64>() / reductions.len().max(1) as f64;
        Choice {
            clean,
            calibration,
            min_confidence,
            counts: counts[0],
            reduction,
            harmed: harmed(min_confidence),
        }
    };
    let mut best = at(1.0);
    for choice in least.map(at) {
        if choice.reduction > best.reduction {
            best = choice;
        }
    }
    best
}

/// Sets of pairs: the recipe's own mixture, then one an operation, at level 1.
fn sets(settings: &CorruptSettings, texts: &[String]) -> Result<Vec<Vec<Pair>>, FinetuneError> {
    let mut sets = vec![pairs(settings, texts, CALIBRATION_PASSAGES, 1)?];
    for op in Op::ALL.into_iter().filter(|op| settings.op(*op).rate > 0.0) {
        let mut only = CorruptSettings { levels: vec![1.0], clean_share: 0.0, ..settings.clone() };
        for other in Op::ALL.into_iter().filter(|other| *other != op) {
            only.op_mut(other).rate = 0.0;
        }
        sets.push(pairs(&only, texts, OPERATION_PASSAGES, 1)?);
    }
    Ok(sets)
}

/// Corrupted passages, evenly spaced over `texts`.
fn pairs(
    settings: &CorruptSettings,
    texts: &[String],
    most: usize,
    copy: u32,
) -> Result<Vec<Pair>, FinetuneError> {
    // What the channel of a fitted recipe cannot sample is what it was never seen to do.
    let channel = Channel::new(&CorruptSettings { escape: 0.0, ..settings.clone() })
        .map_err(restorer::RestoreError::Channel)?;
    let chosen = (0..most.min(texts.len())).map(|i| i * texts.len() / most.min(texts.len()));
    let pair = |at: usize| {
        let passage = Passage { source: "validation", doc_id: "", start: at as u64, text: &texts[at] };
        channel.pair(&passage, copy)
    };
    Ok(chosen.map(pair).collect())
}

/// Restores texts, all edits applied.
fn examine<'t>(restorer: &Channels, texts: impl Iterator<Item = &'t str>) -> Vec<Examined> {
    let options = RestoreOptions { min_confidence: Some(0.0), ..RestoreOptions::default() };
    let requests: Vec<_> = texts.map(|text| RestoreRequest::new(text).with_options(options)).collect();
    restorer.examine(&requests)
}

/// Tries weights: one of the prior at a middling penalty, then penalties.
fn weigh(mut restorer: Channels, pairs: &[Pair]) -> Result<(Channels, Weights), FinetuneError> {
    let middling = Weights::default();
    let mut best: Option<(u64, Weights)> = None;
    let mut tried: Vec<Weights> = Vec::new();
    for step in 0..2 {
        let around = best.map_or(middling, |(_, weights)| weights);
        let candidates: Vec<Weights> = match step {
            0 => PRIOR_WEIGHTS.map(|prior| Weights { prior, ..around }).to_vec(),
            _ => PENALTIES.map(|event_penalty| Weights { event_penalty, ..around }).to_vec(),
        };
        for weights in candidates {
            if tried.contains(&weights) {
                continue;
            }
            tried.push(weights);
            restorer = restorer.with_decoding(Decoding { weights, ..Decoding::default() })?;
            let restored = examine(&restorer, pairs.iter().map(|pair| pair.corrupted.as_str()));
            let counts: TextCounts = pairs
                .iter()
                .zip(&restored)
                .map(|(pair, (one, _))| TextCounts::of(&pair.original, &pair.corrupted, &one.text))
                .sum();
            if best.is_none_or(|(errors, _)| counts.errors_after < errors) {
                best = Some((counts.errors_after, weights));
            }
        }
    }
    let weights = best.map_or(middling, |(_, weights)| weights);
    Ok((restorer.with_decoding(Decoding { weights, ..Decoding::default() })?, weights))
}

/// Fits log-odds of an edit being right to log-odds of its share, by Newton's method, drawn a little towards none of it.
fn calibrate(pairs: &[Pair], restored: &[Restoration]) -> Calibration {
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (pair, one) in pairs.iter().zip(restored) {
        let right: HashSet<(usize, usize, String)> = align(&pair.corrupted, &pair.original)
            .into_iter()
            .map(|event| (event.start as usize, (event.start + event.length) as usize, event.replacement))
            .collect();
        points.extend(one.edits.iter().map(|edit| {
            let is_right = right.contains(&(edit.start, edit.end, edit.replacement.clone()));
            (Calibration::log_odds(f64::from(edit.confidence)), f64::from(u8::from(is_right)))
        }));
    }
    let (mut slope, mut intercept) = (1.0, 0.0);
    for _ in 0..50 {
        // The pull is that of a normal prior of variance 1 on both.
        let (mut gradient, mut hessian) = ([1.0 - slope, -intercept], [1.0, 0.0, 1.0]);
        for (x, y) in &points {
            let p = 1.0 / (1.0 + (-(slope * x + intercept)).exp());
            let weight = p * (1.0 - p);
            gradient[0] += (y - p) * x;
            gradient[1] += y - p;
            hessian[0] += weight * x * x;
            hessian[1] += weight * x;
            hessian[2] += weight;
        }
        let determinant = hessian[0] * hessian[2] - hessian[1] * hessian[1];
        let by_slope = (gradient[0] * hessian[2] - gradient[1] * hessian[1]) / determinant;
        let by_intercept = (gradient[1] * hessian[0] - gradient[0] * hessian[1]) / determinant;
        (slope, intercept) = (slope + by_slope, intercept + by_intercept);
        if by_slope.abs() + by_intercept.abs() < 1e-9 {
            break;
        }
    }
    // A greater share is never less probable, whatever few points say.
    if slope.is_finite() && slope > 0.0 { Calibration { slope, intercept } } else { Calibration::default() }
}

/// Pieces of clean text: passages, cut again where there are few of them.
fn clean_pieces(texts: &[String]) -> Vec<&str> {
    let pieces: Vec<&str> = if texts.len() >= CLEAN_PIECES {
        texts.iter().map(String::as_str).collect()
    } else {
        texts.iter().flat_map(|text| passages(text, PIECE_BYTES, 16).map(|range| &text[range])).collect()
    };
    let kept = pieces.len().min(CLEAN_PIECES);
    (0..kept).map(|i| pieces[i * pieces.len() / kept]).collect()
}

/// The counts where only edits from `threshold` on are applied.
fn thinned(pairs: &[Pair], restored: &[Restoration], threshold: f32) -> TextCounts {
    let counts = pairs.iter().zip(restored).map(|(pair, one)| {
        let edits: Vec<_> = one.edits.iter().filter(|edit| edit.confidence >= threshold).cloned().collect();
        let text = corruptor::apply_edits(&pair.corrupted, &edits).unwrap_or_else(|_| pair.corrupted.clone());
        TextCounts::of(&pair.original, &pair.corrupted, &text)
    });
    counts.sum()
}
