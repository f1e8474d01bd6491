//! Which of a model's edits were right.

use corruptor::{Edit, apply_edits, grapheme_count, grapheme_distance};
use rayon::prelude::*;

use crate::data::spread;
use crate::evaluate::Restored;

/// Texts whose edits are judged at most, evenly spaced: each edit takes a distance.
const TEXTS: usize = 2000;

/// An edit that was applied.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct JudgedEdit {
    /// Its probability, as the model says.
    pub(super) confidence: f32,
    /// Whether the text would have more errors without it.
    pub(super) is_right: bool,
    /// Graphemes that it removes or puts, the larger number.
    pub(super) graphemes: usize,
}

/// The edits of `restored`, each judged by what the text would be without it alone.
pub(super) fn judged_edits(restored: &[Restored]) -> Vec<JudgedEdit> {
    let texts: Vec<&Restored> = spread(&restored.iter().collect::<Vec<_>>(), TEXTS);
    texts.into_par_iter().flat_map_iter(judge).collect()
}

fn judge(restored: &Restored) -> Vec<JudgedEdit> {
    let (original, corrupted) = (&restored.pair.original, &restored.pair.corrupted);
    let edits = &restored.scored.edits;
    let judged = |(index, edit): (usize, &Edit)| {
        let mut others = edits.clone();
        others.remove(index);
        // Edits that replayed all together also do with one less.
        let without = apply_edits(corrupted, &others).ok()?;
        let removed = corrupted.get(edit.start..edit.end).map_or(0, grapheme_count);
        Some(JudgedEdit {
            confidence: edit.confidence,
            is_right: grapheme_distance(original, &without) as u64 > restored.scored.counts.errors_after,
            graphemes: removed.max(grapheme_count(&edit.replacement)),
        })
    };
    edits.iter().enumerate().filter_map(judged).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scores::Scored;
    use corruptor::{Channel, CorruptSettings, Passage};
    use restorer::metrics::TextCounts;

    fn restored(original: &str, corrupted: &str, edits: Vec<Edit>) -> Restored {
        let passage = Passage { source: "s", doc_id: "d", start: 0, text: original };
        let clean = CorruptSettings { clean_share: 1.0, ..CorruptSettings::default() };
        let mut pair = Channel::new(&clean).unwrap().pair(&passage, 0);
        corrupted.clone_into(&mut pair.corrupted);
        let text = apply_edits(corrupted, &edits).unwrap();
        Restored {
            pair,
            scored: Scored { counts: TextCounts::of(original, corrupted, &text), restored: text, edits },
        }
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
        let judged = judged_edits(&[restored("the cat", "thhe cat", edits)]);
        assert_eq!(
            judged,
            [
                JudgedEdit { confidence: 0.9, is_right: true, graphemes: 1 },
                JudgedEdit { confidence: 0.4, is_right: false, graphemes: 3 }
            ]
        );
    }
}
