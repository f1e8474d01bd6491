//! Distances of texts that differ little: how far each diagonal can be followed with 0, 1, 2, … edits.
//!
//! Ukkonen, "Algorithms for approximate string matching", 1985; Myers, "An O(ND) difference algorithm", 1986.

use super::symbols::Symbol;

/// Memory that is used again.
#[derive(Default)]
pub(super) struct Wavefront {
    before: Vec<isize>,
    now: Vec<isize>,
}

/// A diagonal that cannot be reached.
const NOWHERE: isize = isize::MIN / 2;

impl Wavefront {
    /// The distance, unless it is more than `most_edits`; time grows with the square of the distance.
    pub(super) fn distance<S: Symbol>(&mut self, a: &[S], b: &[S], most_edits: usize) -> Option<usize> {
        let (n, m, most) = (a.len().cast_signed(), b.len().cast_signed(), most_edits.cast_signed());
        let last = n - m;
        // Diagonal d = place in a − place in b lies at index d + most + 1, with a margin on both sides.
        let index = |diagonal: isize| (diagonal + most + 1).cast_unsigned();
        for front in [&mut self.before, &mut self.now] {
            front.clear();
            front.resize(2 * most_edits + 3, NOWHERE);
        }
        for edits in 0..=most {
            // From a diagonal farther away, the last one cannot be reached with what is left.
            let lowest = (-edits).max(last - (most - edits));
            let highest = edits.min(last + (most - edits));
            for diagonal in lowest..=highest {
                let i = index(diagonal);
                let reached = if edits == 0 {
                    0
                } else {
                    let (deleted, replaced) = (self.before[i - 1] + 1, self.before[i] + 1);
                    deleted.max(replaced).max(self.before[i + 1]).min(n).min(m + diagonal)
                };
                if reached < 0 || reached < diagonal {
                    self.now[i] = NOWHERE;
                    continue;
                }
                let (at, other) = (reached.cast_unsigned(), (reached - diagonal).cast_unsigned());
                let (a, b) = (&a[at..], &b[other..]);
                // Most diagonals end at once.
                let alike = if a.first() == b.first() { S::common_prefix(a, b) } else { 0 };
                self.now[i] = reached + alike.cast_signed();
            }
            if (lowest..=highest).contains(&last) && self.now[index(last)] == n {
                return Some(edits.cast_unsigned());
            }
            // Beyond the diagonals that were followed nothing is known of this number of edits.
            self.now[index(lowest) - 1] = NOWHERE;
            self.now[index(highest) + 1] = NOWHERE;
            std::mem::swap(&mut self.before, &mut self.now);
        }
        None
    }
}
