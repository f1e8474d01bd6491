//! Priors: how probable a text is, symbol by symbol.

use std::hash::Hash;

/// What a prior predicts: a byte of UTF-8, or [`END`].
pub type Symbol = u8;

/// The end of a text. No byte of UTF-8 has this value.
pub const END: Symbol = 0xFF;

/// Whether a symbol can occur: bytes that UTF-8 has, and [`END`].
pub fn is_symbol(symbol: Symbol) -> bool {
    !matches!(symbol, 0xC0 | 0xC1 | 0xF5..=0xFE)
}

/// A probability distribution over texts, factored over their bytes and their end.
///
/// After any state, the probabilities of all [symbols](is_symbol) sum to 1 within the precision of the stored weights.
pub trait Prior: Send + Sync {
    /// What of the symbols so far matters for those to come: equal states have equal futures.
    type State: Clone + Eq + Hash + Send + Sync;

    /// Before the first byte of a text.
    fn start(&self) -> Self::State;

    /// Inside of a text of which nothing so far is known.
    fn open(&self) -> Self::State;

    /// For each state and symbol, ln of the symbol's probability in nats and the state after it, into `next`, which is cleared.
    /// Many at once, so that a prior can batch; the result of each does not depend on the others.
    fn advance(&self, steps: &[(Self::State, Symbol)], next: &mut Vec<(f32, Self::State)>);
}

/// Σ −log₂ of the probabilities of the bytes of `text` and its end, in bits.
pub fn bits<P: Prior>(prior: &P, text: &str) -> f64 {
    let (mut state, mut next, mut nats) = (prior.start(), Vec::with_capacity(1), 0.0);
    for symbol in text.bytes().chain([END]) {
        prior.advance(&[(state, symbol)], &mut next);
        let Some((ln, after)) = next.pop() else { return f64::NAN };
        nats -= f64::from(ln);
        state = after;
    }
    nats / std::f64::consts::LN_2
}
