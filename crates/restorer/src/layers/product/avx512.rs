//! The kernel: blocks of the operands are packed, and multiplied tile by tile in registers.
#![expect(unsafe_code, reason = "vector instructions; held by the tests of the parent module")]

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_add_ps, _mm512_castsi512_ps, _mm512_dpbf16_ps, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_loadu_si512, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setzero_ps,
    _mm512_storeu_ps,
};
use std::cell::RefCell;
use std::ops::Range;

use super::pack::{pack, pack_rows};
use super::{Operands, View};

/// Rows and columns of a tile of the result: 24 registers of sums, two of the right operand, one of the left.
pub(super) const ROWS: usize = 12;
pub(super) const COLUMNS: usize = 32;
/// Depth of a block in 32-bit units: a panel of the right operand stays in the first-level cache.
const UNITS: usize = 256;
/// Units from one packed row of the left operand to the next, where rows lie in one piece: no multiple of the cache's ways apart.
const STRIDE: usize = UNITS + 16;
/// Rows of a block of the left operand, which stays in the second-level cache.
const BLOCK_ROWS: usize = 20 * ROWS;

thread_local! {
    /// Packed operands; their memory is kept.
    static PACKED: RefCell<[Vec<u32>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// Whether this CPU multiplies bfloat16.
pub(super) fn has_bfloat16() -> bool {
    is_x86_feature_detected!("avx512bf16") && is_x86_feature_detected!("avx512bw") && has_float32()
}

fn has_float32() -> bool {
    is_x86_feature_detected!("avx512f")
}

/// The right operand of a product.
#[derive(Clone)]
pub(super) enum Right<'a> {
    /// As it lies in memory.
    View(View<'a>),
    /// Packed before; so many panels of [`COLUMNS`] columns from the first on.
    Packed(&'a PackedRight, Range<usize>),
}

/// A right operand as the tiles read it, block by block of its depth.
#[derive(Debug)]
pub(super) struct PackedRight {
    blocks: Vec<Vec<u32>>,
    halves: bool,
}

impl PackedRight {
    /// Packs a `k` × `n` matrix, if this CPU has the instructions.
    pub(super) fn new(operands: Operands, (k, n): (usize, usize), b: View<'_>) -> Option<Self> {
        let halves = operands == Operands::Bfloat16 && has_bfloat16();
        has_float32().then(|| {
            let block = |depth| {
                let mut packed = Vec::new();
                pack::<COLUMNS>(b.turned(), 0..n, depth, halves, &mut packed);
                packed
            };
            Self { blocks: depths(k, halves).map(block).collect(), halves }
        })
    }
}

/// The blocks of a depth of `k`.
fn depths(k: usize, halves: bool) -> impl Iterator<Item = Range<usize>> {
    let depth = if halves { 2 * UNITS } else { UNITS };
    (0..k).step_by(depth).map(move |first| first..k.min(first + depth))
}

/// Multiplies, if this CPU has the instructions; sizes and views are known to fit. A packed operand keeps the kind that it was
/// packed for.
pub(super) fn multiply(
    operands: Operands,
    sizes: (usize, usize, usize),
    a: View<'_>,
    b: Right<'_>,
    factor: f32,
    out: (&mut [f32], usize),
    accumulate: bool,
) -> bool {
    PACKED.with_borrow_mut(|packed| {
        let halves = match &b {
            Right::View(_) => operands == Operands::Bfloat16 && has_bfloat16(),
            Right::Packed(packed, _) => packed.halves,
        };
        let by_rows = a.col == 1;
        let tile: Tile = match (halves, by_rows) {
            (true, true) => bfloat16_tile::<STRIDE, 1>,
            (true, false) => bfloat16_tile::<1, ROWS>,
            _ if !has_float32() => return false,
            (false, true) => float32_tile::<STRIDE, 1>,
            (false, false) => float32_tile::<1, ROWS>,
        };
        blocks(sizes, (a, b), factor, out, accumulate, packed, (tile, halves, by_rows));
        true
    })
}

/// Multiplies a packed panel of [`ROWS`] rows and one of [`COLUMNS`] columns, and adds to the result's first so many rows and
/// columns: `(left, right, factor, out, row, (rows, columns), accumulate)`. Unit k of row i of the left panel is at
/// `i · ROW + k · UNIT`. The CPU must have the instructions.
type Tile = unsafe fn(&[u32], &[u32], f32, &mut [f32], usize, (usize, usize), bool);

/// All blocks of a product.
fn blocks(
    (m, k, n): (usize, usize, usize),
    (a, b): (View<'_>, Right<'_>),
    factor: f32,
    (out, row): (&mut [f32], usize),
    accumulate: bool,
    [packed_left, packed_right]: &mut [Vec<u32>; 2],
    (tile, halves, by_rows): (Tile, bool, bool),
) {
    for (number, Range { start: k0, end: k1 }) in depths(k, halves).enumerate() {
        let units = if halves { (k1 - k0).div_ceil(2) } else { k1 - k0 };
        let accumulate = accumulate || number > 0;
        let left_panel = ROWS * if by_rows { STRIDE } else { units };
        let panel = units * COLUMNS;
        let packed_right: &[u32] = match &b {
            Right::View(b) => {
                pack::<COLUMNS>(b.turned(), 0..n, k0..k1, halves, packed_right);
                packed_right
            }
            Right::Packed(packed, panels) => &packed.blocks[number][panels.start * panel..panels.end * panel],
        };
        for m0 in (0..m).step_by(BLOCK_ROWS) {
            let m1 = m.min(m0 + BLOCK_ROWS);
            if by_rows {
                pack_rows::<ROWS, STRIDE>(a, m0..m1, k0..k1, halves, packed_left);
            } else {
                pack::<ROWS>(a, m0..m1, k0..k1, halves, packed_left);
            }
            for (number, right) in packed_right.chunks_exact(panel).enumerate() {
                let column = number * COLUMNS;
                let columns = COLUMNS.min(n - column);
                for (number, left) in packed_left.chunks_exact(left_panel).enumerate() {
                    let first = m0 + number * ROWS;
                    let rows = ROWS.min(m1 - first);
                    let out = &mut out[first * row + column..];
                    // SAFETY: the tile was chosen for this CPU.
                    unsafe { tile(left, right, factor, out, row, (rows, columns), accumulate) };
                }
            }
        }
    }
}

/// A [`Tile`] with one kind of multiplication.
macro_rules! tile {
    ($name:ident, $features:literal, $multiply_add:expr) => {
        #[target_feature(enable = $features)]
        fn $name<const ROW: usize, const UNIT: usize>(
            left: &[u32],
            right: &[u32],
            factor: f32,
            out: &mut [f32],
            row: usize,
            (rows, columns): (usize, usize),
            accumulate: bool,
        ) {
            let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
            let units = right.len() / COLUMNS;
            assert!(units > 0 && (ROWS - 1) * ROW + (units - 1) * UNIT < left.len());
            for (unit, right) in right.chunks_exact(COLUMNS).enumerate() {
                // SAFETY: `right` has 32 units.
                let (b0, b1) = unsafe {
                    (
                        _mm512_loadu_si512(right.as_ptr().cast()),
                        _mm512_loadu_si512(right.as_ptr().add(16).cast()),
                    )
                };
                for (row, sums) in sums.iter_mut().enumerate() {
                    // SAFETY: inside the panel, as asserted.
                    let left = unsafe { *left.get_unchecked(row * ROW + unit * UNIT) };
                    let a = _mm512_set1_epi32(left.cast_signed());
                    sums[0] = $multiply_add(a, b0, sums[0]);
                    sums[1] = $multiply_add(a, b1, sums[1]);
                }
            }
            if rows == ROWS && columns == COLUMNS {
                store(&sums, factor, out, row, accumulate);
                return;
            }
            let mut whole = [0f32; ROWS * COLUMNS];
            store(&sums, factor, &mut whole, COLUMNS, false);
            for (i, whole) in whole.chunks_exact(COLUMNS).enumerate().take(rows) {
                for (sum, x) in out[i * row..][..columns].iter_mut().zip(whole) {
                    *sum = if accumulate { *sum + x } else { *x };
                }
            }
        }
    };
}

tile!(float32_tile, "avx512f", fma);
tile!(bfloat16_tile, "avx512f,avx512bw,avx512bf16", dot);

#[target_feature(enable = "avx512f")]
#[inline]
fn fma(a: __m512i, b: __m512i, sum: __m512) -> __m512 {
    _mm512_fmadd_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b), sum)
}

#[target_feature(enable = "avx512f,avx512bf16")]
#[inline]
fn dot(a: __m512i, b: __m512i, sum: __m512) -> __m512 {
    // SAFETY: both types are 512 bits.
    let halves = |x: __m512i| unsafe { std::mem::transmute::<__m512i, __m512bh>(x) };
    _mm512_dpbf16_ps(sum, halves(a), halves(b))
}

/// Writes a whole tile.
#[target_feature(enable = "avx512f")]
#[inline]
fn store(sums: &[[__m512; 2]; ROWS], factor: f32, out: &mut [f32], row: usize, accumulate: bool) {
    assert!(out.len() >= (ROWS - 1) * row + COLUMNS);
    let factor = _mm512_set1_ps(factor);
    for (i, sums) in sums.iter().enumerate() {
        for (half, sum) in sums.iter().enumerate() {
            let sum = _mm512_mul_ps(*sum, factor);
            // SAFETY: inside `out`, as asserted.
            unsafe {
                let to = out.as_mut_ptr().add(i * row + 16 * half);
                let sum = if accumulate { _mm512_add_ps(_mm512_loadu_ps(to), sum) } else { sum };
                _mm512_storeu_ps(to, sum);
            }
        }
    }
}
