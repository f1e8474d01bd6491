//! Products with weights of 8 bits: each row of the left operand is rounded to 8 bits, too, by its own largest magnitude (dynamic
//! quantization, as in `LLM.int8()`, Dettmers et al. 2022, arXiv 2208.07339, without its outliers), and the sums are exact integers.
//! The same bits on every CPU; with AVX-512 VNNI four products an instruction and lane.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "vector instructions; held by the tests below")
)]

use std::cell::RefCell;
use std::ops::Range;

use super::by_columns;
use crate::quantized::quantize;

/// Columns of a panel.
const COLUMNS: usize = 32;
/// Weights of a unit.
const UNIT: usize = 4;
/// Products of two numbers that are worth a thread of their own.
const LEAST_INT8: usize = 1 << 22;
/// What is added to a row's integers, so that they are unsigned.
const ZERO: i32 = 128;

/// The transpose of a matrix `[n, k]` of 8 bits a weight with a scale a row, as a right operand.
#[derive(Debug)]
pub(in super::super) struct Int8Matrix {
    sizes: (usize, usize),
    /// Panels of 32 columns: for each unit, four weights of every column.
    panels: Vec<[i8; UNIT]>,
    scales: Vec<f32>,
    /// Of each column, `ZERO` times the sum of its weights.
    offsets: Vec<i32>,
}

thread_local! {
    /// Rounded rows and their scales; their memory is kept.
    static ROWS: RefCell<(Vec<[u8; UNIT]>, Vec<f32>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// Units from one rounded row to the next, and those of a panel.
fn units(k: usize) -> usize {
    k.div_ceil(UNIT)
}

impl Int8Matrix {
    /// Rounds a weight `[n, k]`.
    pub(in super::super) fn new((n, k): (usize, usize), weight: &[f32]) -> Self {
        assert!(weight.len() == n * k && k < 1 << 16, "a weight of other sizes, or sums beyond 32 bits");
        let (bytes, scales) = quantize(weight, k.max(1));
        let mut panels = vec![[0; UNIT]; n.div_ceil(COLUMNS) * units(k) * COLUMNS];
        let mut offsets = vec![0; n.next_multiple_of(COLUMNS)];
        for (column, weights) in bytes.chunks_exact(k.max(1)).enumerate() {
            let panel = &mut panels[column / COLUMNS * units(k) * COLUMNS + column % COLUMNS..];
            for (unit, weights) in weights.chunks(UNIT).enumerate() {
                panel[unit * COLUMNS][..weights.len()].copy_from_slice(weights);
            }
            offsets[column] = ZERO * weights.iter().map(|w| i32::from(*w)).sum::<i32>();
        }
        Self { sizes: (k, n), panels, scales, offsets }
    }

    /// Columns of the left operand, and of the result.
    pub(in super::super) fn sizes(&self) -> (usize, usize) {
        self.sizes
    }

    /// `x` `[m, k]` → `[m, n]`.
    pub(in super::super) fn multiply(&self, x: &[f32]) -> Vec<f32> {
        let (k, n) = self.sizes;
        let m = x.len().checked_div(k).unwrap_or(0);
        let mut out = vec![0.0; m * n];
        if out.is_empty() {
            return out;
        }
        // Taken out, not borrowed: a thread that waits for its shares may begin another product.
        let (mut rows, mut scales) = ROWS.take();
        round_rows(x, k, &mut rows, &mut scales);
        by_columns((m, k, n), (COLUMNS, LEAST_INT8), &mut out, |panels, width, out| {
            let mut first = 0;
            while first < m {
                let rows = &rows[first * units(k)..];
                let (out, scales) = (&mut out[first * width..], &scales[first..]);
                let panels = panels.clone();
                first += match m - first {
                    1 => self.strip::<1>(rows, scales, panels, (out, width)),
                    2..=4 => self.strip::<4>(&rows[..(m - first) * units(k)], scales, panels, (out, width)),
                    _ => self.strip::<12>(
                        &rows[..(m - first).min(12) * units(k)],
                        scales,
                        panels,
                        (out, width),
                    ),
                };
            }
        });
        ROWS.set((rows, scales));
        out
    }

    /// Some rows, at most `R`, and the columns of some panels, into `out`, whose rows are `width` wide; how many rows it was.
    fn strip<const R: usize>(
        &self,
        rows: &[[u8; UNIT]],
        scales: &[f32],
        panels: Range<usize>,
        (out, width): (&mut [f32], usize),
    ) -> usize {
        let (k, n) = self.sizes;
        let units = units(k);
        let count = (rows.len() / units).min(R);
        let mut sums = [[0i32; COLUMNS]; R];
        let whole = units * COLUMNS;
        let own = &self.panels[panels.start * whole..panels.end * whole];
        for (number, panel) in (panels.start..).zip(own.chunks_exact(whole)) {
            let tile: Tile<R> = kernel();
            // SAFETY: the kernel was chosen for this CPU.
            #[cfg_attr(
                not(target_arch = "x86_64"),
                expect(unused_unsafe, reason = "there it is no vector code")
            )]
            unsafe {
                tile(&rows[..count * units], panel, &mut sums);
            }
            let first = number * COLUMNS;
            let columns = first..n.min(first + COLUMNS);
            let at = first - panels.start * COLUMNS;
            for (row, sums) in sums.iter().enumerate().take(count) {
                let out = &mut out[row * width + at..][..columns.len()];
                finish(out, sums, &self.offsets[first..], &self.scales[columns.clone()], scales[row]);
            }
        }
        count
    }
}

/// Sums of some rows, at most `R`, with the columns of a panel.
type Tile<const R: usize> = unsafe fn(&[[u8; UNIT]], &[[i8; UNIT]], &mut [[i32; COLUMNS]; R]);

/// The fastest kernel that this CPU has.
fn kernel<const R: usize>() -> Tile<R> {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512vnni") && is_x86_feature_detected!("avx512f") {
        return vnni::tile::<R>;
    }
    portable::<R>
}

fn portable<const R: usize>(rows: &[[u8; UNIT]], panel: &[[i8; UNIT]], sums: &mut [[i32; COLUMNS]; R]) {
    let units = panel.len() / COLUMNS;
    for (row, sums) in rows.chunks_exact(units).zip(sums) {
        *sums = [0; COLUMNS];
        for (a, b) in row.iter().zip(panel.as_chunks::<COLUMNS>().0) {
            for (sum, b) in sums.iter_mut().zip(b) {
                for lane in 0..UNIT {
                    *sum += i32::from(a[lane]) * i32::from(b[lane]);
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod vnni {
    use std::arch::x86_64::{
        _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_storeu_si512,
    };

    use super::{COLUMNS, UNIT};

    /// A [`super::Tile`]; rows that are not there are the last one again.
    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn tile<const R: usize>(
        rows: &[[u8; UNIT]],
        panel: &[[i8; UNIT]],
        sums: &mut [[i32; COLUMNS]; R],
    ) {
        let units = panel.len() / COLUMNS;
        let count = rows.len() / units;
        assert!(count > 0);
        let starts: [&[[u8; UNIT]]; R] =
            std::array::from_fn(|row| &rows[row.min(count - 1) * units..][..units]);
        let mut registers = [[_mm512_setzero_si512(); 2]; R];
        for (unit, b) in panel.as_chunks::<COLUMNS>().0.iter().enumerate() {
            // SAFETY: 32 units of 4 bytes.
            let (b0, b1) = unsafe {
                (_mm512_loadu_si512(b.as_ptr().cast()), _mm512_loadu_si512(b.as_ptr().add(16).cast()))
            };
            for (registers, row) in registers.iter_mut().zip(&starts) {
                // SAFETY: every row has as many units as the panel.
                let a = _mm512_set1_epi32(i32::from_le_bytes(unsafe { *row.get_unchecked(unit) }));
                registers[0] = _mm512_dpbusd_epi32(registers[0], a, b0);
                registers[1] = _mm512_dpbusd_epi32(registers[1], a, b1);
            }
        }
        for (sums, registers) in sums.iter_mut().zip(&registers) {
            // SAFETY: 32 sums.
            unsafe {
                _mm512_storeu_si512(sums.as_mut_ptr().cast(), registers[0]);
                _mm512_storeu_si512(sums.as_mut_ptr().add(16).cast(), registers[1]);
            }
        }
    }
}

/// Rows rounded to 8 bits, [`ZERO`] added, and their scales.
#[multiversion::multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2+fma"))]
fn round_rows(x: &[f32], k: usize, rows: &mut Vec<[u8; UNIT]>, scales: &mut Vec<f32>) {
    let units = k.div_ceil(UNIT);
    rows.clear();
    rows.resize(x.len() / k * units, [0; UNIT]);
    scales.clear();
    for (row, x) in rows.chunks_exact_mut(units).zip(x.chunks_exact(k)) {
        let mut largest = [0f32; 16];
        for chunk in x.chunks(16) {
            for (lane, x) in largest.iter_mut().zip(chunk) {
                *lane = if x.abs() > *lane { x.abs() } else { *lane };
            }
        }
        let mut most = 0f32;
        for lane in largest {
            most = if lane > most { lane } else { most };
        }
        let inverse = if most > 0.0 { 127.0 / most } else { 0.0 };
        for (to, x) in row.as_flattened_mut().iter_mut().zip(x) {
            // Half is rounded up, which is one instruction less than to even; what is no number becomes 0.
            *to = (x * inverse + (ZERO as f32 + 0.5)) as u8;
        }
        scales.push(most / 127.0);
    }
}

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn finish(out: &mut [f32], sums: &[i32; COLUMNS], offsets: &[i32], scales: &[f32], scale: f32) {
    for (((out, sum), offset), column) in out.iter_mut().zip(sums).zip(offsets).zip(scales) {
        *out = (sum - offset) as f32 * (scale * column);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::check::random;
    use super::*;
    use crate::threads::with_spare_threads;

    fn values(shape: &[usize], seed: u64) -> Vec<f32> {
        random(shape, seed).flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn products_are_near_those_of_float32_and_rows_stand_alone() {
        for (m, k, n) in
            [(1, 1, 1), (3, 64, 32), (12, 190, 70), (29, 513, 33), (4, 7, 100), (13, 70, 300), (60, 400, 500)]
        {
            let (x, w) = (values(&[m, k], 1), values(&[n, k], 2));
            let matrix = Int8Matrix::new((n, k), &w);
            assert_eq!(matrix.sizes(), (k, n));
            let out = matrix.multiply(&x);
            for threads in [2, 3] {
                assert_eq!(with_spare_threads(threads, || matrix.multiply(&x)), out, "on {threads} threads");
            }
            for (i, x) in x.chunks(k).enumerate() {
                assert_eq!(matrix.multiply(x), out[i * n..(i + 1) * n], "row {i} of {m} × {k} × {n}");
                let most = |v: &[f32]| v.iter().fold(0f32, |most, x| most.max(x.abs()));
                for (j, w) in w.chunks(k).enumerate() {
                    let exact: f32 = x.iter().zip(w).map(|(a, b)| a * b).sum();
                    // Each factor is off by half a step of its row at most.
                    let bound = most(x) * most(w) * k as f32 / 127.0;
                    assert!((out[i * n + j] - exact).abs() <= bound, "{} against {exact}", out[i * n + j]);
                }
            }
        }
        assert!(Int8Matrix::new((5, 3), &[0.0; 15]).multiply(&[]).is_empty());
        assert_eq!(Int8Matrix::new((2, 3), &[0.0; 6]).multiply(&[1.0, 2.0, 3.0]), [0.0, 0.0]);
    }

    #[test]
    fn every_kernel_sums_the_same() {
        let rows: Vec<[u8; UNIT]> =
            (0..12 * 9u32).map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let panel: Vec<[i8; UNIT]> = (0..9 * 32u32)
            .map(|i| i.wrapping_mul(2_246_822_519).to_le_bytes().map(u8::cast_signed))
            .collect();
        for count in [1, 5, 12] {
            let (mut expected, mut found) = ([[0; COLUMNS]; 12], [[0; COLUMNS]; 12]);
            portable::<12>(&rows[..count * 9], &panel, &mut expected);
            // SAFETY: chosen for this CPU.
            #[cfg_attr(
                not(target_arch = "x86_64"),
                expect(unused_unsafe, reason = "there it is no vector code")
            )]
            unsafe {
                kernel::<12>()(&rows[..count * 9], &panel, &mut found);
            }
            assert_eq!(found[..count], expected[..count]);
        }
    }
}
