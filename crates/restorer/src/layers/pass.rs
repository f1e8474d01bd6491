//! How a forward pass computes: what its products round to, and dropout (Srivastava et al. 2014) whose masks are a function of
//! a seed and never stored.

use std::sync::atomic::{AtomicU64, Ordering};

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::kernel::{has_kernel, slice, with_values};
use super::product::Operands;

/// One forward pass: each dropout in it has a mask of its own.
#[derive(Debug)]
pub struct Pass {
    seed: Option<u64>,
    next: AtomicU64,
    operands: Operands,
}

impl Pass {
    /// No randomness: dropout does nothing. Products are of float32.
    pub const fn plain() -> Self {
        Self { seed: None, next: AtomicU64::new(0), operands: Operands::Float32 }
    }

    /// Masks drawn from `seed`; the same seed and the same order of calls give the same masks.
    pub const fn seeded(seed: u64) -> Self {
        Self { seed: Some(seed), ..Self::plain() }
    }

    /// The pass with products of other operands, where a CPU computes them.
    #[must_use]
    pub fn with_operands(self, operands: Operands) -> Self {
        Self { operands, ..self }
    }

    /// What products round their operands to on a CPU.
    pub(super) fn operands(&self) -> Operands {
        self.operands
    }

    /// The randomness of part number `number` of the pass: the same whenever that part is computed.
    #[must_use]
    pub fn part(&self, number: u64) -> Self {
        let seed = self.seed.map(|seed| mix(seed ^ mix(!number)));
        Self { seed, next: AtomicU64::new(0), operands: self.operands }
    }

    /// The same randomness from its beginning.
    #[must_use]
    pub fn again(&self) -> Self {
        Self { seed: self.seed, next: AtomicU64::new(0), operands: self.operands }
    }

    /// A mask for elements that stay with probability 1 − `rate`; none where everything stays.
    pub(super) fn mask(&self, rate: f32) -> Option<Mask> {
        let seed = self.seed.filter(|_| rate > 0.0)?;
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Some(Mask { seed: mix(seed ^ mix(number.wrapping_add(1))), rate })
    }

    /// Zeroes each element with probability `rate` and scales the others by 1 / (1 − `rate`).
    ///
    /// # Errors
    /// If the tensor library fails.
    pub fn dropout(&self, x: &Tensor, rate: f32) -> Result<Tensor> {
        let Some(mask) = self.mask(rate) else { return Ok(x.clone()) };
        if has_kernel(x) {
            return x.contiguous()?.apply_op1(mask);
        }
        x * mask.tensor(x.dims(), x.device())?.to_dtype(x.dtype())?
    }
}

/// `SplitMix64`'s finalizer (Steele et al. 2014).
pub(crate) fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Which elements stay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mask {
    seed: u64,
    rate: f32,
}

/// Elements that share a seed; inside, an element's bits are a function of its index alone.
const CHUNK: usize = 4096;

impl Mask {
    /// out = x · mask / (1 − rate), row number `row` of whatever the mask lies over.
    pub(super) fn apply_row(&self, row: u64, x: &mut [f32]) {
        for (chunk, x) in x.chunks_mut(CHUNK).enumerate() {
            let seed =
                mix(self.seed ^ mix(row.wrapping_mul(0x1_0000_0001).wrapping_add(chunk as u64))) as u32;
            apply(seed, self.threshold(), 1.0 / (1.0 - self.rate), x);
        }
    }

    /// Of 2^32, how many values of an element's bits take it away.
    fn threshold(&self) -> u32 {
        (f64::from(self.rate) * 4_294_967_296.0) as u32
    }

    /// The factors of all elements, for devices without a kernel.
    pub(super) fn tensor(&self, dims: &[usize], device: &candle_core::Device) -> Result<Tensor> {
        let mut factors = vec![1f32; dims.iter().product()];
        self.apply_row(0, &mut factors);
        Tensor::from_vec(factors, dims, device)
    }
}

/// The finalizer of `MurmurHash3` on each index: few operations, all of them vector code.
#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn apply(seed: u32, threshold: u32, scale: f32, x: &mut [f32]) {
    for (index, x) in x.iter_mut().enumerate() {
        let mut h = (index as u32).wrapping_mul(0x9E37_79B9) ^ seed;
        h = (h ^ (h >> 16)).wrapping_mul(0x85EB_CA6B);
        h = (h ^ (h >> 13)).wrapping_mul(0xC2B2_AE35);
        h ^= h >> 16;
        *x *= if h < threshold { 0.0 } else { scale };
    }
}

impl CustomOp1 for Mask {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut out = slice(x, layout)?.to_vec();
        self.apply_row(0, &mut out);
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let mut dx = with_values(grad, <[f32]>::to_vec)?;
        self.apply_row(0, &mut dx);
        Ok(Some(Tensor::from_vec(dx, x.shape(), x.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_same, random};
    use super::*;

    #[test]
    fn the_mean_stays_and_the_share_is_the_rate() {
        let ones = Tensor::ones((100, 1000), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
        let pass = Pass::seeded(7);
        for rate in [0.1f32, 0.5] {
            let out: Vec<f32> = pass.dropout(&ones, rate).unwrap().flatten_all().unwrap().to_vec1().unwrap();
            let gone = out.iter().filter(|x| **x == 0.0).count() as f32 / out.len() as f32;
            let mean = out.iter().sum::<f32>() / out.len() as f32;
            assert!((gone - rate).abs() < 0.006, "{gone} of {rate}");
            assert!((mean - 1.0).abs() < 0.02, "{mean}");
        }
    }

    #[test]
    fn seeds_and_calls_differ_and_repeat() {
        let x = random(&[3, 5000], 2);
        let run = |seed| {
            let pass = Pass::seeded(seed);
            let values = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            (values(pass.dropout(&x, 0.3).unwrap()), values(pass.dropout(&x, 0.3).unwrap()))
        };
        assert_eq!(run(1), run(1));
        assert_ne!(run(1).0, run(1).1);
        assert_ne!(run(1).0, run(2).0);
        let off = Pass::plain().dropout(&x, 0.9).unwrap();
        assert_eq!(off.to_vec2::<f32>().unwrap(), x.to_vec2::<f32>().unwrap());
    }

    #[test]
    fn kernel_and_composition_agree_in_values_and_gradients() {
        let mask = Pass::seeded(3).mask(0.25).unwrap();
        let factors = mask.tensor(&[9, 700], &candle_core::Device::Cpu).unwrap();
        let x = random(&[9, 700], 5);
        assert_same(|v| v[0].apply_op1(mask), |v| &v[0] * &factors, std::slice::from_ref(&x), 1e-6);
    }
}
