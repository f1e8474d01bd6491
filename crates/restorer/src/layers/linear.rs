//! Affine maps.

use candle_core::Tensor;

use super::params::{Init, Params};
use crate::error::RestoreError;

/// y = x Wᵀ (+ b), with `weight` `[out, in]` as in the Hugging Face layout.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Reads or makes `weight`.
    ///
    /// # Errors
    /// If the parameter is missing or has another shape.
    pub fn new(params: &mut Params, input: usize, output: usize, init: Init) -> Result<Self, RestoreError> {
        Ok(Self { weight: params.get("weight", &[output, input], init)?, bias: None })
    }

    /// Reads or makes `weight` and `bias` (zero at first).
    ///
    /// # Errors
    /// If a parameter is missing or has another shape.
    pub fn with_bias(
        params: &mut Params,
        input: usize,
        output: usize,
        init: Init,
    ) -> Result<Self, RestoreError> {
        let bias = Some(params.get("bias", &[output], Init::Constant(0.0))?);
        Ok(Self { bias, ..Self::new(params, input, output, init)? })
    }

    /// `[n, in]` → `[n, out]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let y = x.matmul(&self.weight.t()?)?;
        match &self.bias {
            Some(bias) => y.broadcast_add(bias),
            None => Ok(y),
        }
    }
}
