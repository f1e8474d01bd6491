//! Greedy generation with caches: at each step the most probable token.

use candle_core::{DType, Result};

use super::network::{Network, SequenceCache};

/// What a model has written.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Written {
    /// The tokens, without the one that ended it.
    pub(super) tokens: Vec<u32>,
    /// ln of each token's probability in nats, and of the end's, if there was one.
    pub(super) ln_probabilities: Vec<f32>,
    /// Whether the model ended it itself.
    pub(super) ended: bool,
}

/// Writes a target for each source: at most `most[i]` tokens, up to one of `ends`.
pub(super) fn greedy(
    network: &Network,
    sources: &[&[u32]],
    most: &[usize],
    ends: &[u32],
) -> Result<Vec<Written>> {
    let mut written = vec![Written::default(); sources.len()];
    if sources.is_empty() {
        return Ok(written);
    }
    let (caches, mut logits) = network.start(sources)?;
    let mut active: Vec<(usize, SequenceCache)> = caches.into_iter().enumerate().collect();
    loop {
        let rows: Vec<Vec<f32>> = logits.to_dtype(DType::F32)?.to_vec2()?;
        let mut next = Vec::with_capacity(active.len());
        let mut going = Vec::with_capacity(active.len());
        for ((index, cache), row) in active.into_iter().zip(&rows) {
            let (token, ln_probability) = best(row);
            let text = &mut written[index];
            text.ended = ends.contains(&token);
            if text.ended || text.tokens.len() < most[index] {
                text.ln_probabilities.push(ln_probability);
            }
            if text.ended || text.tokens.len() >= most[index] {
                continue;
            }
            text.tokens.push(token);
            next.push(token);
            going.push((index, cache));
        }
        active = going;
        if active.is_empty() {
            return Ok(written);
        }
        let mut caches: Vec<&mut SequenceCache> = active.iter_mut().map(|(_, cache)| cache).collect();
        logits = network.extend(&next, &mut caches)?;
    }
}

/// The most probable token, the first of equals, and ln of its probability.
fn best(logits: &[f32]) -> (u32, f32) {
    let mut top = 0;
    for (token, logit) in logits.iter().enumerate() {
        if *logit > logits[top] {
            top = token;
        }
    }
    let sum: f32 = logits.iter().map(|logit| (logit - logits[top]).exp()).sum();
    (top as u32, -sum.ln())
}
