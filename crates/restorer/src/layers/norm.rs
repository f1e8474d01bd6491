//! Root mean square normalization (Zhang and Sennrich 2019, arXiv 1910.07467).

use candle_core::{CpuStorage, CustomOp2, D, DType, Layout, Result, Shape, Tensor};

use super::kernel::{has_kernel, slice, with_values};
use super::params::{Init, Params};
use crate::error::RestoreError;

/// RMS norm with a learned scale.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    weight: Tensor,
    eps: f32,
}

impl RmsNorm {
    /// Reads or makes `weight` `[dim]`; `eps` is added to the mean square.
    ///
    /// # Errors
    /// If the parameter is missing or has another shape.
    pub fn new(params: &mut Params, dim: usize, eps: f32) -> std::result::Result<Self, RestoreError> {
        Ok(Self { weight: params.get("weight", &[dim], Init::Constant(1.0))?, eps })
    }

    /// Normalizes the last dimension of `x`: `[…, dim]` → `[…, dim]`.
    ///
    /// # Errors
    /// If the shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if has_kernel(x) {
            return x.contiguous()?.apply_op2(&self.weight, RmsNormKernel { eps: self.eps });
        }
        self.composed(x)
    }

    /// In float32 whatever the type of `x`.
    fn composed(&self, x: &Tensor) -> Result<Tensor> {
        let wide = x.to_dtype(DType::F32)?;
        let square = wide.sqr()?.mean_keepdim(D::Minus1)?;
        let scaled = wide.broadcast_div(&(square + f64::from(self.eps))?.sqrt()?)?;
        scaled.broadcast_mul(&self.weight.to_dtype(DType::F32)?)?.to_dtype(x.dtype())
    }
}

struct RmsNormKernel {
    eps: f32,
}

#[expect(clippy::inline_always, reason = "a multiversioned loop vectorizes only what is inlined into it")]
#[inline(always)]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 16];
    let (chunks_a, chunks_b) = (a.chunks_exact(16), b.chunks_exact(16));
    let rest: f32 = chunks_a.remainder().iter().zip(chunks_b.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in chunks_a.zip(chunks_b) {
        for lane in 0..16 {
            lanes[lane] += x[lane] * y[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest
}

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn forward(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let dim = weight.len();
    for (x, out) in x.chunks_exact(dim).zip(out.chunks_exact_mut(dim)) {
        let scale = 1.0 / (dot(x, x) / dim as f32 + eps).sqrt();
        for ((out, x), weight) in out.iter_mut().zip(x).zip(weight) {
            *out = x * scale * weight;
        }
    }
}

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn backward(x: &[f32], weight: &[f32], grad: &[f32], eps: f32, dx: &mut [f32], dweight: &mut [f32]) {
    let dim = weight.len();
    let mut scaled = vec![0f32; dim];
    for ((x, grad), dx) in x.chunks_exact(dim).zip(grad.chunks_exact(dim)).zip(dx.chunks_exact_mut(dim)) {
        let scale = 1.0 / (dot(x, x) / dim as f32 + eps).sqrt();
        for i in 0..dim {
            scaled[i] = grad[i] * weight[i];
            dweight[i] += grad[i] * x[i] * scale;
        }
        let along = dot(&scaled, x) * scale * scale / dim as f32;
        for i in 0..dim {
            dx[i] = scale * (scaled[i] - x[i] * along);
        }
    }
}

impl CustomOp2 for RmsNormKernel {
    fn name(&self) -> &'static str {
        "rms-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (slice(x, xl)?, slice(w, wl)?);
        let mut out = vec![0.0; x.len()];
        forward(x, weight, self.eps, &mut out);
        Ok((CpuStorage::F32(out), xl.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let mut dx = vec![0.0; x.elem_count()];
        let mut dweight = vec![0.0; w.elem_count()];
        with_values(x, |x| {
            with_values(w, |w| {
                with_values(grad, |grad| backward(x, w, grad, self.eps, &mut dx, &mut dweight))
            })
        })???;
        let dx = Tensor::from_vec(dx, x.shape(), x.device())?;
        Ok((Some(dx), Some(Tensor::from_vec(dweight, w.shape(), w.device())?)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, assert_same, random};
    use super::*;

    #[test]
    fn kernel_and_composition_agree_in_values_and_gradients() {
        let x = random(&[5, 24], 1);
        let weight = random(&[24], 2);
        let norm = |w: &Tensor| RmsNorm { weight: w.clone(), eps: 1e-5 };
        let fused = |v: &[Tensor]| norm(&v[1]).forward(&v[0]);
        assert_same(fused, |v| norm(&v[1]).composed(&v[0]), &[x.clone(), weight.clone()], 1e-5);
        assert_gradients(fused, &[x, weight]);
    }
}
