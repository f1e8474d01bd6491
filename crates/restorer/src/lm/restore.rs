//! Restoration: what the model writes for a window becomes edits over that window.

use corruptor::{Edit, Event, align};
use rayon::prelude::*;

use super::greedy::{Task, Written, greedy};
use super::model::LanguageModel;
use crate::error::RestoreError;
use crate::restorer::{ModelInfo, Restoration, RestoreRequest, Restorer};
use crate::rounds::{self, Window, WindowEdits};

/// Tokens that are generated from together, sources counted.
const GROUP_TOKENS: usize = 4096;

impl Restorer for LanguageModel {
    fn restore(&self, requests: &[RestoreRequest]) -> Result<Vec<Restoration>, RestoreError> {
        rounds::restore(requests, &self.limits, |windows| self.propose(windows))
    }

    fn tokens(&self, text: &str) -> usize {
        2 * self.codec.encode(text).len() + self.prompt.tokens()
    }

    fn info(&self) -> &ModelInfo {
        &self.info
    }
}

impl LanguageModel {
    /// Edits for all windows: grouped, the groups in parallel.
    fn propose(&self, windows: &[Window]) -> Result<Vec<WindowEdits>, RestoreError> {
        let texts: Vec<Vec<u32>> = windows.iter().map(|window| self.codec.encode(&window.text)).collect();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let costs: Vec<usize> = texts.iter().map(|text| 2 * text.len() + self.prompt.tokens()).collect();
        let threads = self
            .pool
            .as_ref()
            .map_or_else(rayon::current_num_threads, rayon::ThreadPool::current_num_threads);
        // No thread stands by while another writes many.
        let most = GROUP_TOKENS.min(costs.iter().sum::<usize>().div_ceil(threads));
        let mut tokens = usize::MAX;
        for (index, &cost) in costs.iter().enumerate() {
            if tokens.saturating_add(cost) > most {
                groups.push(Vec::new());
                tokens = 0;
            }
            tokens += cost;
            if let Some(group) = groups.last_mut() {
                group.push(index);
            }
        }
        let write = |group: &Vec<usize>| -> Result<Vec<WindowEdits>, RestoreError> {
            let sources: Vec<Vec<u32>> = group.iter().map(|&i| self.prompt.around(&texts[i])).collect();
            let mut tasks = Vec::with_capacity(group.len());
            for (&i, source) in group.iter().zip(&sources) {
                let copied = self.drafts.then_some(texts[i].as_slice());
                // A restored text is hardly longer than the corrupted one; what runs away is stopped.
                tasks.push(Task { source, copied, most: texts[i].len() * 3 / 2 + 32 });
            }
            let written = greedy(&self.network, &tasks, &self.ends)?;
            Ok(group
                .iter()
                .zip(&written)
                .map(|(&i, written)| self.edits(&windows[i], &texts[i], written))
                .collect())
        };
        let run = || groups.par_iter().map(write).collect::<Result<Vec<_>, _>>();
        let proposals = match &self.pool {
            Some(pool) => pool.install(run),
            None => run(),
        }?;
        Ok(proposals.into_iter().flatten().collect())
    }

    /// What differs between a window and what was written for it. A text that the model did not end itself changes nothing, and
    /// neither does one that only differs in what the tokenizer does not keep.
    fn edits(&self, window: &Window, text: &[u32], written: &Written) -> WindowEdits {
        let sum: f32 = written.ln_probabilities.iter().sum();
        let (ln_probability, passes) = (f64::from(sum), written.cost.passes);
        if !written.ended || written.tokens == text {
            return WindowEdits { edits: Vec::new(), ln_probability, passes };
        }
        let output = self.codec.decode(&written.tokens);
        let ends = self.codec.ends(&written.tokens);
        let events = align(&window.text, &output);
        let mut shift = 0isize;
        let mut edits = Vec::with_capacity(events.len());
        for Event { start, removed, replacement, .. } in events {
            let start = start as usize;
            let at = start.wrapping_add_signed(shift);
            shift += replacement.len().cast_signed() - removed.len().cast_signed();
            let end = start + removed.len();
            let is_inside = window.core.start <= start && end <= window.core.end;
            // The gap after the core belongs to the next window, unless this is the end of the text.
            if is_inside && (window.owns_end || start < window.core.end) {
                let confidence = confidence(at..at + replacement.len(), &ends, &written.ln_probabilities);
                edits.push(Edit { start, end, replacement, confidence });
            }
        }
        WindowEdits { edits, ln_probability, passes }
    }
}

/// Probability of the tokens that an edit's replacement lies in, or of the token that stands where something was left out.
fn confidence(replacement: std::ops::Range<usize>, ends: &[usize], ln_probabilities: &[f32]) -> f32 {
    let first = ends.partition_point(|end| *end <= replacement.start);
    let last = ends.partition_point(|end| *end < replacement.end).max(first);
    let chosen = first.min(ln_probabilities.len())..(last + 1).min(ln_probabilities.len());
    ln_probabilities[chosen].iter().sum::<f32>().exp()
}

#[cfg(test)]
mod tests {
    use super::confidence;

    #[test]
    fn an_edit_is_as_sure_as_the_tokens_it_lies_in() {
        let ln = [0.9f32, 0.8, 0.7, 0.6].map(f32::ln);
        let of = |replacement| (confidence(replacement, &[2, 4, 6], &ln) * 1e4).round() / 1e4;
        assert!((of(2..4) - 0.8).abs() < 1e-4);
        assert!((of(3..5) - 0.56).abs() < 1e-4);
        // Something left out before byte 2: the token that begins there; at the end: the end.
        assert!((of(2..2) - 0.8).abs() < 1e-4);
        assert!((of(6..6) - 0.6).abs() < 1e-4);
    }
}
