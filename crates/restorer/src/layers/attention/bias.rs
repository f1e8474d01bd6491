//! What attention adds to a score for the distance between two tokens.

use candle_core::Tensor;

/// A learned bias a head and a relative position.
#[derive(Clone, Debug)]
pub struct DistanceBias {
    /// `[heads, distances]`.
    pub values: Tensor,
    /// The column of distance 0; a key `d` tokens behind its query has column `zero + d`, one before it `zero − d`.
    pub zero: usize,
}
