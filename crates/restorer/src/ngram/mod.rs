//! A byte n-gram model: the prior that is counted instead of trained.
//!
//! Texts are counted into sorted runs of n-grams ([`RawCounts`]), which add up; the merged runs are laid out level by level,
//! smoothed, pruned to a budget and packed into one table ([`NgramModel`]), in which a state is the node of the longest known
//! context and a look-up allocates nothing. `docs/prior.md` has the formats and the mathematics.

mod build;
mod checkpoint;
mod counts;
mod entry;
mod index;
mod levels;
mod model;
mod pack;
mod prune;
mod quantize;
mod smooth;
#[cfg(test)]
mod tests;

pub use build::{BuildError, BuildOptions, Built, Candidate, Pruning, build};
pub use checkpoint::NgramConfig;
pub use counts::{Counter, RawCounts};
pub use entry::MAX_ORDER;
pub use model::{MODEL_TYPE, NgramModel};
pub use smooth::Smoothing;
