//! Reading the tokens of nodes: a text by itself, or the next tokens of many continuations at once.

use std::sync::Arc;

use candle_core::{DType, Result, Tensor};
use rustc_hash::FxHashSet;

use super::node::{Block, Node, Read};
use super::symbols::ln_probabilities;
use crate::decoder::Decoder;
use crate::layers::{Branches, KvCache};

/// Reads every node that has not been read, and what stands before it.
pub(super) fn read_all<'n>(
    decoder: &Decoder,
    nodes: impl Iterator<Item = &'n Arc<Node>>,
    end: u32,
) -> Result<()> {
    let (mut missing, mut known): (Vec<&Arc<Node>>, FxHashSet<*const Node>) =
        (Vec::new(), FxHashSet::default());
    for node in nodes {
        missing
            .extend(node.path().take_while(|node| node.read().is_none() && known.insert(Arc::as_ptr(node))));
    }
    // Of one depth in the order of their first use, so that the same search reads the same batches.
    missing.sort_by_key(|node| node.depth);
    // Nodes of one depth never stand before each other.
    for wave in missing.chunk_by(|a, b| a.depth == b.depth) {
        read_wave(decoder, wave, end)?;
    }
    Ok(())
}

/// Reads a text's last tokens in one pass: `nodes` stand one after the other, and what stands before them has been read.
pub(super) fn read_text(decoder: &Decoder, nodes: &[Arc<Node>], end: u32) -> Result<()> {
    let Some(first) = nodes.first() else { return Ok(()) };
    let before: Vec<&Arc<Node>> = first.path().skip(1).collect();
    let tokens: Vec<u32> = nodes.iter().map(|node| node.token).collect();
    let mut cache = decoder.new_cache();
    for (layer, cache) in cache.iter_mut().enumerate() {
        if let Some(rows) = rows(decoder, &before, layer)? {
            cache.append(&rows)?;
        }
    }
    let hidden = decoder.extend(&tokens, &[tokens.len()], &mut [&mut cache])?;
    let new = |cache: &KvCache| -> Result<Tensor> {
        match cache.rows()? {
            Some(rows) => rows.narrow(0, before.len(), tokens.len()),
            None => candle_core::bail!("a text of no tokens"),
        }
    };
    keep(decoder, nodes.iter(), &hidden, &cache.iter().map(new).collect::<Result<Vec<_>>>()?, end)
}

/// Reads nodes of one depth, in front of which everything has been read.
fn read_wave(decoder: &Decoder, wave: &[&Arc<Node>], end: u32) -> Result<()> {
    let before: Vec<Vec<&Arc<Node>>> = wave.iter().map(|node| node.path().skip(1).collect()).collect();
    // All are as deep: the trunk is what all paths share at their ends.
    let [first, others @ ..] = before.as_slice() else { return Ok(()) };
    let is_shared = |at: &usize| others.iter().all(|path| Arc::ptr_eq(path[*at], first[*at]));
    let longest = (0..first.len()).find(is_shared).unwrap_or(first.len());
    let seen = (0..decoder.config().num_layers).map(|layer| -> Result<Branches> {
        let twigs: Vec<Tensor> = before
            .iter()
            .filter_map(|path| rows(decoder, &path[..longest], layer).transpose())
            .collect::<Result<_>>()?;
        Ok(Branches {
            trunk: rows(decoder, &first[longest..], layer)?,
            twigs: if twigs.is_empty() { None } else { Some(Tensor::stack(&twigs, 0)?) },
            lengths: vec![longest; wave.len()],
        })
    });
    let seen = seen.collect::<Result<Vec<_>>>()?;
    let tokens: Vec<u32> = wave.iter().map(|node| node.token).collect();
    let depths: Vec<usize> = wave.iter().map(|node| node.depth).collect();
    let (hidden, new) = decoder.branch(&tokens, &depths, &seen)?;
    keep(decoder, wave.iter().copied(), &hidden, &new, end)
}

/// Keys beside values of a path, given from its end, in the order of the text; none of an empty path.
fn rows(decoder: &Decoder, path: &[&Arc<Node>], layer: usize) -> Result<Option<Tensor>> {
    let mut values = Vec::new();
    let mut width = 0;
    for node in path.iter().rev() {
        let Some(Read { block, row, .. }) = node.read() else { candle_core::bail!("a token was not read") };
        width = block.width;
        values.extend_from_slice(block.row(layer, *row));
    }
    if path.is_empty() {
        return Ok(None);
    }
    Tensor::from_vec(values, (path.len(), width), decoder.device()).map(Some)
}

/// Keeps what reading nodes has given.
fn keep<'n>(
    decoder: &Decoder,
    nodes: impl Iterator<Item = &'n Arc<Node>>,
    hidden: &Tensor,
    rows: &[Tensor],
    end: u32,
) -> Result<()> {
    let logits: Vec<Vec<f32>> = decoder.logits(hidden)?.to_dtype(DType::F32)?.to_vec2()?;
    let width = rows.first().map_or(Ok(0), |rows| rows.dim(1))?;
    let layers = rows.iter().map(|rows| rows.to_dtype(DType::F32)?.flatten_all()?.to_vec1::<f32>());
    let block = Arc::new(Block { layers: layers.collect::<Result<_>>()?, width });
    for (row, (node, logits)) in nodes.zip(&logits).enumerate() {
        node.set_read(Read { block: Arc::clone(&block), row, ln: ln_probabilities(logits, end) });
    }
    Ok(())
}
