//! Restoration: what the model writes for a window becomes edits over that window.

use std::sync::Arc;

use corruptor::{Event, align};
use rayon::prelude::*;

use super::beam::Beams;
use super::greedy::{self, Task, Writing, Written};
use super::model::LanguageModel;
use super::others::doubtful;
use crate::engine::{Cost, Engine, EngineLimits, Family, Running, Window, WindowEdits};
use crate::error::RestoreError;
use crate::restorer::{ModelInfo, Restorer};
use crate::threads::with_spare_threads;

/// Tokens of one text that a step is planned for: its last, and a draft.
const STEP_TOKENS: usize = 17;

impl Restorer for LanguageModel {
    fn engine(&self, limits: EngineLimits) -> Box<dyn Engine + '_> {
        Box::new(Running::new(self, self.restoring, limits))
    }

    fn tokens(&self, text: &str) -> usize {
        2 * self.codec.encode(text).len() + self.prompt.tokens()
    }

    fn info(&self) -> &ModelInfo {
        &self.info
    }
}

/// A window that is being written anew.
pub(crate) struct Job {
    window: Arc<Window>,
    text: Vec<u32>,
    writing: Writing,
    /// What else it could become, once it is written, where that is asked for.
    beams: Option<Beams>,
}

/// A restored text is hardly longer than the corrupted one; what runs away is stopped.
fn most(tokens: usize) -> usize {
    tokens * 3 / 2 + 32
}

/// Whether the most probable text is searched for.
fn searches(window: &Window) -> bool {
    window.num_beams.is_some_and(|beams| beams > 1)
}

/// Hypotheses of a search, where one is needed.
fn width(window: &Window) -> Option<usize> {
    let beams = window.num_beams.filter(|_| searches(window)).unwrap_or(0);
    let width = beams.max(if window.alternatives > 0 { window.alternatives + 1 } else { 0 });
    (width > 0).then_some(width)
}

impl Family for LanguageModel {
    type Job<'f> = Job;

    fn cost(&self, window: &Window) -> Cost {
        // A byte is a token at most.
        let text = window.text.len();
        let source = text + self.prompt.tokens();
        // Beams before and after a step, beside what was written first.
        let copies = width(window).map_or(1, |width| 2 * width + 1);
        Cost {
            first_tokens: source,
            step_tokens: if self.drafts { STEP_TOKENS } else { 1 },
            cache_bytes: copies * self.network.cache_bytes(source, most(text)),
        }
    }

    fn begin(&self, windows: &[Arc<Window>]) -> Result<Vec<Job>, RestoreError> {
        let begin = |windows: &[Arc<Window>]| -> Result<Vec<Job>, RestoreError> {
            let texts: Vec<Vec<u32>> = windows.iter().map(|window| self.codec.encode(&window.text)).collect();
            let task = |text: &Vec<u32>| Task {
                source: self.prompt.around(text),
                copied: self.drafts.then(|| text.clone()),
                most: most(text.len()),
            };
            let begun = greedy::begin(&self.network, texts.iter().map(task).collect(), &self.ends)?;
            let job = |((writing, text), window): ((Writing, Vec<u32>), &Arc<Window>)| Job {
                window: Arc::clone(window),
                text,
                writing,
                beams: None,
            };
            Ok(begun.into_iter().zip(texts).zip(windows).map(job).collect())
        };
        let share = windows.len().div_ceil(self.threads()).max(1);
        let begun =
            self.on_threads(|| windows.par_chunks(share).map(begin).collect::<Result<Vec<_>, _>>())?;
        Ok(begun.into_iter().flatten().collect())
    }

    /// One pass of the decoder; each thread takes an equal share of the texts through it, or, where there are fewer, of the products.
    fn advance(&self, jobs: &mut [&mut Job]) -> Result<Vec<Option<WindowEdits>>, RestoreError> {
        let spare = self.threads() / jobs.len().max(1);
        let advance = |jobs: &mut [&mut Job]| -> Result<Vec<Option<WindowEdits>>, RestoreError> {
            let mut texts: Vec<&mut Writing> = jobs.iter_mut().map(|job| &mut job.writing).collect();
            with_spare_threads(spare, || greedy::step(&self.network, &mut texts, &self.ends))?;
            jobs.iter_mut().map(|job| self.finish(job)).collect()
        };
        let share = jobs.len().div_ceil(self.threads()).max(1);
        let found =
            self.on_threads(|| jobs.par_chunks_mut(share).map(advance).collect::<Result<Vec<_>, _>>())?;
        Ok(found.into_iter().flatten().collect())
    }
}

impl LanguageModel {
    fn threads(&self) -> usize {
        self.pool.as_ref().map_or_else(rayon::current_num_threads, rayon::ThreadPool::current_num_threads)
    }

    pub(crate) fn on_threads<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// What was found in a window, once it is written and nothing else is to be looked for.
    fn finish(&self, job: &mut Job) -> Result<Option<WindowEdits>, RestoreError> {
        if job.writing.goes_on() {
            return Ok(None);
        }
        if let Some(width) = width(&job.window) {
            match &mut job.beams {
                None => {
                    let source = self.prompt.around(&job.text);
                    let size = (width, most(job.text.len()));
                    job.beams = Some(Beams::begin(&self.network, &source, &self.ends, size)?);
                }
                Some(beams) => beams.step(&self.network, &self.ends)?,
            }
        }
        if job.beams.as_ref().is_some_and(Beams::goes_on) {
            return Ok(None);
        }
        let written = job.writing.written();
        let Some(beams) = &mut job.beams else {
            return Ok(Some(self.edits(&job.window, &job.text, written)));
        };
        if written.ended {
            beams.add(written);
        }
        let mut found = if searches(&job.window) {
            self.edits(&job.window, &job.text, &beams.best(written))
        } else {
            self.edits(&job.window, &job.text, written)
        };
        if job.window.alternatives > 0 {
            let texts: Vec<_> =
                beams.shares().map(|(tokens, share)| (self.codec.decode(tokens), share)).collect();
            found.doubtful = doubtful(&job.window.text, &texts);
        }
        found.passes += beams.passes;
        Ok(Some(found))
    }

    /// What differs between a window and what was written for it. A text that the model did not end itself changes nothing, and
    /// neither does one that only differs in what the tokenizer does not keep.
    fn edits(&self, window: &Window, text: &[u32], written: &Written) -> WindowEdits {
        let passes = written.cost.passes;
        let is_same = written.tokens == text;
        let is_whole = window.core == (0..window.text.len());
        if !written.ended || is_same && is_whole {
            let ln_probability = written.ln_probabilities.iter().copied().map(f64::from).sum();
            return WindowEdits { ln_probability, passes, ..WindowEdits::default() };
        }
        let output = self.codec.decode(&written.tokens);
        let ends = self.codec.ends(&written.tokens);
        let events = if is_same { Vec::new() } else { align(&window.text, &output) };
        let ln_probability = ln_of_core(window, &events, &ends, &written.ln_probabilities);
        let mut shift = 0isize;
        let mut edits = Vec::with_capacity(events.len());
        for event in events {
            let written_at = (event.start as usize).wrapping_add_signed(shift);
            shift += event.replacement.len().cast_signed() - event.removed.len().cast_signed();
            let written_bytes = written_at..written_at + event.replacement.len();
            edits.push(event.into_edit(confidence(written_bytes, &ends, &written.ln_probabilities)));
        }
        WindowEdits { edits, ln_probability, passes, ..WindowEdits::default() }
    }
}

/// ln of the probability of the tokens that begin in what was made of a window's core, and of the end where the core owns it.
fn ln_of_core(window: &Window, events: &[Event], ends: &[usize], ln_probabilities: &[f32]) -> f64 {
    // Where the output is when the input comes to a place; an event lies behind a place that it spans.
    let output_at = |place: usize| {
        let before = events.iter().filter(|event| event.start as usize + event.removed.len() <= place);
        let grown = before.map(|e| e.replacement.len().cast_signed() - e.removed.len().cast_signed()).sum();
        place.saturating_add_signed(grown)
    };
    let core = output_at(window.core.start)..output_at(window.core.end);
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let owned = starts
        .zip(ln_probabilities)
        .filter(|(start, _)| core.contains(start) || window.owns_end && *start >= core.end);
    owned.map(|(_, ln)| f64::from(*ln)).sum()
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
