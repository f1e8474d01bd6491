//! Matrix products on the CPU.
//!
//! With AVX-512 they are computed by tiles of 12 × 32 sums in registers over packed operands (Goto and van de Geijn 2008), in
//! float32 or, where the CPU has the instructions, with operands rounded to bfloat16 and float32 sums: what `torch.autocast`
//! computes, without tensors in bfloat16. Elsewhere the crate `gemm` computes them. A sum runs over its terms in an order that
//! depends on nothing but their number.

#[cfg(target_arch = "x86_64")]
mod avx512;
mod int8;
#[cfg(target_arch = "x86_64")]
mod pack;

use std::ops::Range;

use rayon::prelude::*;

use crate::threads::spare_threads;
#[cfg(target_arch = "x86_64")]
use avx512::{PackedRight, Right};
pub(super) use int8::Int8Matrix;

/// Products of two numbers in float32 that are worth a thread of their own.
const LEAST_FLOAT32: usize = 1 << 20;

/// A matrix inside a slice: entry (i, j) is at `i · row + j · col`.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) values: &'a [f32],
    pub(super) row: usize,
    pub(super) col: usize,
}

impl View<'_> {
    /// Its transpose.
    #[cfg(target_arch = "x86_64")]
    fn turned(self) -> Self {
        Self { row: self.col, col: self.row, ..self }
    }

    fn holds(&self, rows: usize, cols: usize) -> bool {
        rows == 0 || cols == 0 || (rows - 1) * self.row + (cols - 1) * self.col < self.values.len()
    }
}

/// What operands are rounded to before they are multiplied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Operands {
    /// Nothing.
    #[default]
    Float32,
    /// bfloat16, where the CPU can; sums stay float32.
    Bfloat16,
}

impl Operands {
    /// Whether products of such operands are faster on this CPU than those of float32.
    pub fn are_fast(self) -> bool {
        match self {
            Self::Float32 => true,
            #[cfg(target_arch = "x86_64")]
            Self::Bfloat16 => avx512::has_bfloat16(),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Bfloat16 => false,
        }
    }
}

/// `out[i · row + j] (+)= factor · Σ_k a(i, k) b(k, j)` for an `m` × `k` matrix `a` and a `k` × `n` matrix `b`.
pub(super) fn matmul(
    operands: Operands,
    (m, k, n): (usize, usize, usize),
    a: View<'_>,
    b: View<'_>,
    factor: f32,
    (out, row): (&mut [f32], usize),
    accumulate: bool,
) {
    if m == 0 || n == 0 {
        return;
    }
    assert!(a.holds(m, k) && b.holds(k, n) && (m - 1) * row + n <= out.len(), "matrix outside its slice");
    assert!(n <= row || m == 1, "rows of the result overlap");
    #[cfg(target_arch = "x86_64")]
    if k > 0 && avx512::multiply(operands, (m, k, n), a, Right::View(b), factor, (out, row), accumulate) {
        return;
    }
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

/// A right operand that is packed once for many products: with few rows, packing is most of the work.
#[derive(Debug)]
pub(super) struct PackedMatrix {
    #[cfg(target_arch = "x86_64")]
    packed: PackedRight,
    sizes: (usize, usize),
}

impl PackedMatrix {
    /// Packs a `k` × `n` matrix; `None` where this CPU's kernel reads operands as they are.
    pub(super) fn new(operands: Operands, (k, n): (usize, usize), b: View<'_>) -> Option<Self> {
        assert!(b.holds(k, n), "matrix outside its slice");
        #[cfg(target_arch = "x86_64")]
        return PackedRight::new(operands, (k, n), b).map(|packed| Self { packed, sizes: (k, n) });
        #[cfg(not(target_arch = "x86_64"))]
        None
    }

    /// `out[i · n + j] = Σ_k a(i, k) b(k, j)`, with the bits of [`matmul`], on as many threads as are spare.
    pub(super) fn multiply(&self, m: usize, a: View<'_>, out: &mut [f32]) {
        let (k, n) = self.sizes;
        assert!(a.holds(m, k) && m * n <= out.len(), "matrix outside its slice");
        #[cfg(target_arch = "x86_64")]
        if m > 0 && n > 0 {
            let kind = Operands::Float32; // The packed operand knows its own.
            by_columns((m, k, n), (avx512::COLUMNS, LEAST_FLOAT32), out, |panels, width, out| {
                let right = Right::Packed(&self.packed, panels);
                avx512::multiply(kind, (m, k, width), a, right, 1.0, (out, width), false);
            });
        }
    }
}

/// Lets `multiply` compute an `m` × `n` result, on as many threads as are spare and have at least `least` products of two numbers to add
/// up, `k` for each entry: each a share of its panels of `columns` columns, given as their numbers, the width of the share, and where
/// it goes. No entry depends on the shares.
fn by_columns(
    (m, k, n): (usize, usize, usize),
    (columns, least): (usize, usize),
    out: &mut [f32],
    multiply: impl Fn(Range<usize>, usize, &mut [f32]) + Sync,
) {
    let panels = n.div_ceil(columns);
    let shares = spare_threads().min(m * k * n / least).clamp(1, panels.max(1));
    if shares == 1 {
        return multiply(0..panels, n, out);
    }
    let share = |number: usize| {
        let panels = number * panels / shares..(number + 1) * panels / shares;
        let width = (panels.end * columns).min(n) - panels.start * columns;
        let mut own = vec![0.0; m * width];
        multiply(panels, width, &mut own);
        (width, own)
    };
    let found: Vec<(usize, Vec<f32>)> = (0..shares).into_par_iter().map(share).collect();
    for (row, out) in out.chunks_exact_mut(n).take(m).enumerate() {
        let mut at = 0;
        for (width, own) in &found {
            out[at..at + width].copy_from_slice(&own[row * width..][..*width]);
            at += width;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::random;
    use super::*;
    use crate::threads::with_spare_threads;

    fn values(shape: &[usize], seed: u64) -> Vec<f32> {
        random(shape, seed).flatten_all().unwrap().to_vec1().unwrap()
    }

    /// Every entry beside the sum of its terms, for sizes around those of tiles and blocks, and all layouts.
    #[test]
    fn entries_are_the_sums_of_their_terms() {
        let sizes = [(1, 1, 1), (12, 512, 32), (13, 7, 33), (37, 45, 51), (250, 530, 70), (5, 1030, 3)];
        for (number, (m, k, n)) in sizes.into_iter().enumerate() {
            let (a, b) = (values(&[m, k], number as u64), values(&[k, n], 100 + number as u64));
            let views_a = [View { values: &a, row: k, col: 1 }, View { values: &a, row: 1, col: m }];
            let views_b = [View { values: &b, row: n, col: 1 }, View { values: &b, row: 1, col: k }];
            for (a, b) in views_a.into_iter().flat_map(|a| views_b.map(|b| (a, b))) {
                for (operands, tolerance) in [(Operands::Float32, 2e-6), (Operands::Bfloat16, 8e-3)] {
                    let row = n + 3;
                    let mut out = vec![0.5f32; m * row];
                    matmul(operands, (m, k, n), a, b, 2.0, (&mut out, row), true);
                    matmul(operands, (m, k, n), a, b, -1.0, (&mut out, row), true);
                    for (i, j) in [(0, 0), (m - 1, n - 1), (m / 2, n / 3), (m / 3, n / 2)] {
                        let term = |x: usize| {
                            f64::from(a.values[i * a.row + x * a.col])
                                * f64::from(b.values[x * b.row + j * b.col])
                        };
                        let exact = 0.5 + (0..k).map(term).sum::<f64>();
                        let found = f64::from(out[i * row + j]);
                        let error = (found - exact).abs() / (k as f64).sqrt();
                        assert!(error < tolerance, "{operands:?} {m} × {k} × {n}: {found} against {exact}");
                    }
                    assert!(out.chunks(row).all(|row| row[n..] == [0.5; 3]), "beyond the rows");
                }
            }
        }
    }

    #[test]
    fn packed_once_is_packed_each_time() {
        for (m, k, n) in
            [(1, 600, 40), (12, 192, 384), (29, 300, 401), (40, 600, 330), (37, 1030, 3), (0, 3, 3)]
        {
            let (a, b) = (values(&[m, k], 1), values(&[n, k], 2));
            let (a, b) = (View { values: &a, row: k, col: 1 }, View { values: &b, row: 1, col: k });
            for operands in [Operands::Float32, Operands::Bfloat16] {
                let Some(packed) = PackedMatrix::new(operands, (k, n), b) else { return };
                let (mut expected, mut found) = (vec![0.0; m * n], vec![0.5; m * n]);
                matmul(operands, (m, k, n), a, b, 1.0, (&mut expected, n), false);
                packed.multiply(m, a, &mut found);
                assert_eq!(found, expected, "{operands:?} {m} × {k} × {n}");
                // However many threads share it.
                for threads in [2, 3, 5] {
                    found.fill(0.5);
                    with_spare_threads(threads, || packed.multiply(m, a, &mut found));
                    assert_eq!(found, expected, "{operands:?} {m} × {k} × {n} on {threads} threads");
                }
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_the_others() {
        let (k, n) = (600, 40);
        let (a, b) = (values(&[100, k], 1), values(&[k, n], 2));
        let product = |rows: std::ops::Range<usize>, operands| {
            let mut out = vec![0f32; rows.len() * n];
            let a = View { values: &a[rows.start * k..rows.end * k], row: k, col: 1 };
            let b = View { values: &b, row: n, col: 1 };
            matmul(operands, (rows.len(), k, n), a, b, 1.0, (&mut out, n), false);
            out
        };
        for operands in [Operands::Float32, Operands::Bfloat16] {
            let all = product(0..100, operands);
            for row in [0, 11, 12, 57, 99] {
                assert_eq!(product(row..row + 1, operands), all[row * n..(row + 1) * n]);
            }
        }
    }
}
