//! From counts to probabilities.

use std::fmt;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::entry::START;
use super::levels::{Followers, Level, Levels};
use crate::prior::is_symbol;

/// How the counts of a context and the probabilities of a shorter one make the probabilities of the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Smoothing {
    /// A context that was followed by many kinds of symbols expects new ones: Witten and Bell 1991, interpolated.
    WittenBell,
    /// A constant is taken off each count, another one for 1, 2 and more: Chen and Goodman 1999, interpolated, on raw counts.
    ModifiedDiscounting,
    /// The same, where n-grams shorter than the longest count by how many symbols they follow: modified Kneser–Ney of Chen and
    /// Goodman 1999.
    KneserNey,
}

impl Smoothing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::WittenBell, Self::ModifiedDiscounting, Self::KneserNey];

    /// As recipes and checkpoints write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::WittenBell => "witten-bell",
            Self::ModifiedDiscounting => "modified-discounting",
            Self::KneserNey => "kneser-ney",
        }
    }
}

impl fmt::Display for Smoothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Kinds of symbols that can occur at all.
pub(super) fn symbol_kinds() -> usize {
    (0..=u8::MAX).filter(|symbol| is_symbol(*symbol)).count()
}

/// The probability of every n-gram's last symbol after the others.
#[derive(Debug)]
pub(super) struct Smoothed {
    /// By level, then by arc; 0 for what nothing predicts.
    pub(super) p: Vec<Vec<f32>>,
    /// Of each symbol that was never seen, where nothing is known.
    pub(super) unseen: f32,
}

impl Smoothed {
    pub(super) fn new(levels: &Levels, smoothing: Smoothing) -> Self {
        let uniform = 1.0 / symbol_kinds() as f64;
        let mut p: Vec<Vec<f32>> = Vec::with_capacity(levels.all.len());
        let mut unseen = uniform;
        for (depth, level) in levels.all.iter().enumerate() {
            let counts = match smoothing {
                Smoothing::KneserNey => continuations(level, levels.all.get(depth + 1)),
                Smoothing::WittenBell | Smoothing::ModifiedDiscounting => None,
            };
            let rule = match &counts {
                None => Rule::new(smoothing, &levels.counts_of_counts[depth]),
                Some(counts) => Rule::new(smoothing, &counts_of_counts(counts)),
            };
            let count =
                |arc: usize| counts.as_ref().map_or(level.counts[arc], |counts| u64::from(counts[arc]));
            let followers = |node: usize| {
                if counts.is_none() {
                    return level.nodes[node].followers;
                }
                let predicted = level.arcs(node).filter(|arc| level.symbols[*arc] != START);
                predicted.fold(Followers::default(), |followers, arc| followers.and(count(arc)))
            };
            let shorter = p.last();
            let of_node = |node: usize| {
                let (scale, rest) = rule.of(&followers(node));
                let of_arc = |arc: usize| {
                    if level.symbols[arc] == START {
                        return 0.0;
                    }
                    let below = shorter.map_or(uniform, |p| f64::from(p[level.shorter[arc] as usize]));
                    (rule.kept(count(arc)) * scale + rest * below) as f32
                };
                level.arcs(node).map(of_arc).collect::<Vec<_>>()
            };
            let of_level = (0..level.node_count()).into_par_iter().flat_map_iter(of_node).collect();
            if depth == 0 && level.node_count() > 0 {
                unseen = rule.of(&followers(0)).1 * uniform;
            }
            p.push(of_level);
        }
        Self { p, unseen: unseen as f32 }
    }
}

/// By how many symbols each n-gram of a level is preceded; those at the start of a text, by nothing, as often as they occur. `None`
/// for the longest ones.
fn continuations(level: &Level, longer: Option<&Level>) -> Option<Vec<u32>> {
    let longer = longer?;
    let mut counts = vec![0u32; level.symbols.len()];
    longer.shorter.iter().for_each(|arc| counts[*arc as usize] += 1);
    for (count, raw) in counts.iter_mut().zip(&level.counts).filter(|(count, _)| **count == 0) {
        *count = u32::try_from(*raw).unwrap_or(u32::MAX);
    }
    Some(counts)
}

fn counts_of_counts(counts: &[u32]) -> [u64; 4] {
    let mut of = [0; 4];
    for count in counts.iter().filter(|count| (1..=4).contains(*count)) {
        of[*count as usize - 1] += 1;
    }
    of
}

/// The rule for one length.
#[derive(Clone, Copy, Debug)]
enum Rule {
    WittenBell,
    /// What is taken off counts of 1, 2, and more.
    Discounts([f64; 3]),
}

impl Rule {
    fn new(smoothing: Smoothing, counts_of_counts: &[u64; 4]) -> Self {
        match smoothing {
            Smoothing::WittenBell => Self::WittenBell,
            Smoothing::ModifiedDiscounting | Smoothing::KneserNey => {
                Self::Discounts(discounts(counts_of_counts))
            }
        }
    }

    /// What is left of a count.
    fn kept(self, count: u64) -> f64 {
        match self {
            Self::WittenBell => count as f64,
            Self::Discounts(discounts) => count as f64 - discounts[(count.clamp(1, 3) - 1) as usize],
        }
    }

    /// The factor of what is left of the counts, and that of the shorter context's probabilities.
    fn of(self, followers: &Followers) -> (f64, f64) {
        let (total, kinds) = (followers.total as f64, f64::from(followers.kinds));
        if followers.total == 0 {
            return (0.0, 1.0);
        }
        match self {
            Self::WittenBell => (1.0 / (total + kinds), kinds / (total + kinds)),
            Self::Discounts([one, two, more]) => {
                let (once, twice) = (f64::from(followers.once), f64::from(followers.twice));
                (1.0 / total, (one * once + two * twice + more * (kinds - once - twice)) / total)
            }
        }
    }
}

/// The discounts of Chen and Goodman 1999, equation 26, from the numbers of n-grams that occur once to four times. Where a text is
/// too short to estimate them, a half, one, and one and a half.
fn discounts(counts_of_counts: &[u64; 4]) -> [f64; 3] {
    let [n1, n2, n3, n4] = counts_of_counts.map(|count| count as f64);
    if n1 == 0.0 || n2 == 0.0 || n3 == 0.0 {
        return [0.5, 1.0, 1.5];
    }
    let y = n1 / (n1 + 2.0 * n2);
    let estimated = [1.0 - 2.0 * y * n2 / n1, 2.0 - 3.0 * y * n3 / n2, 3.0 - 4.0 * y * n4 / n3];
    // Nothing may be left of less than nothing, and something must be taken.
    [0, 1, 2].map(|at| estimated[at].clamp(0.05, at as f64 + 0.95))
}
