//! Rotary position embedding (Su et al. 2021, arXiv 2104.09864), halves rotated as in Llama's Hugging Face layout.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::kernel::{has_kernel, slice, with_values};

/// How fast each pair of a head turns.
#[derive(Clone, Debug, PartialEq)]
pub struct RopeFrequencies {
    /// Radians a position, one for each half of a head's width.
    pub inverse: Vec<f64>,
    /// The factor on cosines and sines; 1 but for `YaRN`.
    pub magnitude: f64,
}

impl RopeFrequencies {
    /// θ^(−2i / `head_dim`), without scaling.
    pub fn new(head_dim: usize, theta: f64) -> Self {
        let frequency = |i: usize| theta.powf(-(2.0 * i as f64) / head_dim as f64);
        Self { inverse: (0..head_dim / 2).map(frequency).collect(), magnitude: 1.0 }
    }
}

/// Cosines and sines of every token of a packed batch.
#[derive(Clone, Debug)]
pub struct Rope {
    half: usize,
    /// `[tokens, half]`.
    cos: Arc<Vec<f32>>,
    sin: Arc<Vec<f32>>,
}

impl Rope {
    /// Angles for sequences of `lengths` tokens each, positions from 0.
    pub fn new(lengths: &[usize], frequencies: &RopeFrequencies) -> Self {
        Self::at(&lengths.iter().map(|&length| 0..length).collect::<Vec<_>>(), frequencies)
    }

    /// Angles for tokens at these positions, sequence after sequence.
    pub fn at(positions: &[Range<usize>], frequencies: &RopeFrequencies) -> Self {
        let half = frequencies.inverse.len();
        let first = positions.iter().map(|r| r.start).min().unwrap_or(0);
        let last = positions.iter().map(|r| r.end).max().unwrap_or(0);
        let first = first.min(last);
        let angles: Vec<f64> =
            (first..last).flat_map(|p| frequencies.inverse.iter().map(move |f| p as f64 * f)).collect();
        let table = |f: fn(f64) -> f64| {
            let one: Vec<f32> = angles.iter().map(|&a| (f(a) * frequencies.magnitude) as f32).collect();
            let part = |r: &Range<usize>| one[(r.start - first) * half..(r.end - first) * half].to_vec();
            Arc::new(positions.iter().filter(|r| !r.is_empty()).flat_map(part).collect())
        };
        Self { half, cos: table(f64::cos), sin: table(f64::sin) }
    }

    /// Rotates the heads in the first `columns` of `x` and copies the rest: `[tokens, width]` → `[tokens, width]`.
    ///
    /// # Errors
    /// If the number of tokens is another than at construction, or `columns` is no whole number of heads.
    pub fn apply(&self, x: &Tensor, columns: usize) -> Result<Tensor> {
        let (tokens, width) = x.dims2()?;
        if tokens * self.half != self.cos.len() || !columns.is_multiple_of(2 * self.half) || columns > width {
            candle_core::bail!("rope: {columns} of {tokens} × {width} are no heads of {}", 2 * self.half);
        }
        if has_kernel(x) {
            return x.contiguous()?.apply_op1(RopeKernel { rope: self.clone(), columns, direction: 1.0 });
        }
        self.composed(x, columns)
    }

    fn composed(&self, x: &Tensor, columns: usize) -> Result<Tensor> {
        let (tokens, width) = x.dims2()?;
        let table =
            |t: &[f32]| Tensor::from_slice(t, (tokens, 1, self.half), x.device())?.to_dtype(x.dtype());
        let (cos, sin) = (table(&self.cos)?, table(&self.sin)?);
        let heads = x.narrow(1, 0, columns)?.reshape((tokens, (), 2 * self.half))?;
        let (a, b) = (heads.narrow(2, 0, self.half)?, heads.narrow(2, self.half, self.half)?);
        let left = (a.broadcast_mul(&cos)? - b.broadcast_mul(&sin)?)?;
        let right = (b.broadcast_mul(&cos)? + a.broadcast_mul(&sin)?)?;
        let rotated = Tensor::cat(&[left, right], 2)?.reshape((tokens, columns))?;
        if columns == width {
            return Ok(rotated);
        }
        Tensor::cat(&[rotated, x.narrow(1, columns, width - columns)?], 1)
    }

    fn rotate(&self, x: &[f32], columns: usize, direction: f32) -> Vec<f32> {
        let tokens = self.cos.len() / self.half.max(1);
        let width = x.len() / tokens.max(1);
        let mut out = vec![0.0; x.len()];
        rotate(x, &self.cos, &self.sin, direction, (width.max(1), columns, self.half), &mut out);
        out
    }
}

struct RopeKernel {
    rope: Rope,
    columns: usize,
    /// 1 forwards, −1 for the transpose.
    direction: f32,
}

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn rotate(
    x: &[f32],
    cos: &[f32],
    sin: &[f32],
    direction: f32,
    (width, columns, half): (usize, usize, usize),
    out: &mut [f32],
) {
    for (token, (x, out)) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)).enumerate() {
        let (cos, sin) = (&cos[token * half..][..half], &sin[token * half..][..half]);
        let (heads, rest) = x.split_at(columns);
        let (out_heads, out_rest) = out.split_at_mut(columns);
        out_rest.copy_from_slice(rest);
        for (x, out) in heads.chunks_exact(2 * half).zip(out_heads.chunks_exact_mut(2 * half)) {
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
        let out = self.rope.rotate(slice(x, layout)?, self.columns, self.direction);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let dx = with_values(grad, |grad| self.rope.rotate(grad, self.columns, -self.direction))?;
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, assert_same, random};
    use super::*;

    fn frequencies() -> RopeFrequencies {
        RopeFrequencies { magnitude: 1.2, ..RopeFrequencies::new(8, 10_000.0) }
    }

    #[test]
    fn kernel_and_composition_agree_in_values_and_gradients() {
        let rope = Rope::new(&[3, 5], &frequencies());
        let x = random(&[8, 24], 4);
        for columns in [24, 16] {
            let fused = |v: &[Tensor]| rope.apply(&v[0], columns);
            assert_same(fused, |v| rope.composed(&v[0], columns), std::slice::from_ref(&x), 1e-5);
            assert_gradients(fused, std::slice::from_ref(&x));
        }
        assert!(rope.apply(&x, 20).is_err());
    }

    #[test]
    fn products_depend_on_the_distance_only() {
        let rope = Rope::new(&[10], &frequencies());
        let row = random(&[1, 8], 5);
        let x = rope.apply(&row.repeat((10, 1)).unwrap(), 8).unwrap();
        let scores: Vec<Vec<f32>> = x.matmul(&x.t().unwrap()).unwrap().to_vec2().unwrap();
        assert!((scores[0][3] - scores[6][9]).abs() < 1e-4);
        assert!((scores[2][3] - scores[7][8]).abs() < 1e-4);
    }

    #[test]
    fn tokens_may_start_anywhere() {
        let x = random(&[7, 8], 6);
        let whole = Rope::new(&[7], &frequencies()).apply(&x, 8).unwrap();
        let tail = Rope::at(std::slice::from_ref(&(4..7)), &frequencies());
        let tail = tail.apply(&x.narrow(0, 4, 3).unwrap(), 8).unwrap();
        assert_eq!(whole.narrow(0, 4, 3).unwrap().to_vec2::<f32>().unwrap(), tail.to_vec2::<f32>().unwrap());
    }
}
