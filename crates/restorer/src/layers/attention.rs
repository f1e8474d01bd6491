//! Scaled dot-product attention over a packed batch: sequences stand one after the other, without padding.

use candle_core::{CpuStorage, CustomOp3, D, Device, Layout, Result, Shape, Tensor};

use super::kernel::{View, exp, has_kernel, matmul, slice, with_values};

/// What the tokens of a packed batch may attend to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    /// Tokens of each sequence; their sum is the number of rows.
    pub lengths: Vec<usize>,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; a divisor of `heads` (grouped-query attention, arXiv 2305.13245).
    pub kv_heads: usize,
    /// Whether a token sees only itself and what stands before it.
    pub causal: bool,
}

/// softmax(q kᵀ / √`head_dim`) v within each sequence.
///
/// `q`: `[tokens, heads · head_dim]`; `k` and `v`: `[tokens, kv_heads · head_dim]`; the result has the shape of `q`.
/// Differentiable; scores are recomputed for the backward pass and never kept.
///
/// # Errors
/// If the shapes do not fit.
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, shape: &AttentionShape) -> Result<Tensor> {
    if has_kernel(q) {
        let kernel = AttentionKernel { shape: shape.clone() };
        return q.contiguous()?.apply_op3(&k.contiguous()?, &v.contiguous()?, kernel);
    }
    composed(q, k, v, shape)
}

/// The same from candle's own differentiable operations, sequence by sequence, for other devices.
fn composed(q: &Tensor, k: &Tensor, v: &Tensor, shape: &AttentionShape) -> Result<Tensor> {
    let head_dim = q.dim(1)? / shape.heads;
    let group = shape.heads / shape.kv_heads;
    let mut outputs = Vec::with_capacity(shape.lengths.len());
    let mut start = 0;
    for &length in &shape.lengths {
        let heads = |x: &Tensor, heads: usize| {
            x.narrow(0, start, length)?.reshape((length, heads, head_dim))?.transpose(0, 1)?.contiguous()
        };
        let grouped = |x: &Tensor| {
            let x = heads(x, shape.kv_heads)?.unsqueeze(1)?;
            x.broadcast_as((shape.kv_heads, group, length, head_dim))?.contiguous()?.reshape((
                shape.heads,
                length,
                head_dim,
            ))
        };
        let scale = 1.0 / (head_dim as f64).sqrt();
        let mut scores = (heads(q, shape.heads)?.matmul(&grouped(k)?.t()?.contiguous()?)? * scale)?;
        if shape.causal {
            scores = scores.broadcast_add(&causal_mask(length, q.device())?.to_dtype(q.dtype())?)?;
        }
        let weights = softmax(&scores)?;
        outputs
            .push(weights.matmul(&grouped(v)?)?.transpose(0, 1)?.reshape((length, shape.heads * head_dim))?);
        start += length;
    }
    Tensor::cat(&outputs, 0)
}

fn softmax(x: &Tensor) -> Result<Tensor> {
    let e = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?.exp()?;
    e.broadcast_div(&e.sum_keepdim(D::Minus1)?)
}

fn causal_mask(length: usize, device: &Device) -> Result<Tensor> {
    let entry = |i| if i % length > i / length { -1e9f32 } else { 0.0 };
    Tensor::from_vec((0..length * length).map(entry).collect(), (length, length), device)
}

struct AttentionKernel {
    shape: AttentionShape,
}

/// Where one head of one sequence lies in the packed tensors.
struct Block {
    length: usize,
    q_at: usize,
    kv_at: usize,
}

impl AttentionKernel {
    fn head_dim(&self, q: &[f32]) -> usize {
        q.len() / (self.shape.lengths.iter().sum::<usize>() * self.shape.heads).max(1)
    }

    fn blocks(&self, head_dim: usize) -> impl Iterator<Item = Block> {
        let AttentionShape { heads, kv_heads, .. } = self.shape;
        let mut start = 0;
        self.shape.lengths.iter().flat_map(move |&length| {
            let first = start;
            start += length;
            (0..heads).map(move |head| Block {
                length,
                q_at: (first * heads + head) * head_dim,
                kv_at: (first * kv_heads + head * kv_heads / heads) * head_dim,
            })
        })
    }

    /// The attention weights of one block, `[length, length]`, into `weights`.
    fn weights(&self, q: &[f32], k: &[f32], block: &Block, head_dim: usize, weights: &mut Vec<f32>) {
        let n = block.length;
        weights.resize(n * n, 0.0);
        let q = View { values: &q[block.q_at..], row: self.shape.heads * head_dim, col: 1 };
        let k = View { values: &k[block.kv_at..], row: 1, col: self.shape.kv_heads * head_dim };
        matmul((n, head_dim, n), q, k, 1.0 / (head_dim as f32).sqrt(), weights, n, false);
        softmax_rows(weights, n, self.shape.causal);
    }

    fn forward(&self, q: &[f32], k: &[f32], v: &[f32]) -> Vec<f32> {
        let head_dim = self.head_dim(q);
        let (row, kv_row) = (self.shape.heads * head_dim, self.shape.kv_heads * head_dim);
        let mut out = vec![0.0; q.len()];
        let mut weights = Vec::new();
        for block in self.blocks(head_dim) {
            let n = block.length;
            self.weights(q, k, &block, head_dim, &mut weights);
            let weights = View { values: &weights, row: n, col: 1 };
            let v = View { values: &v[block.kv_at..], row: kv_row, col: 1 };
            matmul((n, n, head_dim), weights, v, 1.0, &mut out[block.q_at..], row, false);
        }
        out
    }

    fn backward(&self, q: &[f32], k: &[f32], v: &[f32], grad: &[f32]) -> [Vec<f32>; 3] {
        let head_dim = self.head_dim(q);
        let (row, kv_row) = (self.shape.heads * head_dim, self.shape.kv_heads * head_dim);
        let scale = 1.0 / (head_dim as f32).sqrt();
        let mut gradients = [vec![0.0; q.len()], vec![0.0; k.len()], vec![0.0; v.len()]];
        let [dq, dk, dv] = &mut gradients;
        let (mut weights, mut scores) = (Vec::new(), Vec::new());
        for block in self.blocks(head_dim) {
            let n = block.length;
            self.weights(q, k, &block, head_dim, &mut weights);
            scores.resize(n * n, 0.0);
            let out = View { values: &grad[block.q_at..], row, col: 1 };
            let values = View { values: &v[block.kv_at..], row: 1, col: kv_row };
            let transposed = View { values: &weights, row: 1, col: n };
            matmul((n, n, head_dim), transposed, out, 1.0, &mut dv[block.kv_at..], kv_row, true);
            matmul((n, head_dim, n), out, values, 1.0, &mut scores, n, false);
            softmax_gradient(&weights, &mut scores, n);
            let (straight, transposed) =
                (View { values: &scores, row: n, col: 1 }, View { values: &scores, row: 1, col: n });
            let keys = View { values: &k[block.kv_at..], row: kv_row, col: 1 };
            let queries = View { values: &q[block.q_at..], row, col: 1 };
            matmul((n, n, head_dim), straight, keys, scale, &mut dq[block.q_at..], row, false);
            matmul((n, n, head_dim), transposed, queries, scale, &mut dk[block.kv_at..], kv_row, true);
        }
        gradients
    }
}

#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn softmax_rows(scores: &mut [f32], n: usize, causal: bool) {
    for (i, row) in scores.chunks_exact_mut(n).enumerate() {
        let (seen, hidden) = row.split_at_mut(if causal { i + 1 } else { n });
        let mut largest = [f32::NEG_INFINITY; 16];
        for chunk in seen.chunks(16) {
            for (lane, x) in largest.iter_mut().zip(chunk) {
                *lane = if *x > *lane { *x } else { *lane };
            }
        }
        let max = largest.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut sums = [0f32; 16];
        for chunk in seen.chunks_mut(16) {
            for (lane, x) in sums.iter_mut().zip(chunk) {
                *x = exp(*x - max);
                *lane += *x;
            }
        }
        let inverse = 1.0 / sums.iter().sum::<f32>();
        for x in seen.iter_mut() {
            *x *= inverse;
        }
        hidden.fill(0.0);
    }
}

/// Turns the gradient of the weights into that of the scores, in place: w · (g − Σ w g).
#[multiversion::multiversion(targets("x86_64+avx512f", "x86_64+avx2+fma"))]
fn softmax_gradient(weights: &[f32], grad: &mut [f32], n: usize) {
    for (w, g) in weights.chunks_exact(n).zip(grad.chunks_exact_mut(n)) {
        let mut sums = [0f32; 16];
        for (w, g) in w.chunks(16).zip(g.chunks(16)) {
            for (lane, (w, g)) in sums.iter_mut().zip(w.iter().zip(g)) {
                *lane += w * g;
            }
        }
        let along = sums.iter().sum::<f32>();
        for (w, g) in w.iter().zip(g) {
            *g = w * (*g - along);
        }
    }
}

impl CustomOp3 for AttentionKernel {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        ql: &Layout,
        k: &CpuStorage,
        kl: &Layout,
        v: &CpuStorage,
        vl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let AttentionShape { lengths, heads, kv_heads, .. } = &self.shape;
        let tokens: usize = lengths.iter().sum();
        let (rows, width) = ql.shape().dims2()?;
        let kv = (tokens, width / heads * kv_heads);
        if rows != tokens
            || width % heads != 0
            || heads % kv_heads != 0
            || [kl, vl].iter().any(|l| l.dims() != [kv.0, kv.1])
        {
            candle_core::bail!("attention: {ql:?}, {kl:?} and {vl:?} do not fit {:?}", self.shape);
        }
        let out = self.forward(slice(q, ql)?, slice(k, kl)?, slice(v, vl)?);
        Ok((CpuStorage::F32(out), ql.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dq, dk, dv] = with_values(q, |qs| {
            with_values(k, |ks| with_values(v, |vs| with_values(grad, |g| self.backward(qs, ks, vs, g))))
        })????;
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device()).map(Some);
        Ok((tensor(dq, q)?, tensor(dk, k)?, tensor(dv, v)?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, assert_same, random};
    use super::*;

    #[test]
    fn kernel_and_composition_agree_in_values_and_gradients() {
        for (kv_heads, causal) in [(4, false), (4, true), (2, false), (1, true)] {
            let shape = AttentionShape { lengths: vec![5, 1, 19], heads: 4, kv_heads, causal };
            let inputs =
                [random(&[25, 32], 6), random(&[25, 8 * kv_heads], 7), random(&[25, 8 * kv_heads], 8)];
            let fused = |x: &[Tensor]| attention(&x[0], &x[1], &x[2], &shape);
            assert_same(fused, |x| composed(&x[0], &x[1], &x[2], &shape), &inputs, 1e-5);
            assert_gradients(fused, &inputs);
        }
    }

    #[test]
    fn a_sequence_does_not_see_its_neighbours() {
        let shape = |lengths| AttentionShape { lengths, heads: 2, kv_heads: 2, causal: false };
        let x = random(&[9, 16], 9);
        let packed = attention(&x, &x, &x, &shape(vec![4, 5])).unwrap();
        let alone = x.narrow(0, 4, 5).unwrap();
        let alone = attention(&alone, &alone, &alone, &shape(vec![5])).unwrap();
        let tail: Vec<Vec<f32>> = packed.narrow(0, 4, 5).unwrap().to_vec2().unwrap();
        assert_eq!(tail, alone.to_vec2::<f32>().unwrap());
    }
}
