//! Attention on the CPU: a tile of queries at a time, so that its weights stay in the cache.

use candle_core::{CpuStorage, CustomOp2, CustomOp3, Layout, Result, Shape, Storage, Tensor};

use super::super::kernel::{slice, with_values};
use super::super::pass::Mask;
use super::super::product::{Operands, View, matmul};
use super::AttentionShape;
use super::softmax::{softmax_gradient, softmax_rows};

/// Query rows of a tile.
const TILE: usize = 64;

/// One fused attention.
pub(super) struct AttentionKernel {
    pub(super) shape: AttentionShape,
    pub(super) head_dim: usize,
    /// The bias's column of distance 0, where there is a bias.
    pub(super) zero: Option<usize>,
    pub(super) mask: Option<Mask>,
    pub(super) operands: Operands,
}

/// Some queries of one head of one sequence, and the keys that they can see.
struct Tile {
    head: usize,
    /// Queries, and offset of the first in `q`.
    rows: usize,
    q_at: usize,
    /// Keys, and offset of the first in `kv`, and in the keys of the sequence alone.
    keys: usize,
    k_at: usize,
    own_k_at: usize,
    /// Number of the sequence.
    sequence: usize,
    /// How many keys the first query sees, and by how many more each following one.
    first_seen: usize,
    growth: usize,
    /// Position of the first query among the keys.
    position: usize,
    /// Number of the first row of weights, over all heads and sequences; for dropout.
    number: u64,
}

/// What the bias lies in: its values, the number of distances, the column of distance 0.
#[derive(Clone, Copy)]
struct BiasView<'a> {
    values: &'a [f32],
    distances: usize,
    zero: usize,
}

impl BiasView<'_> {
    /// The columns that a query at `position` adds to its first `keys` scores.
    fn columns(self, head: usize, position: usize, keys: usize) -> std::ops::Range<usize> {
        let start = head * self.distances + self.zero - position;
        start..start + keys
    }
}

impl AttentionKernel {
    fn strides(&self) -> (usize, usize, usize) {
        let kv = self.shape.kv_heads * self.head_dim;
        (self.shape.heads * self.head_dim, 2 * kv, kv)
    }

    fn tiles(&self) -> Vec<Tile> {
        let AttentionShape { heads, kv_heads, causal, .. } = self.shape;
        let (row, kv_row, _) = self.strides();
        let (mut tiles, mut first_query, mut first_key, mut number) = (Vec::new(), 0, 0, 0);
        for (sequence, (&n, &m)) in self.shape.queries.iter().zip(&self.shape.keys).enumerate() {
            for head in 0..heads {
                let own_k_at = head * kv_heads / heads * self.head_dim;
                for start in (0..n).step_by(TILE) {
                    let rows = TILE.min(n - start);
                    // The last query stands where the last key stands, if they are of one sequence.
                    let position = if causal { m - n + start } else { start };
                    let keys = if causal { position + rows } else { m };
                    tiles.push(Tile {
                        head,
                        rows,
                        q_at: (first_query + start) * row + head * self.head_dim,
                        keys,
                        k_at: first_key * kv_row + own_k_at,
                        own_k_at,
                        sequence,
                        first_seen: if causal { position + 1 } else { m },
                        growth: usize::from(causal),
                        position,
                        number,
                    });
                    number += rows as u64;
                }
            }
            first_query += n;
            first_key += m;
        }
        tiles
    }

    /// The weights of a tile before dropout, `[rows, keys]`, into `weights`; `keys` begin with the tile's.
    fn weights(
        &self,
        q: &[f32],
        keys: &[f32],
        bias: Option<BiasView<'_>>,
        tile: &Tile,
        weights: &mut Vec<f32>,
    ) {
        let (row, kv_row, _) = self.strides();
        weights.resize(tile.rows * tile.keys, 0.0);
        let q = View { values: &q[tile.q_at..], row, col: 1 };
        let k = View { values: keys, row: 1, col: kv_row };
        matmul(
            self.operands,
            (tile.rows, self.head_dim, tile.keys),
            q,
            k,
            self.shape.scale,
            (weights, tile.keys),
            false,
        );
        if let Some(bias) = bias {
            for (i, scores) in weights.chunks_exact_mut(tile.keys).enumerate() {
                let columns = bias.columns(tile.head, tile.position + i, tile.keys);
                for (score, bias) in scores.iter_mut().zip(&bias.values[columns]) {
                    *score += bias;
                }
            }
        }
        softmax_rows(weights, tile.keys, tile.first_seen, tile.growth);
    }

    fn drop(&self, tile: &Tile, values: &mut [f32]) {
        if let Some(mask) = &self.mask {
            for (i, row) in values.chunks_exact_mut(tile.keys).enumerate() {
                mask.apply_row(tile.number + i as u64, row);
            }
        }
    }

    /// The keys beside values of each sequence, of a packed batch.
    fn sequences<'a>(&self, mut kv: &'a [f32]) -> Vec<&'a [f32]> {
        let (_, kv_row, _) = self.strides();
        let split = |keys: &usize| kv.split_off(..keys * kv_row).unwrap_or_default();
        self.shape.keys.iter().map(split).collect()
    }

    /// `kvs`: keys beside values, of each sequence.
    fn forward(&self, q: &[f32], kvs: &[&[f32]], bias: Option<BiasView<'_>>) -> Vec<f32> {
        let (row, kv_row, values_at) = self.strides();
        let mut out = vec![0.0; q.len()];
        let mut weights = Vec::new();
        for tile in self.tiles().iter().filter(|tile| tile.keys > 0) {
            let keys = &kvs[tile.sequence][tile.own_k_at..];
            self.weights(q, keys, bias, tile, &mut weights);
            self.drop(tile, &mut weights);
            let weights = View { values: &weights, row: tile.keys, col: 1 };
            let v = View { values: &keys[values_at..], row: kv_row, col: 1 };
            matmul(
                self.operands,
                (tile.rows, tile.keys, self.head_dim),
                weights,
                v,
                1.0,
                (&mut out[tile.q_at..], row),
                false,
            );
        }
        out
    }

    /// The gradients of `q`, `kv` and the bias.
    fn backward(&self, q: &[f32], kv: &[f32], bias: Option<BiasView<'_>>, grad: &[f32]) -> [Vec<f32>; 3] {
        let (row, kv_row, values_at) = self.strides();
        let mut gradients =
            [vec![0.0; q.len()], vec![0.0; kv.len()], vec![0.0; bias.map_or(0, |bias| bias.values.len())]];
        let [dq, dkv, dbias] = &mut gradients;
        let (mut weights, mut scores, mut dropped) = (Vec::new(), Vec::new(), Vec::new());
        for tile in self.tiles().iter().filter(|tile| tile.keys > 0) {
            let (n, m, d) = (tile.rows, tile.keys, self.head_dim);
            self.weights(q, &kv[tile.k_at..], bias, tile, &mut weights);
            let used = if self.mask.is_some() {
                dropped.clone_from(&weights);
                self.drop(tile, &mut dropped);
                &dropped
            } else {
                &weights
            };
            let outputs = View { values: &grad[tile.q_at..], row, col: 1 };
            let transposed = View { values: used, row: 1, col: m };
            let dv = &mut dkv[tile.k_at + values_at..];
            matmul(self.operands, (m, n, d), transposed, outputs, 1.0, (dv, kv_row), true);

            scores.resize(n * m, 0.0);
            let values = View { values: &kv[tile.k_at + values_at..], row: 1, col: kv_row };
            matmul(self.operands, (n, d, m), outputs, values, 1.0, (&mut scores, m), false);
            self.drop(tile, &mut scores);
            softmax_gradient(&weights, &mut scores, m);

            if let Some(bias) = bias {
                for (i, scores) in scores.chunks_exact(m).enumerate() {
                    let columns = bias.columns(tile.head, tile.position + i, m);
                    for (sum, score) in dbias[columns].iter_mut().zip(scores) {
                        *sum += score;
                    }
                }
            }
            let straight = View { values: &scores, row: m, col: 1 };
            let keys = View { values: &kv[tile.k_at..], row: kv_row, col: 1 };
            matmul(
                self.operands,
                (n, m, d),
                straight,
                keys,
                self.shape.scale,
                (&mut dq[tile.q_at..], row),
                false,
            );
            let transposed = View { values: &scores, row: 1, col: m };
            let queries = View { values: &q[tile.q_at..], row, col: 1 };
            matmul(
                self.operands,
                (m, n, d),
                transposed,
                queries,
                self.shape.scale,
                (&mut dkv[tile.k_at..], kv_row),
                true,
            );
        }
        gradients
    }

    /// The bias as the kernel reads it; every distance of the batch must have a column.
    fn bias<'a>(&self, values: &'a [f32]) -> Result<BiasView<'a>> {
        let (distances, zero) = (values.len() / self.shape.heads.max(1), self.zero.unwrap_or(0));
        let reach = |tile: &Tile| {
            tile.position + tile.rows <= zero + 1 && zero + tile.keys <= distances + tile.position
        };
        if !self.tiles().iter().all(reach) {
            candle_core::bail!("a bias of {distances} distances, {zero} of them behind, is too short");
        }
        Ok(BiasView { values, distances, zero })
    }
}

impl AttentionKernel {
    /// The attention of a packed batch whose sequences have their keys beside values where they lie; without gradients.
    pub(super) fn over(&self, q: &Tensor, kvs: &[Tensor], bias: Option<&Tensor>) -> Result<Tensor> {
        let kvs: Vec<Tensor> = kvs.iter().map(Tensor::contiguous).collect::<Result<_>>()?;
        let storages: Vec<_> = kvs.iter().map(Tensor::storage_and_layout).collect();
        let slices = storages.iter().map(|(storage, layout)| match &**storage {
            Storage::Cpu(storage) => slice(storage, layout),
            _ => candle_core::bail!("a CPU kernel needs tensors of the CPU"),
        });
        let slices: Vec<&[f32]> = slices.collect::<Result<_>>()?;
        let out: Vec<f32> = match bias {
            None => with_values(q, |q| self.forward(q, &slices, None))?,
            Some(bias) => with_values(bias, |bias| -> Result<Vec<f32>> {
                let bias = self.bias(bias)?;
                with_values(q, |q| self.forward(q, &slices, Some(bias)))
            })??,
        };
        Tensor::from_vec(out, q.shape(), q.device())
    }
}

impl CustomOp2 for AttentionKernel {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        ql: &Layout,
        kv: &CpuStorage,
        kvl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let out = self.forward(slice(q, ql)?, &self.sequences(slice(kv, kvl)?), None);
        Ok((CpuStorage::F32(out), ql.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        kv: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let [dq, dkv, _] = with_values(q, |qs| {
            with_values(kv, |kvs| with_values(grad, |grad| self.backward(qs, kvs, None, grad)))
        })???;
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device()).map(Some);
        Ok((tensor(dq, q)?, tensor(dkv, kv)?))
    }
}

impl CustomOp3 for AttentionKernel {
    fn name(&self) -> &'static str {
        "attention-with-bias"
    }

    fn cpu_fwd(
        &self,
        q: &CpuStorage,
        ql: &Layout,
        kv: &CpuStorage,
        kvl: &Layout,
        bias: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let bias = self.bias(slice(bias, bl)?)?;
        let out = self.forward(slice(q, ql)?, &self.sequences(slice(kv, kvl)?), Some(bias));
        Ok((CpuStorage::F32(out), ql.shape().clone()))
    }

    fn bwd(
        &self,
        q: &Tensor,
        kv: &Tensor,
        bias: &Tensor,
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let [dq, dkv, dbias] = with_values(q, |qs| {
            with_values(kv, |kvs| {
                with_values(bias, |bias| {
                    with_values(grad, |grad| Ok(self.backward(qs, kvs, Some(self.bias(bias)?), grad)))
                })
            })
        })????
        .map_err(|error: candle_core::Error| error)?;
        let tensor = |values, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device()).map(Some);
        Ok((tensor(dq, q)?, tensor(dkv, kv)?, tensor(dbias, bias)?))
    }
}
