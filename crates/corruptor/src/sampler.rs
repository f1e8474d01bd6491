//! Integer-threshold samplers: a probability becomes a 64-bit threshold once, a draw is a comparison.
//!
//! Powers are formed by repeated IEEE 754 multiplication, which every platform rounds alike; no `ln` or `pow` is used.

use crate::random::RecordStream;
use crate::settings::OpSettings;

/// Positions that one draw of a gap can cover; longer gaps take further draws (the geometric law has no memory).
const GAP_TABLE: usize = 256;

/// `floor(p · 2^64)`, saturating, so that `word < threshold(p)` has probability `p` up to 2^-53.
pub(crate) fn threshold(p: f64) -> u64 {
    (p * 18_446_744_073_709_551_616.0) as u64
}

/// A table of survival thresholds: entry k − 1 is the probability that a geometric variable is at least k.
fn survival(p: f64, entries: usize) -> Vec<u64> {
    let mut table = Vec::with_capacity(entries);
    let mut survives = 1.0;
    for _ in 0..entries {
        survives *= 1.0 - p;
        table.push(threshold(survives));
    }
    table
}

/// How many entries of the descending `table` the word stays under.
fn survived(table: &[u64], word: u64) -> usize {
    if table.len() <= 16 {
        // Without a branch that could be mispredicted.
        return table.iter().map(|&t| usize::from(word < t)).sum();
    }
    table.partition_point(|&t| word < t)
}

/// Number of positions without an event before the next event: P(g) = (1 − p)^g · p.
#[derive(Clone, Debug)]
pub(crate) struct GapSampler {
    table: Vec<u64>,
    /// For the first byte of a word, how many entries any such word stays under: where the search begins.
    guide: Box<[u16; 256]>,
}

impl GapSampler {
    /// `p`: probability of an event at a position, in (0, 1].
    pub(crate) fn new(p: f64) -> Self {
        let table = survival(p, GAP_TABLE);
        let largest = |first: usize| (first as u64) << 56 | (u64::MAX >> 8);
        let guide = std::array::from_fn(|first| survived(&table, largest(first)) as u16);
        Self { table, guide: Box::new(guide) }
    }

    /// Draws a gap; any gap of at least `limit` is returned as `limit`.
    pub(crate) fn draw(&self, stream: &mut RecordStream, limit: usize) -> usize {
        let mut gap = 0;
        loop {
            let word = stream.next_u64();
            let mut step = usize::from(self.guide[(word >> 56) as usize]);
            while self.table.get(step).is_some_and(|&survives| word < survives) {
                step += 1;
            }
            gap += step;
            if gap >= limit {
                return limit;
            }
            if step < self.table.len() {
                return gap;
            }
        }
    }
}

/// Span length: min(geometric on {1, 2, …} with a mean, maximum), and from the maximum on with a probability one more each.
#[derive(Clone, Debug)]
pub(crate) struct LengthSampler {
    table: Vec<u64>,
    offset: usize,
    tail: u64,
}

impl LengthSampler {
    /// `offset` graphemes are certain beyond the geometric part (1 for reversal, which draws l − 1).
    pub(crate) fn new(settings: OpSettings, offset: usize) -> Self {
        let stop = 1.0 / (settings.mean - offset as f64);
        let table = survival(stop, settings.max - offset - 1);
        Self { table, offset, tail: threshold(settings.tail) }
    }

    pub(crate) fn draw(&self, stream: &mut RecordStream) -> usize {
        let reached = survived(&self.table, stream.next_u64());
        let mut length = 1 + self.offset + reached;
        if self.tail > 0 && reached == self.table.len() {
            while stream.next_u64() < self.tail {
                length += 1;
            }
        }
        length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(mut draw: impl FnMut(&mut RecordStream) -> usize) -> f64 {
        let mut stream = RecordStream::for_purpose(7, "sampler");
        let n = 200_000;
        (0..n).map(|_| draw(&mut stream) as f64).sum::<f64>() / f64::from(n)
    }

    #[test]
    fn gaps_have_the_geometric_mean_also_beyond_the_table() {
        for p in [0.3, 0.01, 0.0005] {
            let sampler = GapSampler::new(p);
            let expected = (1.0 - p) / p;
            let error = (1.0 - p).sqrt() / p / 200_000f64.sqrt();
            let mean = mean(|s| sampler.draw(s, usize::MAX));
            assert!((mean - expected).abs() < 4.0 * error, "p {p}: {mean} against {expected}");
        }
    }

    #[test]
    fn a_certain_event_leaves_no_gap() {
        let sampler = GapSampler::new(1.0);
        assert!(mean(|s| sampler.draw(s, usize::MAX)).abs() < f64::EPSILON);
    }

    #[test]
    fn lengths_have_the_capped_mean() {
        // E[min(G, 4)] for a geometric of mean 2 is 1 + 1/2 + 1/4 + 1/8.
        let sampler = LengthSampler::new(OpSettings::new(0.1, 2.0, 4), 0);
        assert!((mean(|s| sampler.draw(s)) - 1.875).abs() < 0.01);
        let reversal = LengthSampler::new(OpSettings::new(0.1, 3.0, 5), 1);
        assert!((mean(|s| reversal.draw(s)) - 2.875).abs() < 0.01);
        let fixed = LengthSampler::new(OpSettings::new(0.1, 1.0, 1), 0);
        assert!((mean(|s| fixed.draw(s)) - 1.0).abs() < f64::EPSILON);
    }
}
