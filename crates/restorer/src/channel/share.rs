//! Shares of the whole weight: forward and backward sums over a lattice.

use super::lattice::{Arc, Cause, Lattice};

/// ln of (e^`a` + e^`b`).
pub(super) fn ln_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// Sums over all paths, by node and level.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    lanes: usize,
    /// ln of the weight of all paths from the start to a node.
    before: Vec<f64>,
    /// ln of the weight of all paths from a node to the end.
    after: Vec<f64>,
    /// ln of the weight of all paths.
    pub(super) ln_total: f64,
}

impl Sums {
    pub(super) fn of(lattice: &Lattice) -> Self {
        let lanes = lattice.lanes;
        let mut before = vec![f64::NEG_INFINITY; lattice.best.len()];
        let mut after = before.clone();
        before[..lanes].copy_from_slice(lattice.best_of(0));
        let end = lattice.end() as usize * lanes;
        after[end..].fill(0.0);
        for arc in &lattice.arcs {
            for (lane, weight) in lattice.weights(arc).enumerate() {
                let (from, to) = (arc.from as usize * lanes + lane, arc.to as usize * lanes + lane);
                before[to] = ln_add(before[to], before[from] + weight);
            }
        }
        for arc in lattice.arcs.iter().rev() {
            for (lane, weight) in lattice.weights(arc).enumerate() {
                let (from, to) = (arc.from as usize * lanes + lane, arc.to as usize * lanes + lane);
                after[from] = ln_add(after[from], after[to] + weight);
            }
        }
        let ln_total = before[end..].iter().copied().fold(f64::NEG_INFINITY, ln_add);
        Self { lanes, before, after, ln_total }
    }

    /// By level: ln of the weight of all paths from the start to a node.
    pub(super) fn before(&self, node: u32) -> &[f64] {
        &self.before[node as usize * self.lanes..][..self.lanes]
    }

    /// The share of the whole weight of paths that reach a node with the weights `reached`, by level.
    pub(super) fn share(&self, node: u32, reached: &[f64]) -> f64 {
        let after = &self.after[node as usize * self.lanes..][..self.lanes];
        let shares = reached.iter().zip(after).map(|(before, after)| (before + after - self.ln_total).exp());
        shares.sum()
    }
}

/// A part of a lattice that every path goes through from its first to its last node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) first: u32,
    pub(super) last: u32,
    /// Whether there is one way through it, a copy.
    pub(super) is_copy: bool,
}

/// Cuts a lattice where nothing is doubtful: in runs of copies that are the only way.
///
/// At a cut `quiet` graphemes on both sides are copied on every path (fewer at the ends of the window), so that no edit on one side
/// could lie on the other one as well.
pub(super) fn segments(lattice: &Lattice, quiet: usize) -> Vec<Segment> {
    let nodes = lattice.nodes();
    // The farthest that an arc from before a node leads: a node that none passes is on every path.
    let mut farthest = vec![0u32; nodes];
    let mut of_last: Vec<(u32, Option<&Arc>)> = vec![(0, None); nodes];
    for arc in &lattice.arcs {
        let from = arc.from as usize;
        farthest[from] = farthest[from].max(arc.to);
        let (arcs, last) = &mut of_last[arc.to as usize];
        (*arcs, *last) = (*arcs + 1, Some(arc));
    }
    let mut pinches = vec![0u32];
    let mut reached = 0;
    for node in 0..nodes as u32 {
        if node > 0 && reached <= node {
            pinches.push(node);
        }
        reached = reached.max(farthest[node as usize]);
    }
    // Between pinches that are next to each other: whether the only way is a copy.
    let is_copy: Vec<bool> = pinches
        .windows(2)
        .map(|ends| {
            let (arcs, last) = of_last[ends[1] as usize];
            let bytes = lattice.at[ends[0] as usize]..lattice.at[ends[1] as usize];
            // The end is no copy of anything, but nothing is doubtful about it.
            let is_copy =
                |arc: &Arc| !matches!(arc.cause, Cause::Event(_)) && (arc.text.start..arc.text.end) == bytes;
            arcs == 1
                && last.is_some_and(|arc| {
                    arc.from == ends[0] && (is_copy(arc) || bytes.is_empty() && arc.text.is_empty())
                })
        })
        .collect();
    let mut run_before = vec![0; pinches.len()];
    for at in 1..pinches.len() {
        run_before[at] = if is_copy[at - 1] { run_before[at - 1] + 1 } else { 0 };
    }
    let mut segments = Vec::new();
    let (mut first, mut run_after) = (pinches.len() - 1, 0);
    for at in (0..pinches.len() - 1).rev() {
        run_after = if is_copy[at] { run_after + 1 } else { 0 };
        let is_quiet_before = run_before[at] >= quiet || run_before[at] == at;
        let is_quiet_after = run_after >= quiet || run_after == pinches.len() - 1 - at;
        if at == 0 || is_quiet_before && is_quiet_after {
            let is_copy = first == at + 1 && is_copy[at];
            segments.push(Segment { first: pinches[at], last: pinches[first], is_copy });
            first = at;
        }
    }
    segments.reverse();
    segments
}
