//! From cores that are through to pieces of the restored text, and what is said of the whole.

use std::ops::Range;

use corruptor::{Edit, apply_edits, is_grapheme_boundary, minimize_edits, widen_edits};

use super::alternatives::{Doubtful, Original, Whole, others};
use super::document::DocumentSettings;
use super::{Piece, Summary};
use crate::calibration::Calibration;
use crate::channel::Evidence;
use crate::restorer::Alternative;

/// What a core leaves beside its edits.
#[derive(Clone, Debug, Default)]
pub(super) struct Finished {
    /// ln of the probability of its decisions in the last round, but for those in `doubtful`.
    pub(super) ln_probability: f64,
    pub(super) passes: usize,
    /// Over the input.
    pub(super) doubtful: Vec<Doubtful>,
    pub(super) evidence: Option<Evidence>,
}

/// The share of what is none of a part's known originals.
const LEAST_SHARE: f64 = 1e-9;
/// Bytes on each side of a seam that say whether a grapheme spans it.
const JOINT_BYTES: usize = 64;

/// The pieces of one text.
#[derive(Debug)]
pub(super) struct Pieces {
    threshold: f32,
    calibration: Option<Calibration>,
    text_calibration: Option<Calibration>,
    summary: Summary,
    ln_probability: f64,
    /// A piece whose last grapheme may go on in the next.
    held: Option<Piece>,
    /// All that was given out and all parts, where other originals are to be named.
    restored: Option<String>,
    doubtful: Vec<Doubtful>,
    /// ln of the share of what all parts were restored to.
    ln_own: f64,
}

impl Pieces {
    pub(super) fn new(settings: &DocumentSettings, alternatives: usize, threshold: f32) -> Self {
        Self {
            threshold,
            calibration: settings.calibration,
            text_calibration: settings.text_calibration,
            summary: Summary {
                calibrated: settings.is_calibrated,
                text_calibrated: settings.text_calibration.is_some(),
                ..Summary::default()
            },
            ln_probability: 0.0,
            held: None,
            restored: (alternatives > 0).then(String::new),
            doubtful: Vec::new(),
            ln_own: 0.0,
        }
    }

    /// The next core of `text` is through, with `edits` over it; gives out the piece before, unless a grapheme joins the two.
    pub(super) fn push(
        &mut self,
        text: &str,
        input: Range<usize>,
        edits: Vec<Edit>,
        finished: Finished,
    ) -> Option<Piece> {
        self.summary.passes += finished.passes;
        let of_parts: f64 = finished.doubtful.iter().map(|part| part.share.ln()).sum();
        let ln_probability = finished.ln_probability + of_parts;
        self.ln_probability += self
            .text_calibration
            .map_or(ln_probability, |calibration| calibration.probability(ln_probability.exp()).ln());
        if let Some(evidence) = finished.evidence {
            self.summary.evidence = Some(self.summary.evidence.map_or(evidence, |least| least.and(evidence)));
        }
        let Range { start, end } = input;
        let mut parts = finished.doubtful;
        if self.restored.is_some() && parts.is_empty() {
            parts = edits.iter().map(|edit| unmade(text, start, edit)).collect();
        }
        let sure = edits.into_iter().filter(|edit| edit.confidence >= self.threshold);
        let edits: Vec<Edit> = sure.map(|edit| edit.moved(start.cast_signed())).collect();
        let mut piece = Piece { start, end, text: String::new(), edits: minimize_edits(text, edits) };
        piece.write(text);
        if self.restored.is_some() {
            self.ln_own += parts.iter().map(|part| ln_share_of(part, text, &piece.edits)).sum::<f64>();
            self.doubtful.append(&mut parts);
        }
        match self.held.take() {
            None => {
                self.held = Some(piece);
                None
            }
            Some(mut held) if is_joined(text, &held, &piece) => {
                held.end = piece.end;
                held.text.push_str(&piece.text);
                held.edits.append(&mut piece.edits);
                self.held = Some(held);
                None
            }
            Some(held) => {
                self.held = Some(piece);
                Some(self.finish(text, held))
            }
        }
    }

    /// Nothing follows: gives out what was held.
    pub(super) fn flush(&mut self, text: &str) -> Option<Piece> {
        let held = self.held.take()?;
        Some(self.finish(text, held))
    }

    fn finish(&mut self, text: &str, mut piece: Piece) -> Piece {
        let Piece { start, end, .. } = piece;
        let own = piece.edits.into_iter().map(|edit| edit.moved(-start.cast_signed()));
        let widened = widen_edits(&text[start..end], own.collect());
        let told = |edit: Edit| {
            let said = edit.confidence;
            let confidence = self.calibration.map_or(said, |calibration| calibration.confidence(said));
            Edit { confidence, ..edit.moved(start.cast_signed()) }
        };
        piece.edits = widened.into_iter().map(told).collect();
        if let Some(restored) = &mut self.restored {
            restored.push_str(&piece.text);
        }
        piece
    }

    /// What is to be said of the whole `text`.
    pub(super) fn summary(&mut self, text: &str, alternatives: usize) -> Summary {
        let mut summary = std::mem::take(&mut self.summary);
        summary.confidence = self.ln_probability.exp() as f32;
        if let Some(restored) = &self.restored {
            let found = others(text, restored, &self.doubtful, alternatives);
            summary.ln_shares = (self.ln_own, found.iter().map(|one| one.ln_share).collect());
            let alternative =
                |Whole { text, ln_share }| Alternative { text, probability: ln_share.exp() as f32 };
            summary.alternatives = found.into_iter().map(alternative).collect();
        }
        summary
    }
}

impl Piece {
    /// Writes what the edits make of the input; they fall as a whole where they do not fit.
    fn write(&mut self, text: &str) {
        let Self { start, end, edits, .. } = self;
        let own: Vec<Edit> = edits.iter().map(|edit| edit.clone().moved(-(*start).cast_signed())).collect();
        let input = &text[*start..*end];
        self.text = apply_edits(input, &own).unwrap_or_else(|_| {
            edits.clear();
            input.to_owned()
        });
    }
}

/// An edit of a core that begins at `start`, as a part that can also have been right before: of families that weigh nothing else.
fn unmade(text: &str, start: usize, edit: &Edit) -> Doubtful {
    let input = start + edit.start..start + edit.end;
    let made = f64::from(edit.confidence);
    let mut originals = vec![
        Original { text: edit.replacement.clone(), share: made },
        Original { text: text[input.clone()].to_owned(), share: 1.0 - made },
    ];
    originals.sort_by(|a, b| b.share.total_cmp(&a.share));
    Doubtful { input, originals, share: 1.0 }
}

/// ln of the share of what `edits` make of a part.
fn ln_share_of(part: &Doubtful, text: &str, edits: &[Edit]) -> f64 {
    let Range { start, end } = part.input;
    let first = edits.partition_point(|edit| edit.end < start);
    let inside = edits[first..].iter().take_while(|edit| edit.start <= end);
    let (mut made, mut copied) = (String::new(), start);
    for edit in inside.filter(|edit| start <= edit.start && edit.end <= end) {
        made.push_str(&text[copied..edit.start]);
        made.push_str(&edit.replacement);
        copied = edit.end;
    }
    made.push_str(&text[copied..end]);
    let known = part.originals.iter().find(|original| original.text == made);
    known.map_or(0.0, |original| original.share).max(LEAST_SHARE).ln()
}

/// Whether a grapheme, of the input or of what is written, spans the place where two pieces meet.
fn is_joined(text: &str, left: &Piece, right: &Piece) -> bool {
    let tail = &left.text[left.text.ceil_char_boundary(left.text.len().saturating_sub(JOINT_BYTES))..];
    let head = &right.text[..right.text.floor_char_boundary(JOINT_BYTES)];
    // Of nothing, nothing can be said.
    let is_open = tail.is_empty() || head.is_empty();
    is_open
        || !is_grapheme_boundary(text, left.end)
        || !is_grapheme_boundary(&[tail, head].concat(), tail.len())
}
