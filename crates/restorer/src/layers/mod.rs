//! Differentiable layers, shared by all families, for training and serving alike.
//!
//! Where candle's own fused operations cut the graph, these have a backward pass: on the CPU as hand-written kernels,
//! elsewhere as compositions of differentiable operations; the tests hold both to each other and to finite differences.
//!
//! Batches are *packed*: the tokens of all sequences stand one after the other in `[tokens, …]` tensors, beside a list
//! of lengths. There is no padding, and what a sequence gets does not depend on its neighbours.

mod activation;
mod attention;
mod block;
#[cfg(test)]
pub(crate) mod check;
mod cross_entropy;
mod kernel;
mod linear;
mod norm;
mod params;
mod rope;

pub use activation::swiglu;
pub use attention::{AttentionShape, attention};
pub use block::{Block, BlockConfig};
pub use cross_entropy::cross_entropy_sum;
pub use linear::Linear;
pub use norm::RmsNorm;
pub use params::{Init, Params};
pub use rope::Rope;
