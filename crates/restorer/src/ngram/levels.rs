//! The counted n-grams as a trie, level by level: those of n symbols, in order, under the contexts of n − 1 symbols.

use std::io;

use rayon::prelude::*;

use super::counts::RawCounts;
use super::entry::{Entry, MAX_ORDER, START};

/// No node: what has no n-gram below it.
pub(super) const NONE: u32 = u32::MAX;
/// Counts that are told apart when cutoffs are chosen; what is more frequent counts as this.
const HISTOGRAM: usize = 256;

/// What a context was followed by, rare n-grams included that are cut off.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Followers {
    /// Symbols that followed it.
    pub(super) total: u64,
    /// Kinds of them, and kinds that occurred once and twice.
    pub(super) kinds: u16,
    pub(super) once: u16,
    pub(super) twice: u16,
}

impl Followers {
    /// With one more kind of symbol.
    pub(super) fn and(mut self, count: u64) -> Self {
        self.add(count);
        self
    }

    fn add(&mut self, count: u64) {
        self.total += count;
        self.kinds += 1;
        self.once += u16::from(count == 1);
        self.twice += u16::from(count == 2);
    }
}

/// A context: the n-grams that continue it are the arcs from `first` to the next node's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) first: u32,
    /// The node of the context without its first symbol, one level up; 0 at level 0.
    pub(super) suffix: u32,
    pub(super) followers: Followers,
}

/// The n-grams of one length.
#[derive(Debug, Default)]
pub(super) struct Level {
    /// Contexts, one symbol shorter; at the end one more, whose `first` is the number of arcs.
    pub(super) nodes: Vec<Node>,
    pub(super) symbols: Vec<u8>,
    pub(super) counts: Vec<u64>,
    /// The node one level down that each n-gram is the context of.
    pub(super) children: Vec<u32>,
    /// The n-gram without its first symbol, one level up; nothing at level 0.
    pub(super) shorter: Vec<u32>,
}

impl Level {
    /// The arcs of a node.
    pub(super) fn arcs(&self, node: usize) -> std::ops::Range<usize> {
        self.nodes[node].first as usize..self.nodes[node + 1].first as usize
    }

    /// How many nodes there are.
    pub(super) fn node_count(&self) -> usize {
        self.nodes.len() - 1
    }

    /// The arc of a node for a symbol.
    pub(super) fn find(&self, node: usize, symbol: u8) -> Option<usize> {
        let arcs = self.arcs(node);
        self.symbols[arcs.clone()].binary_search(&symbol).ok().map(|at| arcs.start + at)
    }
}

/// How many n-grams of each length occur once, twice, three times, four times.
pub(super) type CountsOfCounts = [[u64; 4]; MAX_ORDER];

/// All n-grams that are frequent enough.
#[derive(Debug)]
pub(super) struct Levels {
    /// From unigrams on.
    pub(super) all: Vec<Level>,
    pub(super) counts_of_counts: CountsOfCounts,
    /// N-grams before rare ones were cut off.
    pub(super) distinct: u64,
}

impl Levels {
    /// Lays out the counts in two passes, cutting off rare long n-grams until at most `max_arcs` are left.
    ///
    /// # Errors
    /// If a temporary file cannot be read.
    pub(super) fn new(counts: &RawCounts, max_arcs: usize) -> io::Result<Self> {
        let order = counts.order();
        let mut histogram = vec![[0u64; HISTOGRAM]; order];
        closes(counts, |depth, _, count| {
            histogram[depth - 1][(count as usize).min(HISTOGRAM) - 1] += 1;
        })?;
        let cutoffs = cutoffs(&histogram, max_arcs as u64);
        let mut counts_of_counts = [[0; 4]; MAX_ORDER];
        for (of_order, histogram) in counts_of_counts.iter_mut().zip(&histogram) {
            of_order.copy_from_slice(&histogram[..4]);
        }
        let mut building = Building::new(order, cutoffs);
        closes(counts, |depth, symbol, count| building.close(depth, symbol, count))?;
        let mut levels = building.finish();
        link(&mut levels);
        let distinct = histogram.iter().flatten().sum();
        Ok(Self { all: levels, counts_of_counts, distinct })
    }
}

/// Hands length, last symbol and count of every n-gram to `take`, each after all that it begins.
fn closes(counts: &RawCounts, mut take: impl FnMut(usize, u8, u64)) -> io::Result<()> {
    let order = counts.order();
    let (mut path, mut length) = ([0u8; MAX_ORDER], 0);
    let mut sums = [0u64; MAX_ORDER];
    counts.for_each(|entry: Entry| {
        let (symbols, next_length) = entry.symbols(order);
        let common = (0..length.min(next_length)).take_while(|at| path[*at] == symbols[*at]).count();
        for depth in (common..length).rev() {
            take(depth + 1, path[depth], std::mem::take(&mut sums[depth]));
        }
        sums[..next_length].iter_mut().for_each(|sum| *sum += entry.count());
        (path, length) = (symbols, next_length);
    })?;
    for depth in (0..length).rev() {
        take(depth + 1, path[depth], sums[depth]);
    }
    Ok(())
}

/// The least count of an n-gram of each length that is kept; never less for a longer one, so that its parts are kept too.
fn cutoffs(histogram: &[[u64; HISTOGRAM]], max_arcs: u64) -> Vec<u64> {
    let mut cutoffs = vec![1u64; histogram.len()];
    let kept = |cutoffs: &[u64]| -> u64 {
        let of = |(histogram, cutoff): (&[u64; HISTOGRAM], &u64)| {
            histogram[*cutoff as usize - 1..].iter().sum::<u64>()
        };
        histogram.iter().zip(cutoffs).map(of).sum()
    };
    for least in 2..=HISTOGRAM as u64 {
        for length in (2..histogram.len()).rev() {
            if kept(&cutoffs) <= max_arcs {
                return cutoffs;
            }
            cutoffs[length] = least;
        }
    }
    cutoffs
}

/// The levels, as n-grams come in.
struct Building {
    cutoffs: Vec<u64>,
    levels: Vec<Level>,
    /// Where the arcs under the current context of each length begin.
    marks: Vec<usize>,
    followers: Vec<Followers>,
}

impl Building {
    fn new(order: usize, cutoffs: Vec<u64>) -> Self {
        let levels = (0..order).map(|_| Level::default()).collect();
        Self { cutoffs, levels, marks: vec![0; order], followers: vec![Followers::default(); order] }
    }

    fn close(&mut self, depth: usize, symbol: u8, count: u64) {
        let child = if depth < self.levels.len() { self.context(depth) } else { NONE };
        // The start is a context; nothing predicts it.
        if symbol != START {
            self.followers[depth - 1].add(count);
        }
        if count >= self.cutoffs[depth - 1] {
            let level = &mut self.levels[depth - 1];
            level.symbols.push(symbol);
            level.counts.push(count);
            level.children.push(child);
        }
    }

    /// Ends the context of `length` symbols; its node, if n-grams below it are kept.
    fn context(&mut self, length: usize) -> u32 {
        let (level, mark) = (&mut self.levels[length], &mut self.marks[length]);
        let followers = std::mem::take(&mut self.followers[length]);
        if level.symbols.len() == *mark {
            return NONE;
        }
        level.nodes.push(Node { first: *mark as u32, suffix: 0, followers });
        *mark = level.symbols.len();
        level.nodes.len() as u32 - 1
    }

    fn finish(mut self) -> Vec<Level> {
        let _root = self.context(0);
        for level in &mut self.levels {
            let first = level.symbols.len() as u32;
            level.nodes.push(Node { first, suffix: 0, followers: Followers::default() });
        }
        self.levels
    }
}

/// Finds what every n-gram is without its first symbol: it is kept, because it is at least as frequent.
fn link(levels: &mut [Level]) {
    for depth in 1..levels.len() {
        let (above, below) = levels.split_at_mut(depth);
        let (parents, level) = (&above[depth - 1], &mut below[0]);
        if let Some(of_shorter) = depth.checked_sub(2).map(|depth| &above[depth]) {
            for (child, shorter) in parents.children.iter().zip(&parents.shorter) {
                if *child != NONE {
                    level.nodes[*child as usize].suffix = of_shorter.children[*shorter as usize];
                }
            }
        }
        let laid_out: &Level = level;
        let shorter = |node: usize| {
            let suffix = laid_out.nodes[node].suffix as usize;
            let arcs = laid_out.arcs(node).map(move |arc| parents.find(suffix, laid_out.symbols[arc]));
            arcs.map(|arc| arc.map_or(NONE, |arc| arc as u32))
        };
        level.shorter = (0..laid_out.node_count()).into_par_iter().flat_map_iter(shorter).collect();
    }
}
