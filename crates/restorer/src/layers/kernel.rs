//! The few things that the hand-written CPU kernels share: slices of tensors, and a vectorizable `exp`.

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
}
