//! From a window to its most probable original and the probabilities of its edits.

use std::ops::Range;

use corruptor::{Edit, align};

use super::asking::Asking;
use super::lattice::Lattice;
use super::model::ChannelModel;
use super::observed::Window;
use super::originals::{Most, originals};
use super::search::{Found, Search};
use super::settings::{Beam, Posterior};
use super::share::{Segment, Sums, segments};
use crate::engine::Original;
use crate::prior::Prior;

/// A part of a window that is doubtful, or that was changed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Part {
    /// Its bytes in the window.
    pub(super) input: Range<usize>,
    /// What the best path makes of it, as edits over the window; confidences are shares.
    pub(super) edits: Vec<Edit>,
    /// Of each edit: the share of the weighted score that lies on originals whose script contains it.
    pub(super) shares: Vec<f64>,
    /// What it can have been, the one with the greatest share first.
    pub(super) originals: Vec<Original>,
    /// The share of what the best path makes of it.
    pub(super) share: f64,
}

/// What became of a window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Decoded {
    /// In order; what is between them is copied.
    pub(super) parts: Vec<Part>,
    /// The best path's weight in nats; −∞ if there is none.
    pub(super) ln_best: f64,
    /// ln of the weight of all paths that were kept.
    pub(super) ln_total: f64,
    /// What speaks for the text being clean.
    pub(super) evidence: Evidence,
}

/// What speaks for a text being clean, at the weight that clean texts have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Share of the weight that lies on the clean level.
    pub share: f64,
    /// How far the best path at the clean level is below the best of all, in nats; 0 where it is the best.
    pub gap: f64,
    /// How much a tagger suspects the text, in nats; 0 where none was asked.
    pub suspicion: f64,
}

impl Evidence {
    /// Of two parts of a text the least of each.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            share: self.share.min(other.share),
            gap: self.gap.max(other.gap),
            suspicion: self.suspicion.max(other.suspicion),
        }
    }
}

/// Decodes a window; `context` is what the prior has read before it.
pub(super) async fn decode<P: Prior>(
    model: &ChannelModel,
    asking: &Asking<'_, P>,
    beam: &Beam,
    posterior: &Posterior,
    window: Window<'_>,
    context: &str,
    alternatives: usize,
) -> Decoded {
    let Found { lattice, observed } = Search::new(model, asking, beam, window).run(context).await;
    let (ln_best, _) = lattice.best_path();
    if ln_best == f64::NEG_INFINITY {
        // The prior forbids every original: the text is left as it is.
        return Decoded { ln_best, ln_total: ln_best, ..Decoded::default() };
    }
    let clean = model.clean_lane();
    let gap = clean.map_or(f64::INFINITY, |lane| ln_best - lattice.best_of(lattice.end())[lane]);
    let lattice = lattice.trimmed(posterior.margin);
    let sums = Sums::of(&lattice);
    let best = lattice.trace();
    let mut arcs = best.iter().peekable();
    let mut parts = Vec::new();
    for segment in segments(&lattice, posterior.quiet) {
        let mut text = String::new();
        while let Some(arc) = arcs.next_if(|arc| arc.to <= segment.last) {
            text.push_str(observed.string(arc.text));
        }
        if !segment.is_copy {
            let most = posterior.most(alternatives);
            let known = originals(&lattice, &sums, &observed.strings, &segment, most);
            parts.push(part(&lattice, window.text, &segment, &text, known));
        }
    }
    let share = clean.map_or(0.0, |lane| (sums.before(lattice.end())[lane] - sums.ln_total).exp());
    Decoded { parts, ln_best, ln_total: sums.ln_total, evidence: Evidence { share, gap, suspicion: 0.0 } }
}

fn part(
    lattice: &Lattice,
    text: &str,
    segment: &Segment,
    best: &str,
    (known, enough): (Vec<Original>, usize),
) -> Part {
    let input = lattice.at[segment.first as usize] as usize..lattice.at[segment.last as usize] as usize;
    let script = |original: &str| {
        let events = align(&text[input.clone()], original);
        events.into_iter().map(|event| event.into_edit(0.0)).collect::<Vec<Edit>>()
    };
    let scripts: Vec<_> =
        known.iter().take(enough).map(|original| (script(&original.text), original.share)).collect();
    let (mut edits, mut shares) = (Vec::new(), Vec::new());
    for edit in script(best) {
        let has = scripts.iter().filter(|(script, _)| script.contains(&edit));
        let share = has.map(|(_, share)| share).sum::<f64>().min(1.0);
        shares.push(share);
        edits.push(Edit { confidence: share as f32, ..edit.moved(input.start.cast_signed()) });
    }
    let share = known
        .iter()
        .take(enough)
        .find(|original| original.text == best)
        .map_or(0.0, |original| original.share);
    Part { input, edits, shares, originals: known, share }
}

impl Posterior {
    fn most(&self, alternatives: usize) -> Most {
        let named = if alternatives == 0 { 0 } else { alternatives + 1 };
        Most { originals: self.originals, prefixes: self.prefixes, others: self.others, named }
    }
}
