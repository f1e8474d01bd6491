//! A byte-level decoder's tokens as the symbols of priors.

use std::sync::Arc;

use super::super::codec::FIRST_BYTE;
use crate::prior::{END, Symbol, is_symbol};

/// The token of a symbol.
pub(super) fn token(symbol: Symbol, end: u32) -> u32 {
    if symbol == END { end } else { u32::from(symbol) + FIRST_BYTE }
}

/// Of each symbol, ln of its probability among all symbols, in nats; −∞ of what is none.
pub(super) fn ln_probabilities(logits: &[f32], end: u32) -> Arc<[f32]> {
    let logit = |symbol: Symbol| match logits.get(token(symbol, end) as usize) {
        Some(logit) if is_symbol(symbol) => *logit,
        _ => f32::NEG_INFINITY,
    };
    let all: Vec<f32> = (0..=Symbol::MAX).map(logit).collect();
    let greatest = all.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = all.iter().map(|logit| f64::from(logit - greatest).exp()).sum();
    let ln_sum = greatest + sum.ln() as f32;
    all.into_iter().map(|logit| logit - ln_sum).collect()
}
