//! Which n-grams are worth their bytes.

use rayon::prelude::*;

use super::build::Pruning;
use super::entry::START;
use super::levels::{Levels, NONE};
use super::smooth::Smoothed;

/// Classes of worth that are told apart: the high bits of a float.
const CLASS_SHIFT: u32 = 12;
const CLASSES: usize = 1 << (31 - CLASS_SHIFT);

/// What each n-gram is worth, at least as much as those that it begins: by level, then by arc.
pub(super) fn worth(levels: &Levels, smoothed: &Smoothed, pruning: Pruning) -> Vec<Vec<f32>> {
    let mut worth: Vec<Vec<f32>> = Vec::with_capacity(levels.all.len());
    for depth in (0..levels.all.len()).rev() {
        let level = &levels.all[depth];
        let below = worth.last();
        let of_node = |node: usize| {
            let own = match pruning {
                Pruning::Count => {
                    let losses = relative_entropies(levels, smoothed, depth, node);
                    // Of equal counts, what the model would miss more.
                    let of = |(arc, loss): (usize, f32)| {
                        level.counts[arc] as f32 + (1.0 - 1.0 / (1.0 + loss)).min(0.999)
                    };
                    level.arcs(node).zip(losses).map(of).collect()
                }
                Pruning::Entropy => relative_entropies(levels, smoothed, depth, node),
            };
            level.arcs(node).zip(own).map(move |(arc, own): (usize, f32)| {
                // The start is a context of all first symbols.
                let own = if depth == 0 { f32::MAX } else { own };
                match (level.children[arc], below) {
                    (NONE, _) | (_, None) => own,
                    (child, Some(below)) => {
                        let arcs = levels.all[depth + 1].arcs(child as usize);
                        below[arcs].iter().copied().fold(own, f32::max)
                    }
                }
            })
        };
        let of_level: Vec<f32> = (0..level.node_count()).into_par_iter().flat_map_iter(of_node).collect();
        worth.push(of_level);
    }
    worth.reverse();
    worth
}

/// By how much, in nats over the whole text, the model would be worse without each n-gram of a context: Stolcke 1998, where the
/// probability of the context is its share of the text.
fn relative_entropies(levels: &Levels, smoothed: &Smoothed, depth: usize, node: usize) -> Vec<f32> {
    let level = &levels.all[depth];
    let arcs = level.arcs(node);
    if depth == 0 {
        return vec![f32::MAX; arcs.len()];
    }
    let p = |arc: usize| f64::from(smoothed.p[depth][arc]);
    let shorter = |arc: usize| f64::from(smoothed.p[depth - 1][level.shorter[arc] as usize]);
    let left = (1.0 - arcs.clone().map(p).sum::<f64>()).max(1e-9);
    let shorter_left = (1.0 - arcs.clone().map(shorter).sum::<f64>()).max(1e-9);
    let ln_weight = (left / shorter_left).ln();
    let of = |arc: usize| {
        if level.symbols[arc] == START {
            return f32::MAX;
        }
        let (p, shorter) = (p(arc), shorter(arc));
        let ln_without = ((left + p) / (shorter_left + shorter)).ln();
        let change = p * (shorter.ln() + ln_without - p.ln()) + left * (ln_without - ln_weight);
        (-change * level.nodes[node].followers.total as f64).max(0.0) as f32
    };
    arcs.map(of).collect()
}

/// The least worth of what fits into `max_bytes`, by what arcs and nodes take; `None` if the unigrams alone do not.
pub(super) fn threshold(
    levels: &Levels,
    worth: &[Vec<f32>],
    max_bytes: u64,
    bytes_of: impl Fn(u64, u64) -> u64,
) -> Option<f32> {
    // Arcs, and nodes whose worthiest arc is in the class.
    let mut arcs = vec![0u64; CLASSES];
    let mut nodes = vec![0u64; CLASSES];
    let class = |worth: f32| (worth.to_bits() >> CLASS_SHIFT) as usize;
    for (level, worth) in levels.all.iter().zip(worth) {
        for node in 0..level.node_count() {
            let of_node = &worth[level.arcs(node)];
            for worth in of_node {
                arcs[class(*worth)] += 1;
            }
            nodes[class(of_node.iter().copied().fold(0.0, f32::max))] += 1;
        }
    }
    let (mut kept_arcs, mut kept_nodes) = (0, 0);
    let mut least = None;
    for class in (0..CLASSES).rev() {
        (kept_arcs, kept_nodes) = (kept_arcs + arcs[class], kept_nodes + nodes[class]);
        if bytes_of(kept_arcs, kept_nodes) > max_bytes {
            return least;
        }
        least = Some(f32::from_bits((class as u32) << CLASS_SHIFT));
    }
    least
}
