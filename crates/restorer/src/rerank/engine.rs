//! The engine of a model whose originals another weighs.

use std::ops::Range;

use corruptor::{Edit, align, apply_edits, widen_edits};
use rustc_hash::FxHashMap;

use super::Reranked;
use crate::engine::{Collector, Engine, News, Piece, Summary, TextId, Usage, attempt};
use crate::error::RestoreError;
use crate::restorer::{Alternative, Restoration, RestoreOptions, RestoreRequest};

/// A text that the model works on, as it was asked for.
struct Asked {
    text: String,
    options: RestoreOptions,
    protected: Vec<Range<usize>>,
}

/// Longer texts are not weighed, in bytes: a judge reads all of every candidate at once.
const MOST_BYTES: usize = 1 << 15;

/// The model's engine, and what becomes of its news.
pub(super) struct Weighing<'r> {
    reranked: &'r Reranked,
    inner: Box<dyn Engine + 'r>,
    asked: FxHashMap<TextId, Asked>,
    collector: Collector,
}

/// An original, and its share of the weight of all that were weighed; before that, ln of what the model gives it.
struct Candidate {
    text: String,
    share: f64,
}

impl<'r> Weighing<'r> {
    pub(super) fn new(reranked: &'r Reranked, inner: Box<dyn Engine + 'r>) -> Self {
        Self { reranked, inner, asked: FxHashMap::default(), collector: Collector::default() }
    }

    /// What is said of a text once the judge has weighed its originals.
    fn weighed(
        &self,
        asked: &Asked,
        found: Restoration,
        summary: &Summary,
    ) -> Result<(Piece, Summary), RestoreError> {
        let threshold = asked.options.min_confidence.unwrap_or(self.reranked.info.min_confidence);
        let Restoration { text, edits, confidence, passes, alternatives, .. } = found;
        if alternatives.is_empty() {
            // There is nothing to weigh: it is as the model says.
            let sure = edits.into_iter().filter(|edit| edit.confidence >= threshold);
            let said = Summary { confidence, passes, ..Summary::default() };
            return Ok((piece(&asked.text, sure.collect()), said));
        }
        let first = Candidate { text, share: summary.ln_shares.0 };
        let others = alternatives.into_iter().zip(&summary.ln_shares.1);
        let others = others.map(|(Alternative { text, .. }, share)| Candidate { text, share: *share });
        let mut candidates: Vec<Candidate> = std::iter::once(first).chain(others).collect();
        self.judge(&asked.text, &mut candidates)?;
        let script = |text: &str| {
            align(&asked.text, text).into_iter().map(|event| event.into_edit(0.0)).collect::<Vec<Edit>>()
        };
        let scripts: Vec<(Vec<Edit>, f64)> =
            candidates.iter().map(|candidate| (script(&candidate.text), candidate.share)).collect();
        let told = |edit: &Edit| {
            let has = scripts.iter().filter(|(script, _)| script.contains(edit));
            let share: f64 = has.map(|(_, share)| share).sum();
            Edit { confidence: share.min(1.0) as f32, ..edit.clone() }
        };
        let is_free = |edit: &Edit| {
            !asked.protected.iter().any(|range| edit.start < range.end && range.start < edit.end)
        };
        let sure = scripts[0].0.iter().map(told).filter(|edit| edit.confidence >= threshold && is_free(edit));
        let piece = piece(&asked.text, sure.collect());
        let text = &piece.text;
        let confidence =
            candidates.iter().find(|candidate| candidate.text == *text).map_or(0.0, |one| one.share);
        let others = candidates.iter().filter(|candidate| candidate.text != *text);
        let alternatives = others
            .take(asked.options.alternatives)
            .map(|one| Alternative { text: one.text.clone(), probability: one.share as f32 })
            .collect();
        let summary = Summary { confidence: confidence as f32, passes, alternatives, ..Summary::default() };
        Ok((piece, summary))
    }

    /// Gives candidates the shares that both have a say in, and sorts them, the most probable first.
    fn judge(&self, corrupted: &str, candidates: &mut [Candidate]) -> Result<(), RestoreError> {
        let texts: Vec<&str> = candidates.iter().map(|candidate| candidate.text.as_str()).collect();
        if corrupted.len() > MOST_BYTES {
            let message = format!(
                "a text of {} bytes is too long to be weighed as a whole, {MOST_BYTES} at most: cut it, or do without a second model",
                corrupted.len()
            );
            return Err(RestoreError::Config { key: "rerank", message });
        }
        let said = self.reranked.judge.weigh(corrupted, &texts)?;
        let weights = candidates.iter().zip(said).map(|(candidate, said)| {
            // What only the judge holds impossible is the last to be taken, and still can be.
            candidate.share + self.reranked.weight * said.max(-1e9)
        });
        let weights: Vec<f64> = weights.collect();
        let greatest = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = weights.iter().map(|weight| (weight - greatest).exp()).sum();
        for (candidate, weight) in candidates.iter_mut().zip(weights) {
            candidate.share = (weight - greatest).exp() / sum;
        }
        // Of equal ones the model's first.
        candidates.sort_by(|a, b| b.share.total_cmp(&a.share));
        Ok(())
    }
}

/// What edits make of a whole text, as its one piece.
fn piece(text: &str, edits: Vec<Edit>) -> Piece {
    let edits = widen_edits(text, edits);
    // Edits of a script always fit.
    let (restored, edits) = match apply_edits(text, &edits) {
        Ok(restored) => (restored, edits),
        Err(_) => (text.to_owned(), Vec::new()),
    };
    Piece { start: 0, end: text.len(), text: restored, edits }
}

impl Engine for Weighing<'_> {
    fn join(&mut self, id: TextId, request: RestoreRequest) {
        let options = request.options;
        let protected = request.protected();
        self.asked.insert(id, Asked { text: request.text.clone(), options, protected });
        let alternatives = options.alternatives.max(self.reranked.candidates - 1);
        // What is not sure may become so.
        let options = RestoreOptions { min_confidence: Some(0.0), alternatives, ..options };
        self.inner.join(id, request.with_options(options));
    }

    fn leave(&mut self, id: TextId) {
        self.inner.leave(id);
        self.asked.remove(&id);
        self.collector.forget(id);
    }

    fn step(&mut self, news: &mut Vec<News>) {
        let mut own = Vec::new();
        self.inner.step(&mut own);
        for one in own {
            let summary = match &one {
                News::Done(_, summary) => summary.clone(),
                _ => Summary::default(),
            };
            let Some((id, found)) = self.collector.take(one) else { continue };
            let Some(asked) = self.asked.remove(&id) else { continue };
            match found.and_then(|found| attempt(|| self.weighed(&asked, found, &summary))) {
                Ok((piece, summary)) => news.extend([News::Piece(id, piece), News::Done(id, summary)]),
                Err(error) => news.push(News::Failed(id, error)),
            }
        }
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }
}
