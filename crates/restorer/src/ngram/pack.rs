//! The n-grams that are worth it, as the table that is stored.

use rayon::prelude::*;

use super::levels::{Level, Levels, NONE};
use super::quantize::{code, ln_weight, probability, weight_code};
use super::smooth::Smoothed;
use crate::prior::is_symbol;

/// Least probability that a context leaves to what is not among its arcs.
const LEAST_LEFT: f64 = 1e-7;

/// The table of a model. Nodes are numbered by length of context, then in order; the root is 0. Arcs are in the order of their nodes,
/// then of their symbols; the k-th arc with a child leads to node k + 1.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Packed {
    /// Symbol and code of the probability, by arc.
    pub(super) arcs: Vec<u8>,
    /// A bit an arc: whether it has a child.
    pub(super) marks: Vec<u8>,
    /// Arcs of each node, less 1.
    pub(super) degrees: Vec<u8>,
    /// Code of the back-off weight of each node.
    pub(super) weights: Vec<u16>,
    /// Probability of each symbol where nothing is known; those of the root's arcs.
    pub(super) unigrams: Vec<f32>,
}

/// Bytes that a table takes.
pub(super) fn table_bytes(arcs: u64, nodes: u64) -> u64 {
    const FIXED: u64 = 8 << 10;
    2 * arcs + arcs.div_ceil(8) + (1 + 2) * nodes + FIXED
}

/// Which n-grams and contexts are kept, by level.
struct Pruned<'a> {
    levels: &'a Levels,
    arcs: Vec<Vec<bool>>,
    /// The number of each node in the table, or [`NONE`].
    ids: Vec<Vec<u32>>,
}

impl<'a> Pruned<'a> {
    fn new(levels: &'a Levels, worth: &[Vec<f32>], least: f32) -> Self {
        let arcs: Vec<Vec<bool>> =
            worth.iter().map(|level| level.par_iter().map(|worth| *worth >= least).collect()).collect();
        let mut next = 0;
        let ids = levels.all.iter().zip(&arcs).enumerate().map(|(depth, (level, kept))| {
            let id = |node: usize| {
                let is_kept = depth == 0 || level.arcs(node).any(|arc| kept[arc]);
                next += u32::from(is_kept);
                if is_kept { next - 1 } else { NONE }
            };
            (0..level.node_count()).map(id).collect()
        });
        let ids = ids.collect();
        Self { levels, arcs, ids }
    }

    fn has_child(&self, depth: usize, arc: usize) -> bool {
        let child = self.levels.all[depth].children[arc];
        child != NONE && self.ids[depth + 1][child as usize] != NONE
    }
}

/// What a level's arcs and nodes hold in the table.
struct Weighed {
    /// By arc.
    codes: Vec<u8>,
    /// By node.
    weights: Vec<u16>,
    /// The probability under the table of every n-gram, kept or not, by arc.
    p: Vec<f32>,
}

impl Weighed {
    /// With the probabilities that shorter contexts have under the table.
    fn new(pruned: &Pruned<'_>, smoothed: &Smoothed, depth: usize, shorter_p: &[f32]) -> Self {
        let level = &pruned.levels.all[depth];
        if depth == 0 {
            return Self { codes: vec![0; level.symbols.len()], weights: vec![0], p: smoothed.p[0].clone() };
        }
        let kept = &pruned.arcs[depth];
        let of_node = |node: usize| {
            let shorter = |arc: usize| f64::from(shorter_p[level.shorter[arc] as usize]);
            let mut codes: Vec<u8> = level
                .arcs(node)
                .map(|arc| if kept[arc] { code(f64::from(smoothed.p[depth][arc])) } else { 0 })
                .collect();
            let mut sum: f64 = codes.iter().map(|code| probability(*code)).sum();
            while sum > 1.0 - LEAST_LEFT
                && let Some(largest) = codes.iter_mut().max()
            {
                *largest -= 1;
                sum = codes.iter().map(|code| probability(*code)).sum();
            }
            let weight = if pruned.ids[depth][node] == NONE {
                None
            } else {
                let of_kept = level.arcs(node).filter(|arc| kept[*arc]).map(shorter).sum::<f64>();
                Some(weight_code((1.0 - sum) / (1.0 - of_kept).max(LEAST_LEFT)))
            };
            let factor = weight.map_or(1.0, |weight| ln_weight(weight).exp());
            let p = level.arcs(node).zip(&codes).map(|(arc, code)| match code {
                0 => (factor * shorter(arc)) as f32,
                code => probability(*code) as f32,
            });
            (p.collect::<Vec<f32>>(), codes, weight.unwrap_or(0))
        };
        let mut all = Self { codes: Vec::new(), weights: Vec::new(), p: Vec::new() };
        let of_nodes: Vec<_> = (0..level.node_count()).into_par_iter().map(of_node).collect();
        for (p, codes, weight) in of_nodes {
            all.p.extend(p);
            all.codes.extend(codes);
            all.weights.push(weight);
        }
        all
    }
}

impl Packed {
    /// Keeps the n-grams that are worth at least `least`.
    pub(super) fn new(levels: &Levels, smoothed: &Smoothed, worth: &[Vec<f32>], least: f32) -> Self {
        let pruned = Pruned::new(levels, worth, least);
        let mut packed = Self { unigrams: unigrams(&levels.all[0], smoothed), ..Self::default() };
        let mut shorter_p = Vec::new();
        for (depth, level) in levels.all.iter().enumerate() {
            let weighed = Weighed::new(&pruned, smoothed, depth, &shorter_p);
            for node in (0..level.node_count()).filter(|node| pruned.ids[depth][*node] != NONE) {
                packed.weights.push(weighed.weights[node]);
                let kept = level.arcs(node).filter(|arc| depth == 0 || pruned.arcs[depth][*arc]);
                let arcs =
                    kept.map(|arc| (level.symbols[arc], weighed.codes[arc], pruned.has_child(depth, arc)));
                if depth == 0 {
                    packed.add_node(&with_unseen(arcs));
                } else {
                    packed.add_node(&arcs.collect::<Vec<_>>());
                }
            }
            shorter_p = weighed.p;
        }
        packed
    }

    /// How many arcs there are.
    pub(super) fn arc_count(&self) -> usize {
        self.arcs.len() / 2
    }

    fn add_node(&mut self, arcs: &[(u8, u8, bool)]) {
        self.degrees.push((arcs.len() - 1) as u8);
        for (symbol, code, has_child) in arcs {
            let at = self.arc_count();
            if at.is_multiple_of(8) {
                self.marks.push(0);
            }
            self.marks[at / 8] |= u8::from(*has_child) << (at % 8);
            self.arcs.extend([*symbol, *code]);
        }
    }
}

/// The root's arcs: all that can occur, seen or not, and the start.
fn with_unseen(seen: impl Iterator<Item = (u8, u8, bool)>) -> Vec<(u8, u8, bool)> {
    let mut arcs: Vec<(u8, u8, bool)> =
        (0..=u8::MAX).filter(|symbol| is_symbol(*symbol)).map(|symbol| (symbol, 0, false)).collect();
    for arc in seen {
        match arcs.binary_search_by_key(&arc.0, |(symbol, ..)| *symbol) {
            Ok(at) => arcs[at] = arc,
            Err(at) => arcs.insert(at, arc),
        }
    }
    arcs
}

/// The probability of every symbol where nothing is known.
fn unigrams(root: &Level, smoothed: &Smoothed) -> Vec<f32> {
    let of = |symbol: u8| match root.symbols.binary_search(&symbol) {
        Ok(arc) => smoothed.p[0][arc],
        Err(_) if is_symbol(symbol) => smoothed.unseen,
        Err(_) => 0.0,
    };
    (0..=u8::MAX).map(of).collect()
}
