//! Restoration in rounds and windows, for families that propose edits in one parallel pass.
//!
//! A text is cut into cores; a window is a core with context on both sides. Each round proposes edits in every core whose
//! window has changed since it was last looked at; rounds compose into edits on the input, with the product of
//! confidences. No text is truncated.

use std::ops::Range;

use corruptor::{Edit, apply_edits, compose_edits, minimize_edits, widen_edits};

use crate::calibration::Calibration;
use crate::error::RestoreError;
use crate::restorer::{Restoration, RestoreRequest};
use crate::windows::WindowSize;

/// A piece of a text with its context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// Context, core, context.
    pub(crate) text: String,
    /// Where in `text` the core is, in bytes; edits are only made there.
    pub(crate) core: Range<usize>,
    /// Whether the gap after the core belongs to it (the core is the last of its text).
    pub(crate) owns_end: bool,
}

/// What a pass found in one window.
#[derive(Clone, Debug, Default)]
pub(crate) struct WindowEdits {
    /// Edits over the window's text, sorted, inside the core.
    pub(crate) edits: Vec<Edit>,
    /// Log-probability of all decisions in the core.
    pub(crate) ln_probability: f64,
    /// Passes of the model that it took.
    pub(crate) passes: usize,
}

/// Sizes and defaults of a restoration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoundLimits {
    /// How a text is cut.
    pub(crate) size: WindowSize,
    /// Most rounds where the request names none.
    pub(crate) max_rounds: usize,
    /// Threshold where the request names none.
    pub(crate) min_confidence: f32,
    /// From the model's probability of an edit to that which a restoration tells, and a threshold is held to.
    pub(crate) calibration: Option<Calibration>,
}

impl RoundLimits {
    /// The least probability of an edit that is applied, as the model says it.
    fn threshold(&self, request: &RestoreRequest) -> f32 {
        let told = request.options.min_confidence.unwrap_or(self.min_confidence);
        self.calibration.map_or(told, |calibration| calibration.said(f64::from(told)) as f32)
    }
}

/// A core and what became of it.
struct Core {
    input: Range<usize>,
    text: String,
    edits: Vec<Edit>,
    looked_at: Option<Window>,
    ln_probability: f64,
    passes: usize,
}

/// Restores `requests`, asking `propose` for the edits of many windows at once.
pub(crate) fn restore(
    requests: &[RestoreRequest],
    limits: &RoundLimits,
    mut propose: impl FnMut(&[Window]) -> Result<Vec<WindowEdits>, RestoreError>,
) -> Result<Vec<Restoration>, RestoreError> {
    let mut texts: Vec<Vec<Core>> = requests.iter().map(|r| cores(&r.text, limits)).collect();
    let protected: Vec<_> = requests.iter().map(RestoreRequest::protected).collect();
    let rounds = |r: &RestoreRequest| r.options.max_rounds.unwrap_or(limits.max_rounds);
    for round in 0..requests.iter().map(rounds).max().unwrap_or(0) {
        let mut places = Vec::new();
        let mut windows = Vec::new();
        for (text, (request, cores)) in requests.iter().zip(&texts).enumerate() {
            if round >= rounds(request) {
                continue;
            }
            for core in 0..cores.len() {
                let window = window(cores, core, limits);
                if cores[core].looked_at.as_ref() != Some(&window) {
                    places.push((text, core));
                    windows.push(window);
                }
            }
        }
        if windows.is_empty() {
            break;
        }
        let proposals = propose(&windows)?;
        for (((text, core), window), proposal) in places.into_iter().zip(windows).zip(proposals) {
            texts[text][core].accept(window, proposal, limits.threshold(&requests[text]), &protected[text]);
        }
    }
    Ok(requests.iter().zip(texts).map(|(request, cores)| finish(request, cores, limits)).collect())
}

impl Core {
    fn accept(&mut self, window: Window, proposal: WindowEdits, threshold: f32, protected: &[Range<usize>]) {
        let offset = window.core.start;
        let accepted = proposal.edits.into_iter().filter(|e| e.confidence >= threshold);
        let edits = accepted.map(|e| Edit { start: e.start - offset, end: e.end - offset, ..e });
        let protected = self.moved(protected);
        let touches = |edit: &Edit| {
            protected.iter().any(|range| edit.start < range.end && range.start < edit.end.max(edit.start))
        };
        let edits: Vec<Edit> = edits.filter(|edit| !touches(edit)).collect();
        self.looked_at = Some(window);
        self.ln_probability = proposal.ln_probability;
        self.passes += proposal.passes;
        // Edits of a window lie inside its core and are sorted, so they always fit.
        if let Ok(text) = apply_edits(&self.text, &edits) {
            self.edits = compose_edits(&self.text, &self.edits, &edits);
            self.text = text;
        }
    }
}

impl Core {
    /// Where protected bytes of the input are in the text so far: they are unchanged, but moved.
    fn moved(&self, protected: &[Range<usize>]) -> Vec<Range<usize>> {
        let inside = protected
            .iter()
            .filter(|range| range.start < self.input.end && self.input.start < range.end)
            .map(|range| {
                range.start.max(self.input.start) - self.input.start
                    ..range.end.min(self.input.end) - self.input.start
            });
        let shift = |at: usize| -> isize {
            let before = self.edits.iter().filter(|edit| edit.end <= at);
            before.map(|e| e.replacement.len().cast_signed() - (e.end - e.start).cast_signed()).sum()
        };
        inside
            .map(|range| {
                let moved = shift(range.start);
                range.start.wrapping_add_signed(moved)..range.end.wrapping_add_signed(moved)
            })
            .collect()
    }
}

/// The cores of a text, as they are before the first round.
fn cores(text: &str, limits: &RoundLimits) -> Vec<Core> {
    let core = |input: Range<usize>| Core {
        text: text[input.clone()].to_owned(),
        input,
        edits: Vec::new(),
        looked_at: None,
        ln_probability: 0.0,
        passes: 0,
    };
    limits.size.cores(text).into_iter().map(core).collect()
}

/// The window of a core, with context from the current texts of its neighbours.
fn window(cores: &[Core], at: usize, limits: &RoundLimits) -> Window {
    let mut before = String::new();
    for core in cores[..at].iter().rev() {
        let missing = limits.size.overlap_bytes.saturating_sub(before.len());
        let mut from = core.text.len().saturating_sub(missing);
        while !core.text.is_char_boundary(from) {
            from += 1;
        }
        before.insert_str(0, &core.text[from..]);
        if from > 0 {
            break;
        }
    }
    let mut after = String::new();
    for core in &cores[at + 1..] {
        let mut to = limits.size.overlap_bytes.saturating_sub(after.len()).min(core.text.len());
        while !core.text.is_char_boundary(to) {
            to -= 1;
        }
        after.push_str(&core.text[..to]);
        if to < core.text.len() {
            break;
        }
    }
    let start = before.len();
    let end = start + cores[at].text.len();
    let text = [before.as_str(), &cores[at].text, &after].concat();
    Window { text, core: start..end, owns_end: at + 1 == cores.len() }
}

/// Joins the cores' edits into edits over the input; those under the threshold after all rounds are not applied.
fn finish(request: &RestoreRequest, cores: Vec<Core>, limits: &RoundLimits) -> Restoration {
    let threshold = limits.threshold(request);
    let ln_probability: f64 = cores.iter().map(|c| c.ln_probability).sum();
    let passes = cores.iter().map(|c| c.passes).sum();
    let mut edits: Vec<Edit> = Vec::new();
    for core in cores {
        let offset = core.input.start;
        for edit in core.edits.into_iter().filter(|e| e.confidence >= threshold) {
            edits.push(Edit { start: edit.start + offset, end: edit.end + offset, ..edit });
        }
    }
    let mut edits = widen_edits(&request.text, minimize_edits(&request.text, edits));
    if let Some(calibration) = limits.calibration {
        for edit in &mut edits {
            edit.confidence = calibration.probability(f64::from(edit.confidence)) as f32;
        }
    }
    // Minimal edits of consecutive cores are sorted and disjoint; the input is the answer if that were ever untrue.
    let (text, edits) = match apply_edits(&request.text, &edits) {
        Ok(text) => (text, edits),
        Err(_) => (request.text.clone(), Vec::new()),
    };
    Restoration {
        text,
        edits,
        confidence: ln_probability.exp() as f32,
        calibrated: limits.calibration.is_some(),
        passes,
        alternatives: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::restorer::RestoreOptions;
    use proptest::prelude::*;

    const LIMITS: RoundLimits = RoundLimits {
        size: WindowSize { window_bytes: 32, overlap_bytes: 4 },
        max_rounds: 3,
        min_confidence: 0.5,
        calibration: None,
    };

    /// A model that turns every x into y, then every y into zz.
    fn propose(windows: &[Window]) -> Vec<WindowEdits> {
        let of = |w: &Window| {
            let bytes = w.text.bytes().enumerate().filter(|(i, _)| w.core.contains(i));
            let edit = |i, r: &str| Edit { start: i, end: i + 1, replacement: r.into(), confidence: 0.9 };
            let edits = bytes.filter_map(|(i, b)| match b {
                b'x' => Some(edit(i, "y")),
                b'y' => Some(edit(i, "zz")),
                _ => None,
            });
            WindowEdits { edits: edits.collect(), ln_probability: 0.0, passes: 1 }
        };
        windows.iter().map(of).collect()
    }

    fn run(text: &str, options: RestoreOptions) -> Restoration {
        restore(&[RestoreRequest::new(text).with_options(options)], &LIMITS, |w| Ok(propose(w)))
            .unwrap()
            .remove(0)
    }

    proptest! {
        #[test]
        fn long_texts_are_restored_whole(text in "[a-cxyé ]{0,200}") {
            let restored = run(&text, RestoreOptions { min_confidence: Some(0.0), ..RestoreOptions::default() });
            prop_assert_eq!(&restored.text, &text.replace(['x', 'y'], "zz"));
            prop_assert_eq!(apply_edits(&text, &restored.edits).unwrap(), restored.text);
        }
    }

    #[test]
    fn rounds_multiply_confidence_and_stop_when_nothing_changes() {
        let restored = run("axb", RestoreOptions::default());
        assert_eq!(
            restored.edits,
            [Edit { start: 1, end: 2, replacement: "zz".into(), confidence: 0.9 * 0.9 }]
        );
        assert_eq!(restored.passes, 3);
        assert_eq!(run("abc", RestoreOptions::default()).passes, 1);
    }

    #[test]
    fn confidence_is_told_and_held_to_as_it_is_calibrated() {
        let calibration = Calibration { slope: 0.5, intercept: 0.0 };
        let limits = RoundLimits { calibration: Some(calibration), ..LIMITS };
        let run = |min_confidence| {
            let options =
                RestoreOptions { min_confidence: Some(min_confidence), ..RestoreOptions::default() };
            let requests = [RestoreRequest::new("ayb").with_options(options)];
            restore(&requests, &limits, |w| Ok(propose(w))).unwrap().remove(0)
        };
        // 9 to 1 becomes 3 to 1.
        assert!((run(0.7).edits[0].confidence - 0.75).abs() < 1e-6);
        assert!(run(0.76).edits.is_empty());
        assert_eq!(run(0.0).edits.len(), 1);
        assert!(run(1.0).edits.is_empty());
    }

    #[test]
    fn options_bound_rounds_and_confidence() {
        let one = run("axb", RestoreOptions { max_rounds: Some(1), ..RestoreOptions::default() });
        assert_eq!(one.text, "ayb");
        // The composed edit has 0.81: the first round alone passes, the two together do not.
        let strict = run("axb", RestoreOptions { min_confidence: Some(0.85), ..RestoreOptions::default() });
        assert_eq!((strict.text.as_str(), strict.edits.len()), ("axb", 0));
    }

    #[test]
    fn protected_bytes_stay_in_every_round() {
        let request =
            RestoreRequest { protected: vec![3..5, 40..99, 4..4], ..RestoreRequest::new("xa xx bx") };
        let options = RestoreOptions { min_confidence: Some(0.0), ..RestoreOptions::default() };
        let restored =
            restore(&[request.with_options(options)], &LIMITS, |w| Ok(propose(w))).unwrap().remove(0);
        assert_eq!(restored.text, "zza xx bzz");
    }

    #[test]
    fn an_empty_text_has_a_window() {
        assert_eq!(run("", RestoreOptions::default()).passes, 1);
    }
}
