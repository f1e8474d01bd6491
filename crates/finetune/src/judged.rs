//! Which of a model's edits were right.

use corruptor::{Edit, Pair, apply_edits, grapheme_count, grapheme_distance};
use rayon::prelude::*;

use crate::data::spread;
use crate::scores::Scored;

/// Texts whose edits are judged at most, evenly spaced: each edit takes a distance.
const TEXTS: usize = 2000;

/// Something that a model was so sure of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// Its probability, as the model says.
    pub confidence: f32,
    /// Whether it is right.
    pub is_right: bool,
}

impl Judged {
    /// A whole text, which is right if it is the original.
    pub fn of_text(scored: &Scored) -> Self {
        Self { confidence: scored.confidence, is_right: scored.counts.errors_after == 0 }
    }
}

impl From<&JudgedEdit> for Judged {
    fn from(edit: &JudgedEdit) -> Self {
        Self { confidence: edit.confidence, is_right: edit.is_right }
    }
}

/// An edit that was applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct JudgedEdit {
    /// Its probability, as the model says.
    pub confidence: f32,
    /// Whether the text would have more errors without it.
    pub is_right: bool,
    /// Graphemes that it removes or puts, the larger number.
    pub graphemes: usize,
}

/// The edits of restored pairs, each judged by what its text would be without it alone.
pub fn judged_edits<'r>(restored: impl IntoIterator<Item = (&'r Pair, &'r Scored)>) -> Vec<JudgedEdit> {
    let texts = spread(&restored.into_iter().collect::<Vec<_>>(), TEXTS);
    texts.into_par_iter().flat_map_iter(|(pair, scored)| judge(pair, scored)).collect()
}

fn judge(pair: &Pair, scored: &Scored) -> Vec<JudgedEdit> {
    let (original, corrupted) = (&pair.original, &pair.corrupted);
    let edits = &scored.edits;
    let judged = |(index, edit): (usize, &Edit)| {
        let mut others = edits.clone();
        others.remove(index);
        // Edits that replayed all together also do with one less.
        let without = apply_edits(corrupted, &others).ok()?;
        let removed = corrupted.get(edit.start..edit.end).map_or(0, grapheme_count);
        Some(JudgedEdit {
            confidence: edit.confidence,
            is_right: grapheme_distance(original, &without) as u64 > scored.counts.errors_after,
            graphemes: removed.max(grapheme_count(&edit.replacement)),
        })
    };
    edits.iter().enumerate().filter_map(judged).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use corruptor::{Channel, CorruptSettings, Passage};
    use restorer::metrics::TextCounts;

    fn restored(original: &str, corrupted: &str, edits: Vec<Edit>) -> (Pair, Scored) {
        let passage = Passage { source: "s", doc_id: "d", start: 0, text: original };
        let clean = CorruptSettings { clean_share: 1.0, ..CorruptSettings::default() };
        let mut pair = Channel::new(&clean).unwrap().pair(&passage, 0);
        corrupted.clone_into(&mut pair.corrupted);
        let text = apply_edits(corrupted, &edits).unwrap();
        (
            pair,
            Scored {
                counts: TextCounts::of(original, corrupted, &text),
                restored: text,
                edits,
                confidence: 0.5,
            },
        )
    }

    #[test]
    fn an_edit_is_right_where_the_text_is_worse_without_it() {
        let edit = |start, end, replacement: &str, confidence| Edit {
            start,
            end,
            replacement: replacement.to_owned(),
            confidence,
        };
        let edits = vec![edit(2, 3, "", 0.9), edit(5, 6, "xyz", 0.4)];
        let (pair, scored) = restored("the cat", "thhe cat", edits);
        let judged = judged_edits([(&pair, &scored)]);
        assert_eq!(
            judged,
            [
                JudgedEdit { confidence: 0.9, is_right: true, graphemes: 1 },
                JudgedEdit { confidence: 0.4, is_right: false, graphemes: 3 }
            ]
        );
    }
}
