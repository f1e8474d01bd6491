//! Rotary position embedding (Su et al. 2021, arXiv 2104.09864), halves rotated as in Llama's Hugging Face layout.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::kernel::{has_kernel, slice, with_values};

/// Cosines and sines of every token of a packed batch.
#[derive(Clone, Debug)]
pub struct Rope {
    head_dim: usize,
    /// `[tokens, head_dim / 2]`.
    cos: Arc<Vec<f32>>,
    sin: Arc<Vec<f32>>,
}

impl Rope {
    /// Angles for sequences of `lengths` tokens each, positions from 0, with base frequency `theta`.
    pub fn new(lengths: &[usize], head_dim: usize, theta: f64) -> Self {
        let half = head_dim / 2;
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let frequency = |i: usize| theta.powf(-(2.0 * i as f64) / head_dim as f64);
        let angles: Vec<f64> =
            (0..longest).flat_map(|p| (0..half).map(move |i| p as f64 * frequency(i))).collect();
        let table = |f: fn(f64) -> f64| {
            let one: Vec<f32> = angles.iter().map(|&a| f(a) as f32).collect();
            Arc::new(lengths.iter().flat_map(|&n| one[..n * half].iter().copied()).collect())
        };
        Self { head_dim, cos: table(f64::cos), sin: table(f64::sin) }
    }

    /// Rotates every head of `x`: `[tokens, heads · head_dim]`.
    ///
    /// # Errors
    /// If the number of tokens is another than at construction.
    pub fn apply(&self, x: &Tensor) -> Result<Tensor> {
        if has_kernel(x) {
            return x.contiguous()?.apply_op1(RopeKernel { rope: self.clone(), direction: 1.0 });
        }
        self.composed(x)
    }

    fn composed(&self, x: &Tensor) -> Result<Tensor> {
        let (tokens, width) = x.dims2()?;
        let half = self.head_dim / 2;
        let heads = width / self.head_dim;
        let table = |t: &[f32]| Tensor::from_slice(t, (tokens, 1, half), x.device())?.to_dtype(x.dtype());
        let (cos, sin) = (table(&self.cos)?, table(&self.sin)?);
        let x = x.reshape((tokens, heads, self.head_dim))?;
        let (a, b) = (x.narrow(2, 0, half)?, x.narrow(2, half, half)?);
        let left = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let right = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
        Tensor::cat(&[left, right], 2)?.reshape((tokens, width))
    }

    fn rotate(&self, x: &[f32], direction: f32) -> Vec<f32> {
        let half = self.head_dim / 2;
        let tokens = self.cos.len() / half.max(1);
        let width = x.len() / tokens.max(1);
        let mut out = vec![0.0; x.len()];
        rotate(x, &self.cos, &self.sin, direction, (width, half), &mut out);
        out
    }
}

struct RopeKernel {
    rope: Rope,
    /// 1 forwards, −1 for the transpose.
    direction: f32,
}

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn rotate(
    x: &[f32],
    cos: &[f32],
    sin: &[f32],
    direction: f32,
    (width, half): (usize, usize),
    out: &mut [f32],
) {
    for (token, (x, out)) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).enumerate() {
        let (cos, sin) = (&cos[token * half..][..half], &sin[token * half..][..half]);
        for (x, out) in x.chunks_exact(2 * half).zip(out.chunks_exact_mut(2 * half)) {
            let (a, b) = x.split_at(half);
            let (left, right) = out.split_at_mut(half);
            for i in 0..half {
                let sin = sin[i] * direction;
                left[i] = a[i] * cos[i] - b[i] * sin;
                right[i] = b[i] * cos[i] + a[i] * sin;
            }
        }
    }
}

impl CustomOp1 for RopeKernel {
    fn name(&self) -> &'static str {
        "rope"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (tokens, width) = layout.shape().dims2()?;
        if tokens * self.rope.head_dim / 2 != self.rope.cos.len() || width % self.rope.head_dim != 0 {
            candle_core::bail!("rope: {tokens} × {width} does not fit heads of {}", self.rope.head_dim);
        }
        let out = self.rope.rotate(slice(x, layout)?, self.direction);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let dx = with_values(grad, |grad| self.rope.rotate(grad, -self.direction))?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, assert_same, random};
    use super::*;

    #[test]
    fn kernel_and_composition_agree_in_values_and_gradients() {
        let rope = Rope::new(&[3, 5], 8, 10_000.0);
        let x = random(&[8, 16], 4);
        assert_same(|v| rope.apply(&v[0]), |v| rope.composed(&v[0]), std::slice::from_ref(&x), 1e-5);
        assert_gradients(|v| rope.apply(&v[0]), &[x]);
    }

    #[test]
    fn products_depend_on_the_distance_only() {
        let rope = Rope::new(&[10], 8, 10_000.0);
        let row = random(&[1, 8], 5);
        let x = rope.apply(&row.repeat((10, 1)).unwrap()).unwrap();
        let scores: Vec<Vec<f32>> = x.matmul(&x.t().unwrap()).unwrap().to_vec2().unwrap();
        assert!((scores[0][3] - scores[6][9]).abs() < 1e-4);
        assert!((scores[2][3] - scores[7][8]).abs() < 1e-4);
    }
}
