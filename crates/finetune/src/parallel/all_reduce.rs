//! Sums over processes.

use std::fmt;

use candle_core::Tensor;

use crate::error::FinetuneError;

/// Sums tensors over all processes of a group.
pub trait AllReduce: fmt::Debug + Send {
    /// Replaces each float32 tensor by its sum over the processes, the same bits in each. All of them call it with tensors of the
    /// same shapes in the same order.
    ///
    /// # Errors
    /// If a process has hung up, or the tensor library fails.
    fn all_reduce(&mut self, tensors: &mut [Tensor]) -> Result<(), FinetuneError>;
}
