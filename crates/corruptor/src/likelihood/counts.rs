//! What is expected to have happened: the sufficient statistics of the channel.

use std::collections::BTreeMap;

use crate::op::Op;

/// What is expected to have been drawn at one noise level, attempts that changed nothing included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LevelCounts {
    /// Visited positions, the ends of texts among them.
    pub visited: f64,
    /// Attempts of each operation at them; indices are those of [`Op::ALL`]. What is left are copies.
    pub attempted: [f64; 5],
}

/// How spans ended whose length is geometric up to a maximum: what is beyond does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SpanCounts {
    /// Graphemes after which a span went on.
    pub went_on: f64,
    /// Spans that ended before the maximum, but not because the text did.
    pub stopped: f64,
}

/// Expected counts of everything that the channel draws, given originals and corrupted texts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpectedCounts {
    /// Pairs that were counted.
    pub pairs: u64,
    /// Graphemes of their originals; the end of each text counts as one.
    pub graphemes: u64,
    /// Σ ln probability of the pairs, in nats.
    pub ln_probability: f64,
    /// Records that were kept clean.
    pub clean: f64,
    /// By noise level, in the recipe's order.
    pub levels: Vec<LevelCounts>,
    /// By operation; a substitution by a confusion table has no span.
    pub spans: [SpanCounts; 5],
    /// Symbols of the alphabet that insertions drew.
    pub inserted: BTreeMap<String, f64>,
    /// Grapheme → symbols that substitutions drew for it.
    pub substituted: BTreeMap<String, BTreeMap<String, f64>>,
}

impl ExpectedCounts {
    /// Nothing, at each of so many noise levels.
    pub fn none(levels: usize) -> Self {
        Self { levels: vec![LevelCounts::default(); levels], ..Self::default() }
    }

    /// Adds what is expected of other pairs, at the same noise levels.
    pub fn add(&mut self, other: Self) {
        self.pairs += other.pairs;
        self.graphemes += other.graphemes;
        self.ln_probability += other.ln_probability;
        self.clean += other.clean;
        for (level, more) in self.levels.iter_mut().zip(other.levels) {
            level.visited += more.visited;
            for (sum, attempted) in level.attempted.iter_mut().zip(more.attempted) {
                *sum += attempted;
            }
        }
        for (span, more) in self.spans.iter_mut().zip(other.spans) {
            span.went_on += more.went_on;
            span.stopped += more.stopped;
        }
        add_symbols(&mut self.inserted, other.inserted);
        for (grapheme, symbols) in other.substituted {
            add_symbols(self.substituted.entry(grapheme).or_default(), symbols);
        }
    }

    /// Attempts of an operation, at all noise levels.
    pub fn attempted(&self, op: Op) -> f64 {
        self.levels.iter().map(|level| level.attempted[op as usize]).sum()
    }
}

fn add_symbols(symbols: &mut BTreeMap<String, f64>, more: BTreeMap<String, f64>) {
    for (symbol, count) in more {
        *symbols.entry(symbol).or_default() += count;
    }
}
