//! Attention of the next tokens of many texts, each over rows that lie where they were first computed: texts that have a
//! beginning in common share its rows, and nothing is gathered.

use std::ops::Range;

use candle_core::{DType, Result, Tensor};
use multiversion::multiversion;

use super::attention::softmax_rows;

/// Keys beside values of tokens that were read together, rotated: for each layer `[tokens, 2 · kv_heads · head_dim]`.
#[derive(Debug)]
pub struct KvBlock {
    layers: Vec<Vec<f32>>,
    width: usize,
}

impl KvBlock {
    /// Takes the rows of all layers, of one shape.
    ///
    /// # Errors
    /// If the tensor library fails.
    pub fn new(layers: &[Tensor]) -> Result<Self> {
        let width = layers.first().map_or(Ok(0), |rows| rows.dim(1))?;
        let values = |rows: &Tensor| rows.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
        Ok(Self { layers: layers.iter().map(values).collect::<Result<_>>()?, width })
    }

    /// The rows of some tokens in one layer, one after the other.
    pub fn rows(&self, layer: usize, tokens: Range<usize>) -> &[f32] {
        &self.layers[layer][tokens.start * self.width..tokens.end * self.width]
    }
}

/// What a token has before it, in the order of the text: tokens of blocks.
pub type KvPath<'b> = Vec<(&'b KvBlock, Range<usize>)>;

/// softmax(q kᵀ / √`head_dim`) v of one query for each path, over what the path has in a layer and the query's own row.
///
/// `q`: `[paths, heads · head_dim]`; `kv`: the queries' own keys beside values, `[paths, 2 · kv_heads · head_dim]`; the result has
/// the shape of `q`. Computed on the CPU, in float32.
///
/// # Errors
/// If the shapes do not fit, or the tensor library fails.
pub fn path_attention(
    q: &Tensor,
    kv: &Tensor,
    paths: &[KvPath<'_>],
    layer: usize,
    (heads, kv_heads): (usize, usize),
) -> Result<Tensor> {
    let (count, width) = q.dims2()?;
    let values = |x: &Tensor| x.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>();
    let (queries, own) = (values(q)?, values(kv)?);
    let head_dim = width / heads.max(1);
    let row = 2 * kv_heads * head_dim;
    let fits = paths.len() == count
        && own.len() == count * row
        && head_dim > 0
        && heads.is_multiple_of(kv_heads.max(1))
        && paths.iter().flatten().all(|(block, _)| block.width == row && layer < block.layers.len());
    if !fits {
        candle_core::bail!("attention: {:?} and {:?} do not fit {} paths", q.dims(), kv.dims(), paths.len());
    }
    let mut out = vec![0.0; queries.len()];
    let mut scores = Vec::new();
    for (((path, query), own), out) in
        paths.iter().zip(queries.chunks(width)).zip(own.chunks(row)).zip(out.chunks_mut(width))
    {
        let pieces = path.iter().map(|(block, tokens)| block.rows(layer, tokens.clone())).chain([own]);
        let pieces: Vec<&[f32]> = pieces.collect();
        let seen = pieces.iter().map(|piece| piece.len() / row).sum();
        scores.resize(heads * seen, 0.0);
        score(query, &pieces, (heads, kv_heads, head_dim), &mut scores);
        softmax_rows(&mut scores, seen, seen, 0);
        mix(&scores, &pieces, (heads, kv_heads, head_dim), out);
    }
    Tensor::from_vec(out, (count, width), q.device())?.to_dtype(q.dtype())
}

// Loops instead of iterators' closures: those are compiled for any CPU.

/// Of each head, the scores of one query for all rows: `[heads, rows]`.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn score(
    query: &[f32],
    pieces: &[&[f32]],
    (heads, kv_heads, head_dim): (usize, usize, usize),
    scores: &mut [f32],
) {
    let (group, scale) = (heads / kv_heads, (head_dim as f32).sqrt().recip());
    let seen = scores.len() / heads;
    let mut at = 0;
    for piece in pieces {
        for row in piece.chunks_exact(2 * kv_heads * head_dim) {
            for (head, query) in query.chunks_exact(head_dim).enumerate() {
                let key = &row[head / group * head_dim..][..head_dim];
                scores[head * seen + at] = scale * dot(query, key);
            }
            at += 1;
        }
    }
}

/// Adds the rows' values to each head's sum by their weights.
#[multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn mix(
    weights: &[f32],
    pieces: &[&[f32]],
    (heads, kv_heads, head_dim): (usize, usize, usize),
    out: &mut [f32],
) {
    let (group, half) = (heads / kv_heads, kv_heads * head_dim);
    let seen = weights.len() / heads;
    let mut at = 0;
    for piece in pieces {
        for row in piece.chunks_exact(2 * half) {
            for (head, out) in out.chunks_exact_mut(head_dim).enumerate() {
                let weight = weights[head * seen + at];
                let values = &row[half + head / group * head_dim..][..head_dim];
                for (out, value) in out.iter_mut().zip(values) {
                    *out += weight * value;
                }
            }
            at += 1;
        }
    }
}

/// Σ a b, in eight lanes.
#[inline]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let mut sums = [0f32; 8];
    for (a, b) in a.iter().zip(b) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let mut rest = 0.0;
    for (a, b) in a_rest.iter().zip(b_rest) {
        rest += a * b;
    }
    let mut halves = [0f32; 4];
    for lane in 0..4 {
        halves[lane] = sums[lane] + sums[lane + 4];
    }
    (halves[0] + halves[2]) + (halves[1] + halves[3]) + rest
}

#[cfg(test)]
mod tests {
    use super::super::check::random;
    use super::super::{AttentionShape, Pass, attention};
    use super::*;

    #[test]
    fn each_attends_as_if_it_stood_alone() {
        for (heads, kv_heads, dim) in [(4, 2, 8), (2, 2, 48), (3, 1, 17)] {
            let width = 2 * kv_heads * dim;
            let layers =
                |tokens: usize, seed| [random(&[tokens, width], seed), random(&[tokens, width], seed + 1)];
            let (long, short) = (layers(7, 3), layers(4, 5));
            let blocks = [KvBlock::new(&long).unwrap(), KvBlock::new(&short).unwrap()];
            let paths = [
                vec![(&blocks[0], 0..5), (&blocks[1], 1..2), (&blocks[1], 3..4)],
                vec![(&blocks[0], 0..7)],
                vec![],
            ];
            let (q, kv) = (random(&[3, heads * dim], 1), random(&[3, width], 2));
            for layer in 0..2 {
                let out = path_attention(&q, &kv, &paths, layer, (heads, kv_heads)).unwrap();
                let out: Vec<Vec<f32>> = out.to_vec2().unwrap();
                for (index, path) in paths.iter().enumerate() {
                    let of = |(block, tokens): &(&KvBlock, Range<usize>)| {
                        let rows = if std::ptr::eq(*block, &raw const blocks[0]) { &long } else { &short };
                        rows[layer].narrow(0, tokens.start, tokens.len()).unwrap()
                    };
                    let mut rows: Vec<Tensor> = path.iter().map(of).collect();
                    rows.push(kv.narrow(0, index, 1).unwrap());
                    let all = Tensor::cat(&rows, 0).unwrap();
                    let mut shape = AttentionShape::within(&[1], heads, kv_heads, dim, true);
                    shape.keys = vec![all.dim(0).unwrap()];
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

    #[test]
    fn paths_that_do_not_fit_are_refused() {
        let block = KvBlock::new(&[random(&[2, 12], 1)]).unwrap();
        let (q, kv) = (random(&[1, 16], 1), random(&[1, 16], 2));
        assert!(path_attention(&q, &kv, &[vec![(&block, 0..2)]], 0, (2, 1)).is_err());
        assert!(path_attention(&q, &kv, &[], 0, (2, 1)).is_err());
    }
}
