//! Operands as the kernel reads them: panels of rows side by side, in units of one float32 or two bfloat16.
#![expect(unsafe_code, reason = "vector instructions; held by the tests of the parent module")]

use std::arch::x86_64::{
    __m256i, _mm512_castps_si512, _mm512_cvtepu16_epi32, _mm512_cvtneps_pbh, _mm512_mask_storeu_epi32,
    _mm512_maskz_loadu_ps, _mm512_or_si512, _mm512_slli_epi32,
};
use std::ops::Range;

use super::View;

/// Packs `rows` of a matrix, columns `depth`, into panels of `WIDTH` rows: for each unit the rows side by side, missing ones 0. With
/// `halves` a unit is two neighbouring columns in bfloat16.
pub(super) fn pack<const WIDTH: usize>(
    a: View<'_>,
    rows: Range<usize>,
    depth: Range<usize>,
    halves: bool,
    to: &mut Vec<u32>,
) {
    let units = if halves { depth.len().div_ceil(2) } else { depth.len() };
    let panel = units * WIDTH;
    to.resize(rows.len().div_ceil(WIDTH) * panel, 0);
    if !rows.len().is_multiple_of(WIDTH) {
        let last = to.len() - panel;
        to[last..].fill(0);
    }
    assert!(a.holds(rows.end, depth.end));
    // SAFETY: the kernel that packs has chosen the instructions by what the CPU has.
    unsafe {
        match (halves, a.row == 1) {
            (true, true) => columns_of_halves::<WIDTH>(a, rows, depth, panel, to),
            (false, true) => columns::<WIDTH>(a, rows, depth, panel, to),
            (true, false) if a.col == 1 => rows_of_halves::<WIDTH>(a, rows, depth, panel, to),
            (halves, _) => entries::<WIDTH>(a, rows, depth, halves, panel, to),
        }
    }
}

/// Any layout, entry by entry.
fn entries<const WIDTH: usize>(
    a: View<'_>,
    rows: Range<usize>,
    depth: Range<usize>,
    halves: bool,
    panel: usize,
    to: &mut [u32],
) {
    for (i, row) in rows.enumerate() {
        let to = &mut to[i / WIDTH * panel + i % WIDTH..];
        let entry = |k: usize| a.values[row * a.row + k * a.col];
        if halves {
            for (unit, k) in depth.clone().step_by(2).enumerate() {
                let high = if k + 1 < depth.end { rounded(entry(k + 1)) } else { 0 };
                to[unit * WIDTH] = rounded(entry(k)) | high << 16;
            }
        } else if a.col == 1 {
            let row = &a.values[row * a.row..][depth.clone()];
            for (to, x) in to.iter_mut().step_by(WIDTH).zip(row) {
                *to = x.to_bits();
            }
        } else {
            for (unit, k) in depth.clone().enumerate() {
                to[unit * WIDTH] = entry(k).to_bits();
            }
        }
    }
}

/// The bits of the bfloat16 nearest to x, ties to even.
fn rounded(x: f32) -> u32 {
    let bits = x.to_bits();
    if x.is_nan() { (bits >> 16) | 0x40 } else { (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16 }
}

/// Rows lie in one piece: 16 units of a row at a time.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn rows_of_halves<const WIDTH: usize>(
    a: View<'_>,
    rows: Range<usize>,
    depth: Range<usize>,
    panel: usize,
    to: &mut [u32],
) {
    for (i, row) in rows.enumerate() {
        let to = &mut to[i / WIDTH * panel + i % WIDTH..];
        let row = &a.values[row * a.row..][depth.clone()];
        let mut units = to.iter_mut().step_by(WIDTH);
        for values in row.chunks(32) {
            let (low, high) = values.split_at(values.len().min(16));
            let parts = [nearest(low), nearest(high)];
            // SAFETY: both are 512 bits.
            let parts: [u32; 16] = unsafe { std::mem::transmute(parts) };
            for (unit, to) in parts.iter().take(values.len().div_ceil(2)).zip(&mut units) {
                *to = *unit;
            }
        }
    }
}

/// Up to 16 values as bfloat16, missing ones 0.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
#[inline]
fn nearest(values: &[f32]) -> __m256i {
    let mask = (1u32 << values.len().min(16)) - 1;
    // SAFETY: the mask keeps the load inside the slice; both types are 256 bits.
    unsafe { std::mem::transmute(_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask as u16, values.as_ptr()))) }
}

/// Columns lie in one piece: up to 16 rows of a unit at a time.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn columns_of_halves<const WIDTH: usize>(
    a: View<'_>,
    rows: Range<usize>,
    depth: Range<usize>,
    panel: usize,
    to: &mut [u32],
) {
    for (unit, k) in depth.clone().step_by(2).enumerate() {
        let low = &a.values[k * a.col..][rows.clone()];
        let high = if k + 1 < depth.end { &a.values[(k + 1) * a.col..][rows.clone()] } else { &[] };
        for first in (0..rows.len()).step_by(WIDTH) {
            let end = rows.len().min(first + WIDTH);
            for start in (first..end).step_by(16) {
                let chunk = start..end.min(start + 16);
                let low = _mm512_cvtepu16_epi32(nearest(&low[chunk.clone()]));
                let high = if high.is_empty() {
                    low
                } else {
                    _mm512_or_si512(
                        low,
                        _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(nearest(&high[chunk.clone()]))),
                    )
                };
                let to = &mut to[first / WIDTH * panel + unit * WIDTH + start - first..][..chunk.len()];
                let mask = (1u32 << chunk.len()) - 1;
                // SAFETY: the mask keeps the store inside the slice.
                unsafe { _mm512_mask_storeu_epi32(to.as_mut_ptr().cast(), mask as u16, high) };
            }
        }
    }
}

/// The same in float32.
#[target_feature(enable = "avx512f")]
fn columns<const WIDTH: usize>(
    a: View<'_>,
    rows: Range<usize>,
    depth: Range<usize>,
    panel: usize,
    to: &mut [u32],
) {
    for (unit, k) in depth.enumerate() {
        let column = &a.values[k * a.col..][rows.clone()];
        for (number, values) in column.chunks(WIDTH).enumerate() {
            let to = &mut to[number * panel + unit * WIDTH..][..values.len()];
            for (to, values) in to.chunks_mut(16).zip(values.chunks(16)) {
                let mask = ((1u32 << values.len()) - 1) as u16;
                // SAFETY: the mask keeps load and store inside the slices.
                unsafe {
                    let values = _mm512_castps_si512(_mm512_maskz_loadu_ps(mask, values.as_ptr()));
                    _mm512_mask_storeu_epi32(to.as_mut_ptr().cast(), mask, values);
                }
            }
        }
    }
}
