//! The same attention from candle's own differentiable operations, for other devices: sequences of one batch are padded to the
//! longest, computed together, and packed again.

use candle_core::{D, Device, Result, Tensor};

use super::super::pass::Mask;
use super::{AttentionShape, DistanceBias};

/// What is added to the score of a key that a query cannot see.
const HIDDEN: f32 = -1e9;

/// See [`super::attention`].
pub(super) fn composed(
    q: &Tensor,
    kv: &Tensor,
    bias: Option<&DistanceBias>,
    shape: &AttentionShape,
    mask: Option<Mask>,
) -> Result<Tensor> {
    let AttentionShape { queries, keys, heads, kv_heads, scale, .. } = shape;
    let (heads, kv_heads) = (*heads, *kv_heads);
    let (batch, device) = (queries.len(), q.device());
    let head_dim = q.dim(1)? / heads;
    let longest = |lengths: &[usize]| lengths.iter().copied().max().unwrap_or(0);
    let (n, m) = (longest(queries), longest(keys));
    let kv_width = kv_heads * head_dim;

    let q = padded(q, queries, n)?.reshape((batch, n, heads, head_dim))?.transpose(1, 2)?.contiguous()?;
    let kv = padded(kv, keys, m)?;
    let grouped = |at: usize| {
        let part = kv.narrow(2, at, kv_width)?.reshape((batch, m, kv_heads, head_dim))?.transpose(1, 2)?;
        let group = (batch, kv_heads, heads / kv_heads, m, head_dim);
        part.unsqueeze(2)?.broadcast_as(group)?.contiguous()?.reshape((batch, heads, m, head_dim))
    };
    let (k, v) = (grouped(0)?, grouped(kv_width)?);

    let mut scores = (q.matmul(&k.t()?.contiguous()?)? * f64::from(*scale))?;
    if let Some(bias) = bias {
        scores = (scores + by_distance(bias, shape, (n, m))?.to_dtype(q.dtype())?)?;
    }
    scores = scores.broadcast_add(&hidden(shape, (n, m), device)?.to_dtype(q.dtype())?)?;
    let exp = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let mut weights = exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)?;
    if let Some(mask) = mask {
        weights = (weights * dropped(mask, shape, (n, m), device)?.to_dtype(q.dtype())?)?;
    }
    let out = weights.matmul(&v)?.transpose(1, 2)?.reshape((batch * n, heads * head_dim))?;
    let rows =
        queries.iter().enumerate().flat_map(|(i, &length)| (i * n..i * n + length).map(|row| row as u32));
    out.index_select(&Tensor::from_iter(rows, device)?, 0)
}

/// `[rows, width]` → `[batch, longest, width]`; what pads repeats the last row, and is hidden or dropped later.
fn padded(x: &Tensor, lengths: &[usize], longest: usize) -> Result<Tensor> {
    let (width, last) = (x.dim(1)?, x.dim(0)?.saturating_sub(1));
    if lengths.iter().all(|&length| length == longest) {
        return x.reshape((lengths.len(), longest, width));
    }
    let mut first = 0;
    let mut rows = Vec::with_capacity(lengths.len() * longest);
    for &length in lengths {
        rows.extend((first..first + longest).map(|row| row.min(last) as u32));
        first += length;
    }
    let rows = Tensor::from_vec(rows, lengths.len() * longest, x.device())?;
    x.index_select(&rows, 0)?.reshape((lengths.len(), longest, width))
}

/// Position of a sequence's first query among its keys.
fn offset(shape: &AttentionShape, queries: usize, keys: usize) -> usize {
    if shape.causal { keys - queries } else { 0 }
}

/// 0 where a query sees a key, else [`HIDDEN`]: `[batch, 1, n, m]`.
fn hidden(shape: &AttentionShape, (n, m): (usize, usize), device: &Device) -> Result<Tensor> {
    let mut entries = Vec::with_capacity(shape.queries.len() * n * m);
    for (&queries, &keys) in shape.queries.iter().zip(&shape.keys) {
        let offset = offset(shape, queries, keys);
        for i in 0..n {
            let seen = if shape.causal { keys.min(offset + i + 1) } else { keys };
            entries.extend((0..m).map(|j| if j < seen { 0.0 } else { HIDDEN }));
        }
    }
    Tensor::from_vec(entries, (shape.queries.len(), 1, n, m), device)
}

/// The bias of every query and key: `[batch, heads, n, m]`.
fn by_distance(bias: &DistanceBias, shape: &AttentionShape, (n, m): (usize, usize)) -> Result<Tensor> {
    let distances = bias.values.dim(1)?;
    let mut columns = Vec::with_capacity(shape.queries.len() * n * m);
    for (&queries, &keys) in shape.queries.iter().zip(&shape.keys) {
        let first = offset(shape, queries, keys);
        for position in first..first + n {
            // Padding may lie beyond the bias; its scores are hidden.
            columns
                .extend((0..m).map(|j| ((bias.zero + j).saturating_sub(position)).min(distances - 1) as u32));
        }
    }
    let columns = Tensor::from_vec(columns, shape.queries.len() * n * m, bias.values.device())?;
    let chosen = bias.values.index_select(&columns, 1)?;
    chosen.reshape((shape.heads, shape.queries.len(), n, m))?.transpose(0, 1)?.contiguous()
}

/// The factors of dropout, `[batch, heads, n, m]`: row for row those of the kernel.
fn dropped(mask: Mask, shape: &AttentionShape, (n, m): (usize, usize), device: &Device) -> Result<Tensor> {
    let mut factors = Vec::with_capacity(shape.queries.len() * shape.heads * n * m);
    let mut number = 0;
    for &queries in &shape.queries {
        for _ in 0..shape.heads {
            for i in 0..n {
                let mut row = vec![1.0; m];
                if i < queries {
                    mask.apply_row(number, &mut row);
                    number += 1;
                }
                factors.extend(row);
            }
        }
    }
    Tensor::from_vec(factors, (shape.queries.len(), shape.heads, n, m), device)
}
