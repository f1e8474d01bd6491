//! Reading the tokens of nodes: a text by itself, or the next tokens of many continuations at once.

use std::sync::Arc;

use candle_core::{DType, Result, Tensor};
use rustc_hash::{FxHashMap, FxHashSet};

use super::node::{Node, Read};
use super::symbols::ln_probabilities;
use crate::decoder::Decoder;
use crate::layers::{KvBlock, KvCache, KvPath};

/// Reads every node that has not been read, and what stands before it.
pub(super) fn read_all<'n>(
    decoder: &Decoder,
    nodes: impl Iterator<Item = &'n Arc<Node>>,
    end: u32,
) -> Result<()> {
    let (mut missing, mut seen): (Vec<&Arc<Node>>, FxHashSet<*const Node>) =
        (Vec::new(), FxHashSet::default());
    for node in nodes {
        missing
            .extend(node.path().take_while(|node| node.read().is_none() && seen.insert(Arc::as_ptr(node))));
    }
    // Of one depth in the order of their first use, so that the same search reads the same batches.
    missing.sort_by_key(|node| node.depth);
    // By how many before each are missing too: those of one wave never stand before each other.
    let mut waves: Vec<Vec<&Arc<Node>>> = Vec::new();
    let mut number_of: FxHashMap<*const Node, usize> = FxHashMap::default();
    for node in missing {
        let before = node.parent.as_ref().and_then(|parent| number_of.get(&Arc::as_ptr(parent)));
        let number = before.map_or(0, |number| number + 1);
        number_of.insert(Arc::as_ptr(node), number);
        waves.resize_with(waves.len().max(number + 1), Vec::new);
        waves[number].push(node);
    }
    waves.iter().try_for_each(|wave| read_wave(decoder, wave, end))
}

/// Reads a text's last tokens in one pass: `nodes` stand one after the other, and what stands before them has been read.
pub(super) fn read_text(decoder: &Decoder, nodes: &[Arc<Node>], end: u32) -> Result<()> {
    let Some(first) = nodes.first() else { return Ok(()) };
    let before = before(first)?;
    let tokens: Vec<u32> = nodes.iter().map(|node| node.token).collect();
    let mut cache = decoder.new_cache();
    if first.depth > 0 {
        for (layer, cache) in cache.iter_mut().enumerate() {
            let rows: Vec<f32> = before
                .iter()
                .flat_map(|(block, tokens)| block.rows(layer, tokens.clone()))
                .copied()
                .collect();
            cache.append(&Tensor::from_vec(rows, (first.depth, ()), decoder.device())?)?;
        }
    }
    let hidden = decoder.extend(&tokens, &[tokens.len()], &mut [&mut cache])?;
    let new = |cache: &KvCache| -> Result<Tensor> {
        match cache.rows()? {
            Some(rows) => rows.narrow(0, first.depth, tokens.len()),
            None => candle_core::bail!("a text of no tokens"),
        }
    };
    keep(decoder, nodes.iter(), &hidden, &cache.iter().map(new).collect::<Result<Vec<_>>>()?, end)
}

/// Reads nodes in front of which everything has been read.
fn read_wave(decoder: &Decoder, wave: &[&Arc<Node>], end: u32) -> Result<()> {
    let paths = wave.iter().map(|node| before(node)).collect::<Result<Vec<_>>>()?;
    let tokens: Vec<u32> = wave.iter().map(|node| node.token).collect();
    let depths: Vec<usize> = wave.iter().map(|node| node.depth).collect();
    let (hidden, new) = decoder.branch(&tokens, &depths, &paths)?;
    keep(decoder, wave.iter().copied(), &hidden, &new, end)
}

fn before(node: &Node) -> Result<KvPath<'_>> {
    match node.before() {
        Some(path) => Ok(path),
        None => candle_core::bail!("a token was not read"),
    }
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
    let block = Arc::new(KvBlock::new(rows)?);
    for (row, (node, logits)) in nodes.zip(&logits).enumerate() {
        node.set_read(Read { block: Arc::clone(&block), row, ln: ln_probabilities(logits, end) });
    }
    Ok(())
}
