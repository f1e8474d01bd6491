//! Activations of gated MLPs (Shazeer 2020, arXiv 2002.05202).

use candle_core::{CpuStorage, CustomOp1, D, Layout, Result, Shape, Tensor};

use super::kernel::{exp, has_kernel, slice, with_values};

/// What the gate passes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x σ(x), also called swish.
    Silu,
    /// The tanh form of GELU (Hendrycks and Gimpel 2016), `gelu_new` in T5's configurations.
    GeluTanh,
}

/// `activation(gate) · up` for `x` = `[…, gate | up]`: `[…, 2 f]` → `[…, f]`.
///
/// # Errors
/// If the last dimension is odd.
pub fn gated(x: &Tensor, activation: Activation) -> Result<Tensor> {
    if has_kernel(x) {
        x.contiguous()?.apply_op1(GatedKernel { activation })
    } else {
        composed(x, activation)
    }
}

fn composed(x: &Tensor, activation: Activation) -> Result<Tensor> {
    let halves = x.chunk(2, D::Minus1)?;
    let gate = match activation {
        Activation::Silu => halves[0].silu()?,
        Activation::GeluTanh => halves[0].gelu()?,
    };
    gate.mul(&halves[1])
}

struct GatedKernel {
    activation: Activation,
}

/// √(2/π), doubled: GELU's tanh form is x σ(2 √(2/π) (x + 0.044715 x³)).
const SLOPE: f32 = 1.595_769;
const CUBIC: f32 = 0.044_715;

#[expect(clippy::inline_always, reason = "a multiversioned loop vectorizes only what is inlined into it")]
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn silu_forward(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
        *out = gate * up * sigmoid(*gate);
    }
}

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn silu_backward(gate: &[f32], up: &[f32], grad: &[f32], dgate: &mut [f32], dup: &mut [f32]) {
    for i in 0..gate.len() {
        let s = sigmoid(gate[i]);
        dup[i] = grad[i] * gate[i] * s;
        dgate[i] = grad[i] * up[i] * s * (1.0 + gate[i] * (1.0 - s));
    }
}

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn gelu_forward(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, gate), up) in out.iter_mut().zip(gate).zip(up) {
        *out = gate * up * sigmoid(SLOPE * (gate + CUBIC * gate * gate * gate));
    }
}

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn gelu_backward(gate: &[f32], up: &[f32], grad: &[f32], dgate: &mut [f32], dup: &mut [f32]) {
    for i in 0..gate.len() {
        let x = gate[i];
        let s = sigmoid(SLOPE * (x + CUBIC * x * x * x));
        dup[i] = grad[i] * x * s;
        dgate[i] = grad[i] * up[i] * s * (1.0 + x * (1.0 - s) * SLOPE * (1.0 + 3.0 * CUBIC * x * x));
    }
}

impl GatedKernel {
    fn forward(&self, x: &[f32], half: usize) -> Vec<f32> {
        let mut out = vec![0.0; x.len() / 2];
        for (x, out) in x.chunks_exact(2 * half).zip(out.chunks_exact_mut(half)) {
            let (gate, up) = x.split_at(half);
            match self.activation {
                Activation::Silu => silu_forward(gate, up, out),
                Activation::GeluTanh => gelu_forward(gate, up, out),
            }
        }
        out
    }

    fn backward(&self, x: &[f32], grad: &[f32], half: usize) -> Vec<f32> {
        let mut dx = vec![0.0; x.len()];
        let rows = x.chunks_exact(2 * half).zip(grad.chunks_exact(half));
        for ((x, grad), dx) in rows.zip(dx.chunks_exact_mut(2 * half)) {
            let ((gate, up), (dgate, dup)) = (x.split_at(half), dx.split_at_mut(half));
            match self.activation {
                Activation::Silu => silu_backward(gate, up, grad, dgate, dup),
                Activation::GeluTanh => gelu_backward(gate, up, grad, dgate, dup),
            }
        }
        dx
    }
}

impl CustomOp1 for GatedKernel {
    fn name(&self) -> &'static str {
        "gated"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut dims = layout.dims().to_vec();
        let last = dims.last_mut().map_or(0, |d| std::mem::replace(d, *d / 2));
        if last == 0 || !last.is_multiple_of(2) {
            candle_core::bail!("a gated activation needs an even last dimension, got {last}");
        }
        Ok((CpuStorage::F32(self.forward(slice(x, layout)?, last / 2)), dims.into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let half = x.dim(D::Minus1)? / 2;
        let dx = with_values(x, |x| with_values(grad, |grad| self.backward(x, grad, half)))??;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, assert_same, random};
    use super::*;

    #[test]
    fn kernel_and_composition_agree_in_values_and_gradients() {
        let x = (random(&[7, 20], 3) * 3.0).unwrap();
        for activation in [Activation::Silu, Activation::GeluTanh] {
            let fused = |v: &[Tensor]| gated(&v[0], activation);
            assert_same(fused, |v| composed(&v[0], activation), std::slice::from_ref(&x), 1e-5);
            assert_gradients(fused, std::slice::from_ref(&x));
        }
    }
}
