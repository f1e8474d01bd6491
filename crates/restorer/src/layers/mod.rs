//! Differentiable layers, shared by all families, for training and serving alike.
//!
//! Where candle's own fused operations cut the graph, these have a backward pass: on the CPU as hand-written kernels,
//! elsewhere as compositions of differentiable operations; the tests hold both to each other and to finite differences.
//!
//! Batches are *packed*: the tokens of all sequences stand one after the other in `[tokens, …]` tensors, beside a list
//! of lengths. There is no padding, and what a sequence gets does not depend on its neighbours.

mod adapter;
mod attention;
mod block;
mod branch;
mod cache;
#[cfg(test)]
pub(crate) mod check;
mod cross_entropy;
mod embedding;
mod gated;
mod kernel;
mod linear;
mod norm;
mod params;
mod pass;
mod product;
mod recompute;
mod rope;

pub use adapter::Adapter;
pub use attention::{AttentionShape, DistanceBias, attention, attention_over};
pub use block::{Block, BlockConfig};
pub use branch::{KvBlock, KvPath, path_attention};
pub use cache::KvCache;
pub use cross_entropy::cross_entropy_sum;
pub use embedding::Embedding;
pub use gated::{Activation, gated};
pub use linear::Linear;
pub use norm::RmsNorm;
pub use params::{Init, NamedParams, Params};
pub use pass::Pass;
pub use product::Operands;
pub use recompute::Tape;
pub use rope::{Rope, RopeFrequencies};
