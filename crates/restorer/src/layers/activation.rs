//! The gated MLP's activation: `SwiGLU` (Shazeer 2020, arXiv 2002.05202).

use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor};

use super::kernel::{exp, has_kernel, slice, with_values};

/// `silu(gate) · up` for `x` = `[…, gate | up]`: `[…, 2 f]` → `[…, f]`.
///
/// # Errors
/// If the last dimension is odd.
pub fn swiglu(x: &Tensor) -> Result<Tensor> {
    if has_kernel(x) { x.contiguous()?.apply_op1(SwigluKernel) } else { composed(x) }
}

fn composed(x: &Tensor) -> Result<Tensor> {
    let halves = x.chunk(2, D::Minus1)?;
    halves[0].silu()?.mul(&halves[1])
}

struct SwigluKernel;

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn forward(x: &[f32], half: usize, out: &mut [f32]) {
    for (x, out) in x.chunks_exact(2 * half).zip(out.chunks_exact_mut(half)) {
        let (gate, up) = x.split_at(half);
        for i in 0..half {
            out[i] = gate[i] * up[i] / (1.0 + exp(-gate[i]));
        }
    }
}

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn backward(x: &[f32], grad: &[f32], half: usize, dx: &mut [f32]) {
    for ((x, grad), dx) in
        x.chunks_exact(2 * half).zip(grad.chunks_exact(half)).zip(dx.chunks_exact_mut(2 * half))
    {
        let (gate, up) = x.split_at(half);
        let (dgate, dup) = dx.split_at_mut(half);
        for i in 0..half {
            let sigmoid = 1.0 / (1.0 + exp(-gate[i]));
            dup[i] = grad[i] * gate[i] * sigmoid;
            dgate[i] = grad[i] * up[i] * sigmoid * (1.0 + gate[i] * (1.0 - sigmoid));
        }
    }
}

impl CustomOp1 for SwigluKernel {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut dims = layout.dims().to_vec();
        let last = dims.last_mut().map_or(0, |d| std::mem::replace(d, *d / 2));
        if last == 0 || !last.is_multiple_of(2) {
            candle_core::bail!("swiglu needs an even last dimension, got {last}");
        }
        let x = slice(x, layout)?;
        let mut out = vec![0.0; x.len() / 2];
        forward(x, last / 2, &mut out);
        Ok((CpuStorage::F32(out), dims.into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let half = x.dim(D::Minus1)? / 2;
        let mut dx = vec![0.0; x.elem_count()];
        with_values(x, |x| with_values(grad, |grad| backward(x, grad, half, &mut dx)))??;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, assert_same, random};
    use super::*;

    #[test]
    fn kernel_and_composition_agree_in_values_and_gradients() {
        let x = random(&[7, 20], 3);
        assert_same(|v| swiglu(&v[0]), |v| composed(&v[0]), std::slice::from_ref(&x), 1e-5);
        assert_gradients(|v| swiglu(&v[0]), &[x]);
    }
}
