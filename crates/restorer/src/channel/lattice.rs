//! What a search has kept: hypotheses as nodes, and how they came about as arcs.

use super::observed::Span;

/// What of an arc's weight depends on the noise level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Nothing: it goes on with what has begun.
    Within,
    /// A visited position is copied.
    Copy,
    /// A visited position is copied at which a confusion table has no row: a substitution that is tried there does the same.
    Spared,
    /// An event of the operation with this index starts.
    Event(u8),
    /// Nothing is inserted at the end.
    End,
    /// All is read: what a level is given beyond its probability, so that it does not matter before.
    Done,
}

impl Cause {
    /// Number of causes.
    pub(super) const COUNT: usize = 10;

    pub(super) fn index(self) -> usize {
        match self {
            Self::Within => 0,
            Self::Copy => 1,
            Self::Event(op) => 2 + usize::from(op),
            Self::End => 7,
            Self::Done => 8,
            Self::Spared => 9,
        }
    }
}

/// One way from a hypothesis to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arc {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) cause: Cause,
    /// ln of its weight, without what depends on the level.
    pub(super) ln: f64,
    /// What the original gets.
    pub(super) text: Span,
}

/// Hypotheses of a window in the order of the text: every arc leads to a later node. The first node is the start, the last the end.
#[derive(Clone, Debug)]
pub(super) struct Lattice {
    /// By cause and level: ln of the probability.
    pub(super) levels: Vec<f64>,
    /// Number of levels, clean included.
    pub(super) lanes: usize,
    /// Bytes of the corrupted text that each node has explained.
    pub(super) at: Vec<u32>,
    /// By node and level: the weight of the best path from the start, the level's own included.
    pub(super) best: Vec<f64>,
    /// In the order of the nodes that they lead to.
    pub(super) arcs: Vec<Arc>,
}

impl Lattice {
    pub(super) fn nodes(&self) -> usize {
        self.at.len()
    }

    pub(super) fn best_of(&self, node: u32) -> &[f64] {
        &self.best[node as usize * self.lanes..][..self.lanes]
    }

    /// By level: the weight of an arc.
    pub(super) fn weights(&self, arc: &Arc) -> impl Iterator<Item = f64> + use<'_> {
        let ln = arc.ln;
        self.levels[arc.cause.index() * self.lanes..][..self.lanes].iter().map(move |level| level + ln)
    }

    /// The last node.
    pub(super) fn end(&self) -> u32 {
        self.nodes() as u32 - 1
    }

    /// Weight of the best path of all, and its level; −∞ if there is none.
    pub(super) fn best_path(&self) -> (f64, usize) {
        let last = self.best_of(self.end()).iter().enumerate();
        last.fold((f64::NEG_INFINITY, 0), |best, (level, ln)| if *ln > best.0 { (*ln, level) } else { best })
    }

    /// The arcs of the best path, in order. Of equal ones, the first that was found.
    pub(super) fn trace(&self) -> Vec<Arc> {
        let (ln, level) = self.best_path();
        let mut path = Vec::new();
        if ln == f64::NEG_INFINITY {
            return path;
        }
        let mut last = self.arcs.len();
        let mut node = self.end();
        while node > 0 {
            let first = self.arcs[..last].partition_point(|arc| arc.to < node);
            let end = self.arcs[..last].partition_point(|arc| arc.to <= node);
            let weight = |arc: &Arc| {
                self.best_of(arc.from)[level] + self.levels[arc.cause.index() * self.lanes + level] + arc.ln
            };
            let Some(best) = self.arcs[first..end]
                .iter()
                .reduce(|best, arc| if weight(arc) > weight(best) { arc } else { best })
            else {
                break;
            };
            path.push(*best);
            (node, last) = (best.from, first);
        }
        path.reverse();
        path
    }

    /// Leaves out the arcs whose best path is more than `margin` below the best of all, and the nodes that no arc touches.
    #[must_use]
    pub(super) fn trimmed(&self, margin: f64) -> Self {
        let least = self.best_path().0 - margin;
        let lanes = self.lanes;
        let mut after = vec![f64::NEG_INFINITY; self.best.len()];
        let end = self.end() as usize * lanes;
        after[end..end + lanes].fill(0.0);
        let mut is_kept = vec![false; self.arcs.len()];
        let mut is_used = vec![false; self.nodes()];
        (is_used[0], is_used[self.nodes() - 1]) = (true, true);
        for (arc, is_kept) in self.arcs.iter().zip(&mut is_kept).rev() {
            let (from, to) = (arc.from as usize * lanes, arc.to as usize * lanes);
            if after[to..to + lanes].iter().all(|ln| *ln == f64::NEG_INFINITY) {
                continue;
            }
            for (lane, weight) in self.weights(arc).enumerate() {
                let on = weight + after[to + lane];
                *is_kept |= on > f64::NEG_INFINITY && self.best[from + lane] + on >= least;
            }
            if *is_kept {
                for (lane, weight) in self.weights(arc).enumerate() {
                    after[from + lane] = after[from + lane].max(weight + after[to + lane]);
                }
                (is_used[arc.from as usize], is_used[arc.to as usize]) = (true, true);
            }
        }
        let mut number = vec![0; self.nodes()];
        let mut kept =
            Self { levels: self.levels.clone(), lanes, at: Vec::new(), best: Vec::new(), arcs: Vec::new() };
        for node in (0..self.nodes()).filter(|node| is_used[*node]) {
            number[node] = kept.at.len() as u32;
            kept.at.push(self.at[node]);
            kept.best.extend_from_slice(&self.best[node * lanes..][..lanes]);
        }
        let arcs = self.arcs.iter().zip(is_kept).filter(|(_, is_kept)| *is_kept);
        kept.arcs = arcs
            .map(|(arc, _)| Arc { from: number[arc.from as usize], to: number[arc.to as usize], ..*arc })
            .collect();
        kept
    }
}
