//! Summed cross entropy over classes.

use std::sync::Arc;

use candle_core::{CpuStorage, CustomOp1, D, DType, Layout, Result, Shape, Tensor};

use super::kernel::{exp, has_kernel, slice, with_values};

/// Σ −log softmax(`logits`)\[target\] in nats, a scalar; `logits`: `[n, classes]`, `targets`: n class indices.
///
/// With `smoothing` ε the target is worth 1 − ε and ε is spread evenly over all classes (Szegedy et al. 2016, arXiv 1512.00567).
///
/// # Errors
/// If the shapes do not fit or a target is no class.
pub fn cross_entropy_sum(logits: &Tensor, targets: &[u32], smoothing: f32) -> Result<Tensor> {
    let (rows, classes) = logits.dims2()?;
    if rows != targets.len() || targets.iter().any(|&t| t as usize >= classes) {
        candle_core::bail!("cross entropy: {rows} × {classes} logits for {} targets", targets.len());
    }
    if has_kernel(logits) {
        let kernel = CrossEntropyKernel { targets: targets.into(), smoothing };
        return logits.contiguous()?.apply_op1(kernel);
    }
    composed(&logits.to_dtype(DType::F32)?, targets, smoothing)
}

fn composed(logits: &Tensor, targets: &[u32], smoothing: f32) -> Result<Tensor> {
    let logits = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let normalizer = logits.exp()?.sum_keepdim(D::Minus1)?.log()?;
    let targets = Tensor::from_slice(targets, (targets.len(), 1), logits.device())?;
    let mut expected = logits.gather(&targets, D::Minus1)?;
    if smoothing > 0.0 {
        let mean = (logits.mean_keepdim(D::Minus1)? * f64::from(smoothing))?;
        expected = ((expected * f64::from(1.0 - smoothing))? + mean)?;
    }
    (normalizer - expected)?.sum_all()
}

struct CrossEntropyKernel {
    targets: Arc<[u32]>,
    smoothing: f32,
}

/// max and Σ exp(x − max) of a row.
#[expect(clippy::inline_always, reason = "a multiversioned loop vectorizes only what is inlined into it")]
#[inline(always)]
fn normalizer(row: &[f32]) -> (f32, f32) {
    let max = row.iter().copied().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
    let mut sums = [0f32; 16];
    for chunk in row.chunks(16) {
        for (lane, x) in sums.iter_mut().zip(chunk) {
            *lane += exp(x - max);
        }
    }
    (max, sums.iter().sum())
}

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn forward(logits: &[f32], targets: &[u32], smoothing: f32) -> f64 {
    let classes = logits.len() / targets.len().max(1);
    let mut total = 0.0;
    for (row, &target) in logits.chunks_exact(classes.max(1)).zip(targets) {
        let (max, sum) = normalizer(row);
        let mut expected = row[target as usize];
        if smoothing > 0.0 {
            let mean = row.iter().sum::<f32>() / classes as f32;
            expected += smoothing * (mean - expected);
        }
        total += f64::from(max - expected) + f64::from(sum).ln();
    }
    total
}

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn backward(logits: &[f32], targets: &[u32], smoothing: f32, grad: f32, out: &mut [f32]) {
    let classes = (logits.len() / targets.len().max(1)).max(1);
    for ((row, out), &target) in logits.chunks_exact(classes).zip(out.chunks_exact_mut(classes)).zip(targets)
    {
        let (max, sum) = normalizer(row);
        let (scale, spread) = (grad / sum, grad * smoothing / classes as f32);
        for (out, x) in out.iter_mut().zip(row) {
            *out = exp(x - max) * scale - spread;
        }
        out[target as usize] -= grad * (1.0 - smoothing);
    }
}

impl CustomOp1 for CrossEntropyKernel {
    fn name(&self) -> &'static str {
        "cross-entropy"
    }

    fn cpu_fwd(&self, logits: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let loss = forward(slice(logits, layout)?, &self.targets, self.smoothing);
        Ok((CpuStorage::F32(vec![loss as f32]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, grad: &Tensor) -> Result<Option<Tensor>> {
        let grad = grad.to_scalar::<f32>()?;
        let mut out = vec![0.0; logits.elem_count()];
        with_values(logits, |logits| backward(logits, &self.targets, self.smoothing, grad, &mut out))?;
        Ok(Some(Tensor::from_vec(out, logits.shape(), logits.device())?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, assert_same, random};
    use super::*;

    #[test]
    fn kernel_and_composition_agree_in_values_and_gradients() {
        let logits = random(&[6, 35], 10);
        let targets = [0, 34, 3, 3, 17, 8];
        for smoothing in [0.0, 0.1] {
            let fused = |v: &[Tensor]| cross_entropy_sum(&v[0], &targets, smoothing);
            let composed = |v: &[Tensor]| composed(&v[0], &targets, smoothing);
            assert_same(fused, composed, std::slice::from_ref(&logits), 1e-5);
            assert_gradients(fused, std::slice::from_ref(&logits));
        }
    }

    #[test]
    fn uniform_logits_cost_the_log_of_the_classes() {
        let logits = Tensor::zeros((3, 10), candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
        let loss = cross_entropy_sum(&logits, &[1, 2, 3], 0.0).unwrap().to_scalar::<f32>().unwrap();
        assert!((loss - 3.0 * 10f32.ln()).abs() < 1e-5);
        assert!(cross_entropy_sum(&logits, &[1, 2, 10], 0.0).is_err());
    }
}
