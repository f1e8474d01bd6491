//! Table rows in 8 bits with a scale a row.

/// Rows of `dim` weights as (8-bit weights, scales): weight = byte · scale, scale = largest magnitude / 127.
pub(super) fn quantize(weights: &[f32], dim: usize) -> (Vec<i8>, Vec<f32>) {
    let mut bytes = Vec::with_capacity(weights.len());
    let mut scales = Vec::with_capacity(weights.len() / dim);
    for row in weights.chunks_exact(dim) {
        let scale = row.iter().fold(0f32, |m, w| m.max(w.abs())) / 127.0;
        let inverse = if scale > 0.0 { scale.recip() } else { 0.0 };
        bytes.extend(row.iter().map(|w| (w * inverse).round() as i8));
        scales.push(scale);
    }
    (bytes, scales)
}

/// The weights that [`quantize`] kept.
pub(super) fn dequantize(bytes: &[u8], scales: &[f32], dim: usize) -> Vec<f32> {
    let rows = bytes.chunks_exact(dim).zip(scales);
    rows.flat_map(|(row, scale)| row.iter().map(move |&b| f32::from(b.cast_signed()) * scale)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_at_most_half_a_step() {
        let weights: Vec<f32> =
            (0..64).map(|i| ((i * 37 % 64) as f32 - 32.0) * 0.01 * (1.0 + (i / 16) as f32)).collect();
        let (bytes, scales) = quantize(&weights, 16);
        let raw: Vec<u8> = bytes.iter().map(|&b| b as u8).collect();
        for (i, (a, b)) in weights.iter().zip(dequantize(&raw, &scales, 16)).enumerate() {
            assert!((a - b).abs() <= scales[i / 16] * 0.5001, "{a} against {b}");
        }
        assert_eq!(quantize(&[0.0; 4], 4), (vec![0; 4], vec![0.0]));
    }
}
