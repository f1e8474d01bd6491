//! Embedding tables.

use candle_core::{Result, Tensor};

use super::params::{Init, Params};
use crate::error::RestoreError;

/// A table of vectors, one a token: `weight` `[tokens, dim]`.
#[derive(Clone, Debug)]
pub struct Embedding {
    weight: Tensor,
}

impl Embedding {
    /// Reads or makes `weight`.
    ///
    /// # Errors
    /// If the parameter is missing or has another shape.
    pub fn new(
        params: &mut Params,
        tokens: usize,
        dim: usize,
        init: Init,
    ) -> std::result::Result<Self, RestoreError> {
        Ok(Self { weight: params.get("weight", &[tokens, dim], init)? })
    }

    /// The table, as a tied output layer uses it.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// The vectors of `tokens`: `[n, dim]`.
    ///
    /// # Errors
    /// If a token has no row.
    pub fn forward(&self, tokens: &[u32]) -> Result<Tensor> {
        self.weight.index_select(&Tensor::from_slice(tokens, tokens.len(), self.weight.device())?, 0)
    }
}
