//! Affine maps, with the low-rank updates of `LoRA` where the parameters say so.

use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor};

use super::adapter::Adapter;
use super::noise::Noise;
use super::params::{Init, Params};
use crate::error::RestoreError;

/// y = x Wᵀ (+ b) (+ a low-rank update), with `weight` `[out, in]` as in the Hugging Face layout.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Option<Tensor>,
    frozen: bool,
    adapter: Option<Adapter>,
}

impl Linear {
    /// Reads or makes `weight`.
    ///
    /// # Errors
    /// If the parameter is missing or has another shape.
    pub fn new(
        params: &mut Params,
        input: usize,
        output: usize,
        init: Init,
    ) -> std::result::Result<Self, RestoreError> {
        let weight = params.get("weight", &[output, input], init)?;
        Ok(Self { weight, bias: None, frozen: params.is_frozen(), adapter: params.adapter(input, output)? })
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
    ) -> std::result::Result<Self, RestoreError> {
        let bias = Some(params.get("bias", &[output], Init::Constant(0.0))?);
        Ok(Self { bias, ..Self::new(params, input, output, init)? })
    }

    /// With a weight that is there already, as a tied output layer has it.
    pub fn of_weight(weight: Tensor, frozen: bool) -> Self {
        Self { weight, bias: None, frozen, adapter: None }
    }

    /// `[n, in]` → `[n, out]`, in the type of `x`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(&self, x: &Tensor, noise: &Noise) -> Result<Tensor> {
        let mut y = product(x, &self.weight, self.frozen)?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(&bias.to_dtype(y.dtype())?)?;
        }
        match &self.adapter {
            Some(adapter) => y + adapter.forward(x, noise)?,
            None => Ok(y),
        }
    }

    /// Several maps of the same `x`, their outputs side by side: `[n, in]` → `[n, Σ out]`. Where `x` has rows enough, their
    /// weights are joined for one large product.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward_together(maps: &[&Self], x: &Tensor, noise: &Noise) -> Result<Tensor> {
        /// Rows from which copying the weights pays.
        const JOIN_FROM_ROWS: usize = 128;
        let plain = maps.iter().all(|map| map.bias.is_none() && map.adapter.is_none());
        if plain && x.dim(0)? >= JOIN_FROM_ROWS {
            let weights: Vec<&Tensor> = maps.iter().map(|map| &map.weight).collect();
            return product(x, &Tensor::cat(&weights, 0)?, maps.iter().all(|map| map.frozen));
        }
        let outputs = maps.iter().map(|map| map.forward(x, noise)).collect::<Result<Vec<_>>>()?;
        Tensor::cat(&outputs, 1)
    }
}

/// x Wᵀ. A frozen weight gets no gradient, and none is computed.
pub(super) fn product(x: &Tensor, weight: &Tensor, frozen: bool) -> Result<Tensor> {
    let (x, weight) = (x.contiguous()?, weight.to_dtype(x.dtype())?);
    if frozen { x.apply_op1(FrozenProduct { weight }) } else { x.apply_op2(&weight, Product) }
}

/// x Wᵀ with the gradient of W in W's own layout.
struct Product;

/// x Wᵀ for a W that needs no gradient.
struct FrozenProduct {
    weight: Tensor,
}

/// The product on any device.
fn multiply<S: BackendStorage>(x: &S, xl: &Layout, w: &S, wl: &Layout) -> Result<(S, Shape)> {
    let (n, input) = xl.shape().dims2()?;
    let (output, width) = wl.shape().dims2()?;
    if input != width {
        candle_core::bail!("a map of {width} values was given {input}");
    }
    let product = x.matmul(w, (1, n, output, input), xl, &wl.transpose(0, 1)?)?;
    Ok((product, (n, output).into()))
}

impl CustomOp2 for Product {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        multiply(x, xl, w, wl)
    }

    fn cuda_fwd(
        &self,
        x: &CudaStorage,
        xl: &Layout,
        w: &CudaStorage,
        wl: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        multiply(x, xl, w, wl)
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        Ok((Some(grad.matmul(w)?), Some(grad.t()?.matmul(x)?)))
    }
}

impl CustomOp1 for FrozenProduct {
    fn name(&self) -> &'static str {
        "linear-frozen"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout) -> Result<(CpuStorage, Shape)> {
        let (weight, wl) = self.weight.storage_and_layout();
        match &*weight {
            candle_core::Storage::Cpu(weight) => multiply(x, xl, weight, wl),
            _ => candle_core::bail!("a linear map and its input live on different devices"),
        }
    }

    fn cuda_fwd(&self, x: &CudaStorage, xl: &Layout) -> Result<(CudaStorage, Shape)> {
        let (weight, wl) = self.weight.storage_and_layout();
        match &*weight {
            candle_core::Storage::Cuda(weight) => multiply(x, xl, weight, wl),
            _ => candle_core::bail!("a linear map and its input live on different devices"),
        }
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        grad.matmul(&self.weight).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, assert_same, random};
    use super::*;

    #[test]
    fn products_and_their_gradients_are_those_of_matmul() {
        let inputs = [random(&[7, 12], 3), random(&[5, 12], 4)];
        let composed = |v: &[Tensor]| v[0].matmul(&v[1].t()?);
        assert_same(|v| product(&v[0], &v[1], false), composed, &inputs, 1e-5);
        assert_gradients(|v| product(&v[0], &v[1], false), &inputs);
        let weight = inputs[1].clone();
        let frozen = |v: &[Tensor]| product(&v[0], &weight, true);
        assert_same(frozen, |v| v[0].matmul(&weight.t()?), &inputs[..1], 1e-5);
    }

    #[test]
    fn joined_maps_give_what_each_gives() {
        let maps = [random(&[4, 6], 1), random(&[3, 6], 2)].map(|w| Linear::of_weight(w, true));
        let maps: Vec<&Linear> = maps.iter().collect();
        for rows in [5, 300] {
            let x = random(&[rows, 6], 9);
            let joined = Linear::forward_together(&maps, &x, &Noise::none()).unwrap();
            let alone = |map: &&Linear| map.forward(&x, &Noise::none()).unwrap();
            let alone = Tensor::cat(&maps.iter().map(alone).collect::<Vec<_>>(), 1).unwrap();
            let difference = (joined - alone).unwrap().abs().unwrap().max_all().unwrap();
            assert!(difference.to_scalar::<f32>().unwrap() < 1e-5);
        }
    }
}
