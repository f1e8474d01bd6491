//! From logits to edits over one window.

use std::ops::Range;

use candle_core::Tensor;
use corruptor::Edit;

use super::features::FeatureRows;
use super::labels::{DELETE, GAP_CLASSES, KEEP, NOTHING, REPLACE};
use super::model::gather;
use super::{Tagger, labels};
use crate::engine::{Window, WindowEdits};
use crate::error::RestoreError;

/// What the model wants at one token: at the gap before the byte, and at the byte.
#[derive(Clone, Debug, Default)]
struct Decision {
    inserted: Vec<u8>,
    gap_probability: f32,
    class: u32,
    probability: f32,
}

/// The raw scores of one text.
#[derive(Clone, Debug, PartialEq)]
pub struct Logits {
    /// For each byte and for the end of the text the classes keep, delete, replace by byte 0…255.
    pub bytes: Vec<Vec<f32>>,
    /// For each insertion slot, for the gap before each byte and before the end: nothing, byte 0…255.
    pub gaps: Vec<Vec<Vec<f32>>>,
}

impl Tagger {
    /// The raw scores of a text as one window, for inspection and for comparison with other implementations.
    ///
    /// # Errors
    /// If the tensor library fails.
    pub fn logits(&self, text: &str) -> Result<Logits, RestoreError> {
        let hidden = self.hidden(&[text])?;
        let rows = |logits: Tensor| logits.to_vec2::<f32>();
        let slots = 0..self.config().insertion_slots;
        let gaps =
            slots.map(|slot| rows(self.network().gap_logits(&hidden, slot)?)).collect::<Result<_, _>>()?;
        Ok(Logits { bytes: rows(self.network().byte_logits(&hidden)?)?, gaps })
    }

    /// Hidden states of texts packed one after the other, outside the graph: nothing is kept for a backward pass.
    fn hidden(&self, texts: &[&str]) -> candle_core::Result<Tensor> {
        let mut rows = FeatureRows::default();
        for text in texts {
            rows.push(text.as_bytes(), self.config().table_rows);
        }
        let lengths: Vec<usize> = texts.iter().map(|text| text.len() + 1).collect();
        let [bytes, ngrams] = gather(self.row_tables(), &rows, self.device())?;
        Ok(self.network().hidden(&bytes, &ngrams, &lengths)?.detach())
    }

    /// The edits that the model wants in each window.
    pub(super) fn edit_windows(&self, windows: &[&Window]) -> Result<Vec<WindowEdits>, RestoreError> {
        let texts: Vec<&str> = windows.iter().map(|w| w.text.as_str()).collect();
        let decisions = self.decide(&self.hidden(&texts)?)?;
        let mut first = 0;
        Ok(windows
            .iter()
            .map(|window| {
                let of_window = &decisions[first..=first + window.text.len()];
                first += of_window.len();
                window_edits(window, of_window)
            })
            .collect())
    }

    /// The most probable class of every token and, slot by slot, of the gaps that receive something.
    fn decide(&self, hidden: &Tensor) -> Result<Vec<Decision>, RestoreError> {
        let classes = best(&self.network().byte_logits(hidden)?)?;
        let gaps = best(&self.network().gap_logits(hidden, 0)?)?;
        let mut decisions: Vec<Decision> = Vec::with_capacity(classes.len());
        for ((class, probability), (gap, gap_probability)) in classes.into_iter().zip(gaps) {
            let inserted = gap_byte(gap).into_iter().collect();
            decisions.push(Decision { inserted, gap_probability, class, probability });
        }
        let filled = |decisions: &[Decision], slot: usize| -> Vec<u32> {
            (0..decisions.len() as u32).filter(|&i| decisions[i as usize].inserted.len() == slot).collect()
        };
        for slot in 1..self.config().insertion_slots {
            let tokens = filled(&decisions, slot);
            if tokens.is_empty() {
                break;
            }
            let index = Tensor::from_slice(&tokens, tokens.len(), hidden.device())?;
            let gaps = best(&self.network().gap_logits(&hidden.index_select(&index, 0)?, slot)?)?;
            for (token, (gap, probability)) in tokens.into_iter().zip(gaps) {
                let decision = &mut decisions[token as usize];
                decision.inserted.extend(gap_byte(gap));
                decision.gap_probability *= probability;
            }
        }
        Ok(decisions)
    }
}

fn gap_byte(class: u32) -> Option<u8> {
    debug_assert!((class as usize) < GAP_CLASSES);
    (class != NOTHING).then(|| (class - 1) as u8)
}

/// The most probable class of each row of `[n, classes]`, with its probability.
fn best(logits: &Tensor) -> candle_core::Result<Vec<(u32, f32)>> {
    let classes = logits.dim(1)?;
    let logits: Vec<f32> = logits.flatten_all()?.to_vec1()?;
    let of_row = |row: &[f32]| {
        let mut top = 0;
        for (class, logit) in row.iter().enumerate() {
            if *logit > row[top] {
                top = class;
            }
        }
        let sum: f32 = row.iter().map(|logit| (logit - row[top]).exp()).sum();
        (top as u32, 1.0 / sum)
    };
    Ok(logits.chunks_exact(classes).map(of_row).collect())
}

/// Joins decisions that touch, on the same side of the core's ends, into edits over the window's text. An edit is as sure as its
/// least sure decision; one whose bytes are no UTF-8 falls as a whole.
fn window_edits(window: &Window, decisions: &[Decision]) -> WindowEdits {
    let Range { start, end } = window.core;
    let mut found = WindowEdits { passes: 1, ..WindowEdits::default() };
    let mut open: Option<(Range<usize>, Vec<u8>, f32)> = None;
    let text = window.text.as_bytes();
    for (at, decision) in decisions.iter().enumerate() {
        if at == start || at == end && !window.owns_end {
            found.edits.extend(open.take().and_then(|edit| finish(window, edit)));
        }
        let is_end = at == text.len();
        // The gap after the core belongs to the next window, unless this is the end of the text.
        let owns_gap = start <= at && (at < end || at == end && window.owns_end);
        if !is_end || window.ends {
            if owns_gap {
                found.ln_probability += f64::from(decision.gap_probability.max(f32::MIN_POSITIVE)).ln();
            }
            if !decision.inserted.is_empty() {
                let edit = open.get_or_insert((at..at, Vec::new(), 1.0));
                edit.1.extend_from_slice(&decision.inserted);
                edit.2 = edit.2.min(decision.gap_probability);
            }
        }
        if is_end {
            break;
        }
        if window.core.contains(&at) {
            found.ln_probability += f64::from(decision.probability.max(f32::MIN_POSITIVE)).ln();
        }
        if decision.class == KEEP || decision.class == REPLACE + u32::from(text[at]) {
            found.edits.extend(open.take().and_then(|edit| finish(window, edit)));
            continue;
        }
        let edit = open.get_or_insert((at..at, Vec::new(), 1.0));
        edit.0.end = at + 1;
        edit.2 = edit.2.min(decision.probability);
        if decision.class != DELETE {
            edit.1.push((decision.class - labels::REPLACE) as u8);
        }
    }
    found.edits.extend(open.take().and_then(|edit| finish(window, edit)));
    found
}

/// Widens an edit to whole code points; `None` if it would break UTF-8 or leave the core.
fn finish(window: &Window, (range, replacement, confidence): (Range<usize>, Vec<u8>, f32)) -> Option<Edit> {
    let text = &window.text;
    let (mut start, mut end) = (range.start, range.end);
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    let bytes = text.as_bytes();
    let widened = [&bytes[start..range.start], &replacement, &bytes[range.end..end]].concat();
    let replacement = String::from_utf8(widened).ok()?;
    Some(Edit { start, end, replacement, confidence })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep() -> Decision {
        Decision { inserted: Vec::new(), gap_probability: 1.0, class: KEEP, probability: 1.0 }
    }

    fn decided(text: &str, change: impl FnOnce(&mut [Decision])) -> Vec<Edit> {
        let whole = Window { starts: true, ends: true, owns_end: true, ..Window::default() };
        let window = Window { text: text.into(), core: 0..text.len(), ..whole };
        let mut decisions = vec![keep(); text.len() + 1];
        change(&mut decisions);
        window_edits(&window, &decisions).edits
    }

    #[test]
    fn touching_decisions_are_one_edit() {
        let edits = decided("heXXo", |d| {
            d[2] = Decision { class: REPLACE + u32::from(b'l'), probability: 0.9, ..keep() };
            d[3] = Decision { class: DELETE, probability: 0.8, ..keep() };
            d[4] = Decision { inserted: b"l".to_vec(), gap_probability: 0.7, ..keep() };
        });
        assert_eq!(edits, [Edit { start: 2, end: 4, replacement: "ll".into(), confidence: 0.7 }]);
    }

    #[test]
    fn an_insertion_at_the_end_is_found() {
        let edits = decided("hell", |d| d[4].inserted = b"o".to_vec());
        assert_eq!(edits, [Edit { start: 4, end: 4, replacement: "o".into(), confidence: 1.0 }]);
    }

    #[test]
    fn half_a_code_point_falls_with_its_group() {
        let half = |d: &mut [Decision]| d[1] = Decision { class: DELETE, ..keep() };
        assert!(decided("é", half).is_empty());
        let whole = |d: &mut [Decision]| {
            d[1] = Decision { class: REPLACE + 0xa8, ..keep() };
        };
        assert_eq!(decided("é", whole)[0].replacement, "è");
    }
}
