//! Softmax over rows of scores, and its gradient, as vector code.

use super::super::kernel::exp;

/// Softmax of each row over its first `seen(row)` entries; the rest becomes 0.
#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
pub(in super::super) fn softmax_rows(scores: &mut [f32], width: usize, first_seen: usize, growth: usize) {
    for (i, row) in scores.chunks_exact_mut(width).enumerate() {
        let (seen, hidden) = row.split_at_mut(first_seen + i * growth);
        let mut largest = [f32::NEG_INFINITY; 16];
        for chunk in seen.chunks(16) {
            for (lane, x) in largest.iter_mut().zip(chunk) {
                *lane = if *x > *lane { *x } else { *lane };
            }
        }
        let max = largest.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sums = [0f32; 16];
        for chunk in seen.chunks_mut(16) {
            for (lane, x) in sums.iter_mut().zip(chunk) {
                *x = exp(*x - max);
                *lane += *x;
            }
        }
        let inverse = 1.0 / sums.iter().sum::<f32>();
        for x in seen.iter_mut() {
            *x *= inverse;
        }
        hidden.fill(0.0);
    }
}

/// Turns the gradient of the weights into that of the scores, in place: w · (g − Σ w g).
#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
pub(super) fn softmax_gradient(weights: &[f32], grad: &mut [f32], width: usize) {
    for (w, g) in weights.chunks_exact(width).zip(grad.chunks_exact_mut(width)) {
        let mut sums = [0f32; 16];
        for (w, g) in w.chunks(16).zip(g.chunks(16)) {
            for (lane, (w, g)) in sums.iter_mut().zip(w.iter().zip(g)) {
                *lane += w * g;
            }
        }
        let along = sums.iter().sum::<f32>();
        for (w, g) in w.iter().zip(g) {
            *g = w * (*g - along);
        }
    }
}
