//! Low-rank adaptation (Hu et al. 2021, arXiv 2106.09685), named and scaled as in PEFT.

use candle_core::{Result, Tensor};

use super::linear::product;
use super::pass::Pass;

/// The update s · B A of one map; A is `[rank, in]`, B `[out, rank]`.
#[derive(Clone, Debug)]
pub struct Adapter {
    pub(super) a: Tensor,
    pub(super) b: Tensor,
    pub(super) scale: f64,
    pub(super) dropout: f32,
}

impl Adapter {
    /// s · (dropout(x) Aᵀ) Bᵀ: `[n, in]` → `[n, out]`.
    pub(super) fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let x = pass.dropout(x, self.dropout)?;
        let inner = product(&x, &self.a, false, pass.operands())?;
        product(&inner, &self.b, false, pass.operands())? * self.scale
    }
}
