//! Large embedding tables that live outside the autograd graph.
//!
//! The gradient of a gather is dense in candle, and an optimizer over millions of rows would cost more than the step. So
//! the rows that a batch needs are copied out, enter the graph as a leaf, and their gradient goes back to those rows.

use std::sync::{PoisonError, RwLock};

use candle_core::{Device, Tensor, Var};
use rand::rngs::ChaCha8Rng;
use rand::{Rng as _, SeedableRng as _};

/// A table of `rows` × `dim` float32 weights on the host.
#[derive(Debug)]
pub struct RowTable {
    name: String,
    dim: usize,
    data: RwLock<Vec<f32>>,
}

/// The rows of one table that a batch used.
#[derive(Clone, Debug)]
pub struct RowUse {
    /// Index into [`crate::train::Trainable::tables`].
    pub table: usize,
    /// The rows, in the order of the leaf; a row may stand there often.
    pub indices: Vec<u32>,
    /// The copied rows, `[indices.len(), dim]`; its gradient belongs to them.
    pub leaf: Var,
}

impl RowTable {
    /// A table of given weights, row after row.
    ///
    /// # Panics
    /// If `data` is no whole number of rows of `dim`.
    pub fn new(name: impl Into<String>, dim: usize, data: Vec<f32>) -> Self {
        assert_eq!(data.len() % dim, 0, "weights must be whole rows");
        Self { name: name.into(), dim, data: RwLock::new(data) }
    }

    /// A table of uniform weights with standard deviation `deviation`.
    pub fn random(name: impl Into<String>, rows: usize, dim: usize, deviation: f32, seed: u64) -> Self {
        let mut stream = ChaCha8Rng::seed_from_u64(seed);
        let scale = deviation * 12f32.sqrt() / 4_294_967_296.0;
        let data = (0..rows * dim).map(|_| (stream.next_u32() as f32 - 2_147_483_648.0) * scale).collect();
        Self::new(name, dim, data)
    }

    /// The name under which it is saved.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.read(<[f32]>::len) / self.dim
    }

    /// Weights a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Reads all weights, row after row.
    pub fn read<R>(&self, f: impl FnOnce(&[f32]) -> R) -> R {
        f(&self.data.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes weights in place, row after row.
    pub fn with_mut<R>(&self, f: impl FnOnce(&mut [f32]) -> R) -> R {
        f(&mut self.data.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// A copy of all weights.
    pub fn to_vec(&self) -> Vec<f32> {
        self.read(<[f32]>::to_vec)
    }

    /// Replaces all weights.
    ///
    /// # Panics
    /// If the number of weights differs.
    pub fn load(&self, weights: &[f32]) {
        self.with_mut(|data| data.copy_from_slice(weights));
    }

    /// Copies rows into a tensor `[indices.len(), dim]`.
    ///
    /// # Errors
    /// If the device refuses the tensor.
    pub fn gather(&self, indices: &[u32], device: &Device) -> candle_core::Result<Tensor> {
        let rows = self.read(|data| {
            let mut rows = Vec::with_capacity(indices.len() * self.dim);
            for &index in indices {
                let at = index as usize * self.dim;
                rows.extend_from_slice(&data[at..at + self.dim]);
            }
            rows
        });
        Tensor::from_vec(rows, (indices.len(), self.dim), device)
    }
}
