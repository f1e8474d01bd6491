//! Scaled dot-product attention over a packed batch: sequences stand one after the other, without padding.

mod bias;
mod composed;
mod kernel;
mod softmax;

use candle_core::{Result, Tensor};

pub use bias::DistanceBias;
pub(super) use softmax::softmax_rows;

use super::kernel::has_kernel;
use super::pass::Pass;
use super::product::Operands;
use composed::composed;
use kernel::AttentionKernel;

/// What the tokens of a packed batch may attend to.
#[derive(Clone, Debug, PartialEq)]
pub struct AttentionShape {
    /// Query tokens of each sequence; their sum is the number of query rows.
    pub queries: Vec<usize>,
    /// Key tokens of each sequence; their sum is the number of key rows.
    pub keys: Vec<usize>,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; a divisor of `heads` (grouped-query attention, arXiv 2305.13245).
    pub kv_heads: usize,
    /// Whether a token sees only itself and what stands before it; the last query stands where the last key stands.
    pub causal: bool,
    /// The factor on the products.
    pub scale: f32,
}

impl AttentionShape {
    /// The tokens of each sequence attend to each other, with the usual scale 1 / √`head_dim`.
    pub fn within(lengths: &[usize], heads: usize, kv_heads: usize, head_dim: usize, causal: bool) -> Self {
        let scale = (head_dim as f32).sqrt().recip();
        Self { queries: lengths.to_vec(), keys: lengths.to_vec(), heads, kv_heads, causal, scale }
    }

    /// The width of a head, once the operands are known to fit.
    fn head_dim(&self, q: &[usize], kv: &[usize], bias: Option<&[usize]>) -> Result<usize> {
        let (rows, key_rows): (usize, usize) = (self.queries.iter().sum(), self.keys.iter().sum());
        let head_dim = q.last().map_or(0, |width| width / self.heads.max(1));
        let fits = q == [rows, self.heads * head_dim]
            && kv == [key_rows, 2 * self.kv_heads * head_dim]
            && self.queries.len() == self.keys.len()
            && self.heads.is_multiple_of(self.kv_heads.max(1))
            && (!self.causal || self.queries.iter().zip(&self.keys).all(|(n, m)| n <= m))
            && bias.is_none_or(|bias| bias.len() == 2 && bias[0] == self.heads);
        if !fits {
            candle_core::bail!("attention: {q:?}, {kv:?} and bias {bias:?} do not fit {self:?}");
        }
        Ok(head_dim)
    }
}

/// softmax(scale · q kᵀ + bias) v within each sequence.
///
/// `q`: `[queries, heads · head_dim]`; `kv`: `[keys, 2 · kv_heads · head_dim]`, keys beside values; the result has the shape of
/// `q`. `bias` is added by distance. With `pass`, each weight is dropped with probability `dropout`. Differentiable in `q`, `kv`
/// and the bias; weights are recomputed for the backward pass and never kept.
///
/// # Errors
/// If the shapes do not fit.
pub fn attention(
    q: &Tensor,
    kv: &Tensor,
    bias: Option<&DistanceBias>,
    shape: &AttentionShape,
    (pass, dropout): (&Pass, f32),
) -> Result<Tensor> {
    let head_dim = shape.head_dim(q.dims(), kv.dims(), bias.map(|bias| bias.values.dims()))?;
    let mask = pass.mask(dropout);
    if !has_kernel(q) {
        return composed(q, kv, bias, shape, mask);
    }
    let (q, kv) = (q.contiguous()?, kv.contiguous()?);
    let zero = bias.map(|bias| bias.zero);
    let operands = pass.operands();
    let kernel = AttentionKernel { shape: shape.clone(), head_dim, zero, mask, operands };
    match bias {
        Some(bias) => q.apply_op3(&kv, &bias.values.contiguous()?, kernel),
        None => q.apply_op2(&kv, kernel),
    }
}

/// The same of keys and values that are not packed: `kvs` has those of each sequence, as a cache holds them. Without gradients and
/// dropout.
///
/// # Errors
/// If the shapes do not fit.
pub fn attention_over(
    q: &Tensor,
    kvs: &[Tensor],
    bias: Option<&DistanceBias>,
    shape: &AttentionShape,
) -> Result<Tensor> {
    let rows = kvs.iter().map(|kv| kv.dim(0)).collect::<Result<Vec<_>>>()?;
    let width = kvs.first().map_or(Ok(0), |kv| kv.dim(1))?;
    let all = [rows.iter().sum(), width];
    let head_dim = shape.head_dim(q.dims(), &all, bias.map(|bias| bias.values.dims()))?;
    let is_one_width = kvs.iter().all(|kv| kv.dims().get(1) == Some(&width));
    if rows != shape.keys || !is_one_width {
        candle_core::bail!("attention: keys of {rows:?} tokens do not fit {shape:?}");
    }
    if !has_kernel(q) {
        return composed(q, &Tensor::cat(kvs, 0)?, bias, shape, None);
    }
    let (zero, operands) = (bias.map(|bias| bias.zero), Operands::Float32);
    let kernel = AttentionKernel { shape: shape.clone(), head_dim, zero, mask: None, operands };
    kernel.over(q, kvs, bias.map(|bias| &bias.values))
}

#[cfg(test)]
mod tests {
    use super::super::check::{assert_gradients, assert_same, random};
    use super::*;

    static QUIET: Pass = Pass::plain();
    const OFF: (&Pass, f32) = (&QUIET, 0.0);

    fn shapes() -> Vec<AttentionShape> {
        let shape = |queries: &[usize], keys: &[usize], kv_heads, causal| AttentionShape {
            queries: queries.to_vec(),
            keys: keys.to_vec(),
            heads: 4,
            kv_heads,
            causal,
            scale: 0.4,
        };
        vec![
            shape(&[5, 1, 19], &[5, 1, 19], 4, false),
            shape(&[5, 1, 70], &[5, 1, 70], 4, true),
            shape(&[5, 1, 19], &[9, 3, 20], 2, true),
            shape(&[3, 66, 2], &[7, 1, 130], 1, false),
        ]
    }

    fn inputs(shape: &AttentionShape) -> Vec<Tensor> {
        let (rows, keys): (usize, usize) = (shape.queries.iter().sum(), shape.keys.iter().sum());
        vec![random(&[rows, 32], 6), random(&[keys, 16 * shape.kv_heads], 7), random(&[4, 300], 8)]
    }

    #[test]
    fn kernel_and_composition_agree_in_values_and_gradients() {
        for shape in shapes() {
            let inputs = inputs(&shape);
            let fused = |x: &[Tensor]| attention(&x[0], &x[1], None, &shape, OFF);
            assert_same(fused, |x| composed(&x[0], &x[1], None, &shape, None), &inputs[..2], 1e-5);
            assert_gradients(fused, &inputs[..2]);
            let bias = |x: &[Tensor]| DistanceBias { values: x[2].clone(), zero: 140 };
            let fused = |x: &[Tensor]| attention(&x[0], &x[1], Some(&bias(x)), &shape, OFF);
            assert_same(fused, |x| composed(&x[0], &x[1], Some(&bias(x)), &shape, None), &inputs, 1e-5);
            assert_gradients(fused, &inputs);
        }
    }

    #[test]
    fn keys_may_lie_anywhere() {
        for shape in shapes() {
            let inputs = inputs(&shape);
            let mut first = 0;
            let kvs: Vec<Tensor> = shape
                .keys
                .iter()
                .map(|keys| {
                    first += keys;
                    inputs[1].narrow(0, first - keys, *keys).unwrap()
                })
                .collect();
            let bias = DistanceBias { values: inputs[2].clone(), zero: 140 };
            for bias in [None, Some(&bias)] {
                let packed = attention(&inputs[0], &inputs[1], bias, &shape, OFF).unwrap();
                let found = attention_over(&inputs[0], &kvs, bias, &shape).unwrap();
                assert_eq!(found.to_vec2::<f32>().unwrap(), packed.to_vec2::<f32>().unwrap());
            }
            assert!(attention_over(&inputs[0], &kvs[1..], None, &shape).is_err());
        }
    }

    #[test]
    fn dropped_weights_are_the_same_in_both_passes() {
        for shape in shapes() {
            let inputs = inputs(&shape);
            let fused = |x: &[Tensor]| attention(&x[0], &x[1], None, &shape, (&Pass::seeded(5), 0.3));
            let mask = Pass::seeded(5).mask(0.3);
            assert_same(fused, |x| composed(&x[0], &x[1], None, &shape, mask), &inputs[..2], 1e-5);
            assert_gradients(fused, &inputs[..2]);
        }
    }

    #[test]
    fn a_sequence_does_not_see_its_neighbours() {
        let x = random(&[9, 16], 9);
        let run = |x: &Tensor, lengths: &[usize]| {
            let kv = Tensor::cat(&[x, x], 1).unwrap();
            attention(x, &kv, None, &AttentionShape::within(lengths, 2, 2, 8, false), OFF).unwrap()
        };
        let packed = run(&x, &[4, 5]);
        let alone = run(&x.narrow(0, 4, 5).unwrap().contiguous().unwrap(), &[5]);
        let tail: Vec<Vec<f32>> = packed.narrow(0, 4, 5).unwrap().to_vec2().unwrap();
        assert_eq!(tail, alone.to_vec2::<f32>().unwrap());
    }

    #[test]
    fn operands_that_do_not_fit_are_refused() {
        let x = random(&[9, 16], 9);
        let shape = AttentionShape::within(&[4, 5], 2, 2, 8, false);
        assert!(attention(&x, &x, None, &shape, OFF).is_err());
    }
}
