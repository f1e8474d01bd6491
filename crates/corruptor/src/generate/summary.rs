//! What a run has made, in numbers.

use std::fmt;

use crate::channel::AttemptCounts;
use crate::documents::Skips;
use crate::op::Op;
use crate::split::Split;

/// What [`generate`](super::generate) has written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GenerateSummary {
    /// Counts of each split, in the order of [`Split::ALL`].
    pub splits: [SplitSummary; 3],
    /// What was passed over.
    pub skips: Skips,
    /// What the sampler tried.
    pub attempts: AttemptCounts,
}

/// What one split holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SplitSummary {
    /// Documents.
    pub documents: u64,
    /// Passages.
    pub passages: u64,
    /// Pairs.
    pub pairs: u64,
}

impl fmt::Display for GenerateSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (split, summary) in Split::ALL.into_iter().zip(self.splits) {
            let SplitSummary { documents, passages, pairs } = summary;
            writeln!(f, "{}: {documents} documents, {passages} passages, {pairs} pairs", split.name())?;
        }
        write!(f, "attempts at 1,000 visited positions:")?;
        for op in Op::ALL {
            let (attempted, visited) =
                (self.attempts.attempted[op as usize], self.attempts.visited[op as usize]);
            write!(f, " {op} {:.2}", 1000.0 * attempted as f64 / visited.max(1) as f64)?;
        }
        write!(f, "\n{}", self.skips)
    }
}
