//! The few things that the hand-written CPU kernels share: slices of tensors, a vectorizable `exp`, a bounded matrix product.

use candle_core::{CpuStorage, DType, Layout, Result, Storage, Tensor, bail};

/// The contiguous float32 values behind a storage.
pub(super) fn slice<'s>(storage: &'s CpuStorage, layout: &Layout) -> Result<&'s [f32]> {
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("a CPU kernel needs contiguous tensors")
    };
    Ok(&storage.as_slice::<f32>()?[start..end])
}

/// Calls `f` with the values of a CPU tensor.
pub(super) fn with_values<R>(tensor: &Tensor, f: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(f(slice(storage, layout)?)),
        _ => bail!("a CPU kernel needs tensors of the CPU"),
    }
}

/// Whether the hand-written kernels serve this tensor; elsewhere the composed operations do.
pub(super) fn has_kernel(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() == DType::F32
}

/// e^x by a polynomial of degree 6 after range reduction; relative error under 2e-7, branch-free, so that loops over it
/// become vector code. Below −87 the result is about 1e-38 instead of a denormal.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    const MAGIC: f32 = 12_582_912.0; // 1.5 · 2^23: adding it rounds to an integer kept in the low bits
    let x = x.clamp(-87.0, 88.0);
    let shifted = x * std::f32::consts::LOG2_E + MAGIC;
    let n = shifted - MAGIC;
    let r = (x - n * 0.693_359_4) + n * 2.121_944_4e-4;
    let p = 1.0
        + r * (1.0
            + r * (0.5 + r * (0.166_666_67 + r * (0.041_666_57 + r * (0.008_333_68 + r * 0.001_398_2)))));
    let scale = f32::from_bits(shifted.to_bits().wrapping_shl(23).wrapping_add(127 << 23));
    p * scale
}

/// A matrix inside a slice: entry (i, j) is at `i · row + j · col`.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) values: &'a [f32],
    pub(super) row: usize,
    pub(super) col: usize,
}

impl View<'_> {
    fn holds(&self, rows: usize, cols: usize) -> bool {
        rows == 0 || cols == 0 || (rows - 1) * self.row + (cols - 1) * self.col < self.values.len()
    }
}

/// `out[i · row + j] (+)= factor · Σ_k a(i, k) b(k, j)` for an `m` × `k` matrix `a` and a `k` × `n` matrix `b`.
pub(super) fn matmul(
    (m, k, n): (usize, usize, usize),
    a: View<'_>,
    b: View<'_>,
    factor: f32,
    out: &mut [f32],
    row: usize,
    accumulate: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(a.holds(m, k) && b.holds(k, n) && (m - 1) * row + n <= out.len(), "matrix outside its slice");
    #[expect(
        unsafe_code,
        reason = "gemm takes raw pointers; the assertion above bounds every entry it touches"
    )]
    // SAFETY: all entries of the three matrices lie inside their slices (asserted), and `out` is borrowed mutably.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            row.cast_signed(),
            accumulate,
            a.values.as_ptr(),
            a.col.cast_signed(),
            a.row.cast_signed(),
            b.values.as_ptr(),
            b.col.cast_signed(),
            b.row.cast_signed(),
            1.0,
            factor,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_accurate() {
        for i in -870..=880 {
            let x = i as f32 / 10.0;
            let exact = f64::from(x).exp();
            assert!((f64::from(exp(x)) / exact - 1.0).abs() < 3e-7, "{x}: {} against {exact}", exp(x));
        }
        assert!(exp(-1000.0) < 1e-37);
    }

    #[test]
    fn matmul_respects_strides_and_accumulates() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let mut out = [10.0; 4];
        // a (2 × 3) times its own transpose.
        let (rows, columns) = (View { values: &a, row: 3, col: 1 }, View { values: &a, row: 1, col: 3 });
        matmul((2, 3, 2), rows, columns, 2.0, &mut out, 2, true);
        let exact = [38.0, 74.0, 74.0, 164.0];
        assert!(out.iter().zip(exact).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-4), "{out:?}");
    }
}
