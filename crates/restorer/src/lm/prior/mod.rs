//! A byte-level decoder as a prior for channel decoding.
//!
//! States are texts, as nodes of a tree (`node`); what a search asks about is read in batches, with the keys and values of what was
//! read before (`reading`). A text that many hypotheses share is held, and attended to, once.

mod node;
mod reading;
mod symbols;

use std::sync::Arc;

use candle_core::Result;

use super::codec::Codec;
use super::examples::Beginnings;
use super::model::LanguageModel;
use super::network::Network;
use crate::decoder::Decoder;
use crate::error::RestoreError;
use crate::prior::{Prior, Ranked, Symbol, is_symbol};
pub use node::LmState;
use node::Node;
use reading::{read_all, read_text};
use symbols::token;

/// A decoder that says how probable texts are, byte by byte.
///
/// Probabilities may differ in their last digits with what is asked together. Where the tensor library fails, as when memory is
/// out, all that is asked counts as impossible.
#[derive(Clone, Debug)]
pub struct LmPrior {
    model: Arc<LanguageModel>,
    beginnings: Beginnings,
    end: u32,
}

impl LmPrior {
    /// Takes a decoder that reads bytes.
    ///
    /// # Errors
    /// If it is an encoder–decoder, or has a tokenizer.
    pub fn new(model: LanguageModel) -> std::result::Result<Self, RestoreError> {
        let family = model.network.family();
        if !matches!((&model.network, &model.codec), (Network::Decoder(_), Codec::Bytes)) {
            let message =
                format!("\"{family}\" with this tokenizer is no prior: a decoder that reads bytes is one");
            return Err(RestoreError::Config { key: "model_type", message });
        }
        Ok(Self { beginnings: model.beginnings(), end: model.ends[0], model: Arc::new(model) })
    }

    /// The model.
    pub fn model(&self) -> &LanguageModel {
        &self.model
    }

    fn decoder(&self) -> Option<&Decoder> {
        match &self.model.network {
            Network::Decoder(decoder) => Some(decoder),
            Network::T5(_) => None,
        }
    }

    fn read_nodes<'n>(&self, nodes: impl Iterator<Item = &'n Arc<Node>>) -> Result<()> {
        self.decoder().map_or(Ok(()), |decoder| read_all(decoder, nodes, self.end))
    }

    /// A step after a state that was read, or could not be.
    fn step(&self, state: &Arc<Node>, symbol: Symbol) -> (f32, LmState) {
        let ln = state.read().map_or(f32::NEG_INFINITY, |read| read.ln[usize::from(symbol)]);
        (ln, LmState(state.child(token(symbol, self.end))))
    }
}

impl Prior for LmPrior {
    type State = LmState;

    fn start(&self) -> LmState {
        LmState(Node::root(self.beginnings.text))
    }

    fn open(&self) -> LmState {
        LmState(Node::root(self.beginnings.middle))
    }

    fn is_asked_together(&self) -> bool {
        true
    }

    fn state_bytes(&self) -> usize {
        self.model.network.cache_bytes(1, 0)
    }

    fn advance(&self, steps: &[(LmState, Symbol)], next: &mut Vec<(f32, LmState)>) {
        next.clear();
        // What cannot be read gives nothing a chance; see above.
        let _ = self.read_nodes(steps.iter().map(|(state, _)| &state.0));
        next.extend(steps.iter().map(|(state, symbol)| self.step(&state.0, *symbol)));
    }

    fn read(&self, state: &LmState, symbols: &[Symbol], next: &mut Vec<(f32, LmState)>) {
        next.clear();
        let Some((_, known)) = symbols.split_last() else { return };
        let mut text = vec![Arc::clone(&state.0)];
        for symbol in known {
            let last = &text[text.len() - 1];
            text.push(last.child(token(*symbol, self.end)));
        }
        let mut missing: Vec<Arc<Node>> =
            state.0.path().skip(1).take_while(|node| node.read().is_none()).cloned().collect();
        missing.reverse();
        missing.extend(text.iter().skip_while(|node| node.read().is_some()).cloned());
        let _ = self.decoder().map_or(Ok(()), |decoder| read_text(decoder, &missing, self.end));
        next.extend(text.iter().zip(symbols).map(|(state, symbol)| self.step(state, *symbol)));
    }

    fn likely(&self, states: &[(LmState, f64)], most: usize, found: &mut Ranked<Symbol, LmState>) {
        found.clear();
        let _ = self.read_nodes(states.iter().map(|(state, _)| &state.0));
        for (LmState(state), least) in states {
            let mut all: Vec<(Symbol, f64)> = match state.read() {
                Some(read) => {
                    let of = |symbol: Symbol| (symbol, f64::from(read.ln[usize::from(symbol)]));
                    let symbols = (0..=Symbol::MAX).filter(|symbol| is_symbol(*symbol)).map(of);
                    symbols.filter(|(_, ln)| ln >= least).collect()
                }
                None => Vec::new(),
            };
            all.sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            all.truncate(most);
            let after = |(symbol, ln)| (symbol, ln, LmState(state.child(token(symbol, self.end))));
            found.extend(all.into_iter().map(after));
            found.close(most);
        }
    }
}

#[cfg(test)]
mod tests;
