//! Channel decoding: the most probable original under a prior times the channel's own likelihood, by a beam over the input.
//!
//! A hypothesis is a state of the prior and a place in the channel's transitions. At each byte it copies, or spends one event:
//! [`corruptor::ChannelLaw`] says what that costs, at every noise level of the recipe at once. Hypotheses of the same state
//! become one. What survives is a lattice, from which the best original and the probabilities of its edits come.

mod asking;
mod confused;
mod decode;
mod emissions;
mod joins;
mod lattice;
mod model;
mod observed;
mod originals;
mod restorer;
mod search;
mod settings;
mod share;
mod suspicion;
mod units;

#[cfg(test)]
mod exhaustive;
#[cfg(test)]
mod tests;

pub use decode::Evidence;
pub use restorer::ChannelRestorer;
pub use settings::{Beam, Decoding, Posterior, Weights};
