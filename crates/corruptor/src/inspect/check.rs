//! What must hold for every pair.

use crate::distance::grapheme_distance;
use crate::event::{invert, replay};
use crate::grapheme::grapheme_count;
use crate::op::EventOp;
use crate::pair::{Pair, Passage};
use crate::random::pair_id;

/// Distances found on the way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Distances {
    /// Levenshtein distance in graphemes.
    pub(super) edits: u64,
    /// Graphemes of the original.
    pub(super) graphemes: u64,
}

/// Checks id, log and error rate of a pair; the message says which does not hold.
pub(super) fn check(pair: &Pair) -> (Distances, Result<(), String>) {
    let Pair { original, corrupted, .. } = pair;
    let edits = if original == corrupted { 0 } else { grapheme_distance(original, corrupted) as u64 };
    let distances = Distances { edits, graphemes: grapheme_count(original) as u64 };
    (distances, consistent(pair, distances))
}

fn consistent(pair: &Pair, distances: Distances) -> Result<(), String> {
    let Pair { doc_id, source, start, copy, original, corrupted, events, .. } = pair;
    let id = pair_id(&Passage { source, doc_id, start: *start, text: original }, *copy);
    if id != pair.id {
        return Err(format!("the id is not that of its source, document, start and copy, which is {id}"));
    }
    match replay(original, events) {
        Ok(replayed) if replayed == *corrupted => {}
        Ok(_) => return Err("replaying the events gives another text than `corrupted`".to_owned()),
        Err(error) => return Err(format!("the events do not replay: {error}")),
    }
    match invert(corrupted, events) {
        Ok(inverted) if inverted == *original => {}
        Ok(_) => return Err("inverting the events gives another text than `original`".to_owned()),
        Err(error) => return Err(format!("the events do not invert: {error}")),
    }
    if let Some(index) = events.iter().position(|event| event.removed == event.replacement) {
        return Err(format!("event {index} changes nothing"));
    }
    if let Some(noise) = pair.noise {
        if !noise.is_finite() || noise < 0.0 {
            return Err(format!("the noise level {noise} is none"));
        }
        if let Some(index) = events.iter().position(|event| event.op == EventOp::Edit) {
            return Err(format!("event {index} is an edit, but the row states noise level {noise}"));
        }
    }
    let cer = distances.edits as f32 / distances.graphemes.max(1) as f32;
    // Another engine may divide in another precision; NaN must not pass.
    if (pair.cer - cer).abs() <= 1e-6 * cer.max(1.0) {
        Ok(())
    } else {
        Err(format!("cer is {}, not {cer}", pair.cer))
    }
}
