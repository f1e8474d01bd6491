//! Other originals of a whole text, from those of its doubtful parts.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashSet};
use std::ops::Range;

use crate::restorer::Alternative;

/// An original of a part of a text, and its share of the whole weight.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Original {
    pub(crate) text: String,
    pub(crate) share: f64,
}

/// A part of a text and what it can have been.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Doubtful {
    /// Its bytes.
    pub(crate) input: Range<usize>,
    /// The one with the greatest share first.
    pub(crate) originals: Vec<Original>,
    /// The share of what it was restored to.
    pub(crate) share: f64,
}

/// One original for each part: the index of each, and the product of their shares.
#[derive(PartialEq)]
struct Choice {
    share: f64,
    of_part: Vec<usize>,
}

impl Eq for Choice {}

impl Ord for Choice {
    fn cmp(&self, other: &Self) -> Ordering {
        self.share.total_cmp(&other.share).then_with(|| other.of_part.cmp(&self.of_part))
    }
}

impl PartialOrd for Choice {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The `most` most probable originals of `text` other than `restored`, best first over the choices for its parts, which count as
/// independent of each other; and the share of `restored` itself, 0 where it is less probable than all of those.
pub(super) fn others(text: &str, restored: &str, parts: &[Doubtful], most: usize) -> (Vec<Alternative>, f64) {
    // Parts of windows that overlap cannot be chosen by themselves.
    let is_sound = parts.windows(2).all(|pair| pair[0].input.end <= pair[1].input.start);
    if most == 0 || !is_sound || parts.iter().any(|part| part.originals.is_empty()) {
        return (Vec::new(), 0.0);
    }
    let share =
        |of_part: &[usize]| parts.iter().zip(of_part).map(|(part, i)| part.originals[*i].share).product();
    let first = vec![0; parts.len()];
    let mut heap = BinaryHeap::from([Choice { share: share(&first), of_part: first.clone() }]);
    let mut seen = HashSet::from([first]);
    let mut found: Vec<Alternative> = Vec::new();
    let mut own = 0.0;
    while let Some(Choice { share: probability, of_part }) = heap.pop() {
        let original = written(text, parts, &of_part);
        if original == restored {
            own += probability;
        } else if found.iter().all(|other| other.text != original) {
            found.push(Alternative { text: original, probability: probability as f32 });
        }
        if found.len() == most {
            break;
        }
        for at in 0..parts.len() {
            let mut next = of_part.clone();
            next[at] += 1;
            if next[at] < parts[at].originals.len() && seen.insert(next.clone()) {
                heap.push(Choice { share: share(&next), of_part: next });
            }
        }
    }
    (found, own)
}

fn written(text: &str, parts: &[Doubtful], of_part: &[usize]) -> String {
    let (mut out, mut copied) = (String::with_capacity(text.len()), 0);
    for (part, i) in parts.iter().zip(of_part) {
        out.push_str(&text[copied..part.input.start]);
        out.push_str(&part.originals[*i].text);
        copied = part.input.end;
    }
    out.push_str(&text[copied..]);
    out
}
