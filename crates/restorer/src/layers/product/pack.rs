//! Operands as the kernel reads them, in units of one float32 or two bfloat16.
#![expect(unsafe_code, reason = "vector instructions; held by the tests of the parent module")]

use std::arch::x86_64::{
    __m256i, __m512i, _mm512_castps_si512, _mm512_cvtepu16_epi32, _mm512_cvtneps_pbh,
    _mm512_mask_storeu_epi32, _mm512_maskz_loadu_ps, _mm512_or_si512, _mm512_setzero_si512,
    _mm512_shuffle_i32x4, _mm512_slli_epi32, _mm512_storeu_si512, _mm512_unpackhi_epi32,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
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
            (true, false) if a.col == 1 && WIDTH.is_multiple_of(16) => {
                turned::<WIDTH>(a, rows, depth, 32, panel, to, halves_of);
            }
            (false, false) if a.col == 1 && WIDTH.is_multiple_of(16) => {
                turned::<WIDTH>(a, rows, depth, 16, panel, to, floats_of);
            }
            _ => entries::<WIDTH>(a, rows, depth, halves, panel, to),
        }
    }
}

/// Packs `rows` of a matrix whose rows lie in one piece, columns `depth`, as rows of `STRIDE` units each, of which the first are
/// those of the row; panels of `WIDTH` rows, missing ones 0.
pub(super) fn pack_rows<const WIDTH: usize, const STRIDE: usize>(
    a: View<'_>,
    rows: Range<usize>,
    depth: Range<usize>,
    halves: bool,
    to: &mut Vec<u32>,
) {
    to.resize(rows.len().next_multiple_of(WIDTH) * STRIDE, 0);
    to[rows.len() * STRIDE..].fill(0);
    assert!(a.col == 1 && a.holds(rows.end, depth.end));
    for (to, row) in to.chunks_exact_mut(STRIDE).zip(rows) {
        let row = &a.values[row * a.row..][depth.clone()];
        if halves {
            for (to, values) in to.chunks_mut(16).zip(row.chunks(32)) {
                let mask = ((1u32 << values.len().div_ceil(2)) - 1) as u16;
                // SAFETY: the kernel that packs has chosen the instructions by what the CPU has; the mask keeps the store inside the slice.
                unsafe { _mm512_mask_storeu_epi32(to.as_mut_ptr().cast(), mask, halves_of(values)) };
            }
        } else {
            to.iter_mut().zip(row).for_each(|(to, x)| *to = x.to_bits());
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

/// Up to 32 values as 16 units of two bfloat16.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
#[inline]
fn halves_of(values: &[f32]) -> __m512i {
    let (low, high) = values.split_at(values.len().min(16));
    // SAFETY: both are 512 bits.
    unsafe { std::mem::transmute([nearest(low), nearest(high)]) }
}

/// Up to 16 values as they are.
#[target_feature(enable = "avx512f")]
#[inline]
fn floats_of(values: &[f32]) -> __m512i {
    let mask = (1u32 << values.len().min(16)) - 1;
    // SAFETY: the mask keeps the load inside the slice.
    unsafe { _mm512_castps_si512(_mm512_maskz_loadu_ps(mask as u16, values.as_ptr())) }
}

/// Rows lie in one piece: blocks of 16 rows and 16 units, each of `step` columns at a time, turned in registers.
#[target_feature(enable = "avx512f,avx512bw")]
fn turned<const WIDTH: usize>(
    a: View<'_>,
    rows: Range<usize>,
    depth: Range<usize>,
    step: usize,
    panel: usize,
    to: &mut [u32],
    units_of: unsafe fn(&[f32]) -> __m512i,
) {
    for first in (0..rows.len()).step_by(16) {
        let to = &mut to[first / WIDTH * panel + first % WIDTH..];
        let block = rows.start + first..rows.end.min(rows.start + first + 16);
        for (number, start) in depth.clone().step_by(step).enumerate() {
            let columns = start..depth.end.min(start + step);
            let mut units = [_mm512_setzero_si512(); 16];
            for (units, row) in units.iter_mut().zip(block.clone()) {
                // SAFETY: the caller has chosen it by what the CPU has.
                *units = unsafe { units_of(&a.values[row * a.row..][columns.clone()]) };
            }
            let count = (columns.len() * 16).div_ceil(step);
            for (unit, row) in turn(&units).iter().enumerate().take(count) {
                let to = &mut to[(number * 16 + unit) * WIDTH..][..16];
                // SAFETY: 16 entries.
                unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), *row) };
            }
        }
    }
}

/// The transpose of 16 × 16 entries of 32 bits.
#[target_feature(enable = "avx512f")]
#[inline]
fn turn(rows: &[__m512i; 16]) -> [__m512i; 16] {
    let mut pairs = *rows;
    for i in 0..8 {
        pairs[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    // By four rows: column 4 · lane + c of rows 4 i to 4 i + 3.
    let mut fours = pairs;
    for i in 0..4 {
        fours[4 * i] = _mm512_unpacklo_epi64(pairs[4 * i], pairs[4 * i + 2]);
        fours[4 * i + 1] = _mm512_unpackhi_epi64(pairs[4 * i], pairs[4 * i + 2]);
        fours[4 * i + 2] = _mm512_unpacklo_epi64(pairs[4 * i + 1], pairs[4 * i + 3]);
        fours[4 * i + 3] = _mm512_unpackhi_epi64(pairs[4 * i + 1], pairs[4 * i + 3]);
    }
    let mut turned = fours;
    for c in 0..4 {
        // Lanes 0 and 2, 1 and 3 of two fours.
        let even = |a: __m512i, b: __m512i| _mm512_shuffle_i32x4::<0b10_00_10_00>(a, b);
        let odd = |a: __m512i, b: __m512i| _mm512_shuffle_i32x4::<0b11_01_11_01>(a, b);
        let (a, b) = (even(fours[c], fours[4 + c]), even(fours[8 + c], fours[12 + c]));
        let (x, y) = (odd(fours[c], fours[4 + c]), odd(fours[8 + c], fours[12 + c]));
        turned[c] = even(a, b);
        turned[8 + c] = odd(a, b);
        turned[4 + c] = even(x, y);
        turned[12 + c] = odd(x, y);
    }
    turned
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
