//! Attention of the next tokens of several continuations of one text: what all of them have seen is held, and multiplied, once.

use candle_core::{D, DType, Result, Tensor};

/// What is added to the score of a key that pads.
const HIDDEN: f32 = -1e9;

/// What continuations have seen before their next tokens, in one attention: keys beside values, rotated.
#[derive(Clone, Debug)]
pub struct Branches {
    /// What all of them have seen: `[trunk, 2 · kv_heads · head_dim]`; none where they have nothing in common.
    pub trunk: Option<Tensor>,
    /// What each has seen after that: `[continuations, longest, 2 · kv_heads · head_dim]`, behind whose own rows anything may
    /// stand; none where there is nothing.
    pub twigs: Option<Tensor>,
    /// Rows of each that are its own.
    pub lengths: Vec<usize>,
}

/// softmax(scale · q kᵀ) v of one query for each continuation: over the trunk, its twig, and itself.
///
/// `q`: `[continuations, heads · head_dim]`; `kv`: the queries' own keys beside values,
/// `[continuations, 2 · kv_heads · head_dim]`; the result has the shape of `q`.
///
/// # Errors
/// If the shapes do not fit, or the tensor library fails.
pub fn branch_attention(
    q: &Tensor,
    kv: &Tensor,
    branches: &Branches,
    (heads, kv_heads): (usize, usize),
) -> Result<Tensor> {
    let (count, width) = q.dims2()?;
    let (dim, group) = (width / heads, heads / kv_heads);
    let scale = f64::from((dim as f32).sqrt().recip());
    let queries = (q.reshape((count, kv_heads, group, dim))? * scale)?;
    let grouped = |x: &Tensor, rows: usize| {
        let parts = x.reshape((count, rows, 2, kv_heads, dim))?;
        let part = |at: usize| parts.narrow(2, at, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        Ok::<_, candle_core::Error>((part(0)?, part(1)?))
    };
    let own = kv.unsqueeze(1)?;
    let twigs = match &branches.twigs {
        Some(twigs) => Tensor::cat(&[twigs, &own], 1)?,
        None => own,
    };
    let rows = twigs.dim(1)?;
    let (keys, values) = grouped(&twigs, rows)?;
    // [continuations, kv_heads, group, rows] → [kv_heads, continuations · group, rows]
    let by_head = |x: Tensor, last: usize| x.transpose(0, 1)?.reshape((kv_heads, count * group, last));
    let mut scores = queries.matmul(&keys.t()?)?;
    if branches.lengths.iter().any(|length| length + 1 < rows) {
        let hidden = |length: usize| {
            (0..rows).map(move |row| if row >= length && row + 1 < rows { HIDDEN } else { 0.0 })
        };
        let hidden: Vec<f32> = branches.lengths.iter().copied().flat_map(hidden).collect();
        let hidden = Tensor::from_vec(hidden, (count, 1, 1, rows), q.device())?.to_dtype(q.dtype())?;
        scores = scores.broadcast_add(&hidden)?;
    }
    let Some(trunk) = &branches.trunk else {
        let out = softmax(&scores)?.matmul(&values)?;
        return out.reshape((count, width));
    };
    let seen = trunk.dim(0)?;
    let parts = trunk.reshape((seen, 2, kv_heads, dim))?;
    let part = |at: usize| parts.narrow(1, at, 1)?.squeeze(1)?.transpose(0, 1)?.contiguous();
    let (trunk_keys, trunk_values) = (part(0)?, part(1)?);
    let trunk_scores = by_head(queries, dim)?.matmul(&trunk_keys.t()?)?;
    let weights = softmax(&Tensor::cat(&[trunk_scores, by_head(scores, rows)?], 2)?)?;
    let from_trunk = weights.narrow(2, 0, seen)?.contiguous()?.matmul(&trunk_values)?;
    let back =
        |x: Tensor, last: usize| x.reshape((kv_heads, count, group, last))?.transpose(0, 1)?.contiguous();
    let own_weights = back(weights.narrow(2, seen, rows)?.contiguous()?, rows)?;
    let out = (back(from_trunk, dim)? + own_weights.matmul(&values)?)?;
    out.reshape((count, width))
}

fn softmax(scores: &Tensor) -> Result<Tensor> {
    let scores = scores.to_dtype(DType::F32)?;
    let exp = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
    exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)
}

#[cfg(test)]
mod tests {
    use super::super::check::random;
    use super::super::{AttentionShape, Pass, attention};
    use super::*;

    #[test]
    fn continuations_attend_as_if_each_stood_alone() {
        let (heads, kv_heads, dim) = (4, 2, 8);
        let width = 2 * kv_heads * dim;
        for (seen, lengths) in [(7, vec![0, 3, 1]), (0, vec![2, 5]), (5, vec![0, 0]), (0, vec![0])] {
            let count = lengths.len();
            let longest = *lengths.iter().max().unwrap();
            let (q, kv) = (random(&[count, heads * dim], 1), random(&[count, width], 2));
            let trunk = (seen > 0).then(|| random(&[seen, width], 3));
            let twigs = (longest > 0).then(|| random(&[count, longest, width], 4));
            let branches = Branches { trunk: trunk.clone(), twigs: twigs.clone(), lengths: lengths.clone() };
            let out: Vec<Vec<f32>> =
                branch_attention(&q, &kv, &branches, (heads, kv_heads)).unwrap().to_vec2().unwrap();
            for (index, &length) in lengths.iter().enumerate() {
                let own = twigs.as_ref().map(|t| t.get(index).unwrap().narrow(0, 0, length).unwrap());
                let rows: Vec<Tensor> = trunk
                    .iter()
                    .cloned()
                    .chain(own.filter(|own| own.dim(0).unwrap() > 0))
                    .chain([kv.narrow(0, index, 1).unwrap()])
                    .collect();
                let all = Tensor::cat(&rows, 0).unwrap();
                let mut shape = AttentionShape::within(&[1], heads, kv_heads, dim, true);
                shape.keys = vec![seen + length + 1];
                let one = q.narrow(0, index, 1).unwrap();
                let expected = attention(&one, &all, None, &shape, (&Pass::plain(), 0.0)).unwrap();
                let expected: Vec<Vec<f32>> = expected.to_vec2().unwrap();
                for (a, b) in out[index].iter().zip(&expected[0]) {
                    assert!((a - b).abs() < 1e-5, "{a} {b}");
                }
            }
        }
    }
}
