//! Rows of weights in 8 or 4 bits with a scale a row.

use std::str::FromStr;

/// Bits of a weight of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableBits {
    /// From −7 to 7, two weights a byte, the first in the low half, 8 added.
    Four,
    /// From −127 to 127.
    Eight,
}

impl FromStr for TableBits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "4" => Ok(Self::Four),
            "8" => Ok(Self::Eight),
            _ => Err("tables have 4 or 8 bits a weight".to_owned()),
        }
    }
}

/// The greatest 4-bit weight.
const MOST: f32 = 7.0;
/// Shares of a row's largest magnitude that are tried as the largest 4-bit weight: a finer step for all may be worth a few that
/// are cut off.
const CUTS: [f32; 5] = [1.0, 0.85, 0.7, 0.6, 0.5];

/// Rows of `dim` weights as (8-bit weights, scales): weight = byte · scale, scale = largest magnitude / 127.
pub(crate) fn quantize(weights: &[f32], dim: usize) -> (Vec<i8>, Vec<f32>) {
    let mut bytes = Vec::with_capacity(weights.len());
    let mut scales = Vec::with_capacity(weights.len() / dim);
    for row in weights.chunks_exact(dim) {
        let scale = largest(row) / 127.0;
        let inverse = if scale > 0.0 { scale.recip() } else { 0.0 };
        bytes.extend(row.iter().map(|w| (w * inverse).round() as i8));
        scales.push(scale);
    }
    (bytes, scales)
}

/// The weights that [`quantize`] kept.
pub(crate) fn dequantize(bytes: &[u8], scales: &[f32], dim: usize) -> Vec<f32> {
    let rows = bytes.chunks_exact(dim).zip(scales);
    rows.flat_map(|(row, scale)| row.iter().map(move |&b| f32::from(b.cast_signed()) * scale)).collect()
}

/// Rows of an even number of weights in 4 bits, each with the scale of [`CUTS`] that is least wrong.
pub(crate) fn quantize_4(weights: &[f32], dim: usize) -> (Vec<u8>, Vec<f32>) {
    let mut bytes = Vec::with_capacity(weights.len() / 2);
    let mut scales = Vec::with_capacity(weights.len() / dim);
    for row in weights.chunks_exact(dim) {
        let level = |w: f32, scale: f32| {
            if scale > 0.0 { (w / scale).round().clamp(-MOST, MOST) } else { 0.0 }
        };
        let error =
            |scale: &f32| -> f32 { row.iter().map(|&w| (w - level(w, *scale) * scale).powi(2)).sum() };
        let all = CUTS.map(|cut| largest(row) * cut / MOST);
        let scale = all.into_iter().min_by(|a, b| error(a).total_cmp(&error(b))).unwrap_or(0.0);
        let half = |w: f32| (level(w, scale) + 8.0) as u8;
        bytes.extend(row.chunks_exact(2).map(|two| half(two[0]) | half(two[1]) << 4));
        scales.push(scale);
    }
    (bytes, scales)
}

/// The weights that [`quantize_4`] kept.
pub(crate) fn dequantize_4(bytes: &[u8], scales: &[f32], dim: usize) -> Vec<f32> {
    let rows = bytes.chunks_exact(dim / 2).zip(scales);
    let weight = |half: u8, scale: f32| (f32::from(half) - 8.0) * scale;
    rows.flat_map(|(row, &scale)| {
        row.iter().flat_map(move |b| [weight(b & 15, scale), weight(b >> 4, scale)])
    })
    .collect()
}

fn largest(row: &[f32]) -> f32 {
    row.iter().fold(0f32, |m, w| m.max(w.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights() -> Vec<f32> {
        (0..64).map(|i| ((i * 37 % 64) as f32 - 32.0) * 0.01 * (1.0 + (i / 16) as f32)).collect()
    }

    #[test]
    fn the_error_is_at_most_half_a_step() {
        let weights = weights();
        let (bytes, scales) = quantize(&weights, 16);
        let raw: Vec<u8> = bytes.iter().map(|&b| b as u8).collect();
        for (i, (a, b)) in weights.iter().zip(dequantize(&raw, &scales, 16)).enumerate() {
            assert!((a - b).abs() <= scales[i / 16] * 0.5001, "{a} against {b}");
        }
        assert_eq!(quantize(&[0.0; 4], 4), (vec![0; 4], vec![0.0]));
    }

    #[test]
    fn four_bits_are_off_by_half_a_step_at_most_unless_cutting_is_better() {
        let weights = weights();
        let (bytes, scales) = quantize_4(&weights, 16);
        assert_eq!(bytes.len(), 32);
        let back = dequantize_4(&bytes, &scales, 16);
        for (row, back) in weights.chunks(16).zip(back.chunks(16)) {
            let wrong: f32 = row.iter().zip(back).map(|(a, b)| (a - b).powi(2)).sum();
            let step = largest(row) / MOST;
            assert!(wrong <= 16.0 * step * step / 4.0, "{wrong} of {row:?}");
        }
        // What four bits can say is said exactly, and one weight far out does not spoil the others.
        let exact: Vec<f32> = (-7..=7).map(|level| level as f32 * 0.5).chain([0.0]).collect();
        let (bytes, scales) = quantize_4(&exact, 16);
        assert_eq!(dequantize_4(&bytes, &scales, 16), exact);
        assert_eq!(quantize_4(&[0.0; 4], 4), (vec![0x88; 2], vec![0.0]));
    }
}
