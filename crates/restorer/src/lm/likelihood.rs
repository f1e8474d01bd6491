//! What a model thinks of a text, and how it goes on with one.

use super::examples::TokenExample;
use super::greedy::{Task, greedy};
use super::model::LanguageModel;
use super::network::Network;
use crate::error::RestoreError;
use crate::layers::{Pass, Tape, cross_entropy_sum};

/// How probable a text is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TextLikelihood {
    /// Σ −ln of the probabilities of its tokens, in nats.
    pub nats: f64,
    /// Tokens that have a probability: all of a text whose model begins with a token of its own, else all but the first.
    pub tokens: usize,
}

impl LanguageModel {
    /// How probable a decoder finds a text, its end not counted; `None` for an encoder–decoder, which only knows texts given
    /// others.
    ///
    /// # Errors
    /// If the tensor library fails.
    pub fn likelihood(&self, text: &str) -> Result<Option<TextLikelihood>, RestoreError> {
        if matches!(self.network, Network::T5(_)) {
            return Ok(None);
        }
        let mut tokens = self.codec.encode_template("", true);
        tokens.extend(self.codec.encode(text));
        if tokens.len() < 2 {
            return Ok(Some(TextLikelihood { nats: 0.0, tokens: 0 }));
        }
        let target = tokens.split_off(1);
        let example = TokenExample { source: tokens, target };
        let logits = self.network.target_logits(&[&example], &Pass::plain(), &mut Tape::forgetting())?;
        let nats = cross_entropy_sum(&logits.detach(), &example.target, 0.0)?.to_scalar::<f32>()?;
        Ok(Some(TextLikelihood { nats: f64::from(nats), tokens: example.target.len() }))
    }

    /// ln of the probability of a whole text, from its beginning to its end, in nats; `None` as for [`Self::likelihood`].
    ///
    /// # Errors
    /// If the tensor library fails.
    pub(crate) fn ln_whole(&self, text: &str) -> Result<Option<f64>, RestoreError> {
        if matches!(self.network, Network::T5(_)) {
            return Ok(None);
        }
        let mut target = self.codec.encode(text);
        target.push(self.ends[0]);
        let example = TokenExample { source: vec![self.beginnings().text], target };
        let logits = self.network.target_logits(&[&example], &Pass::plain(), &mut Tape::forgetting())?;
        let nats = cross_entropy_sum(&logits.detach(), &example.target, 0.0)?.to_scalar::<f32>()?;
        Ok(Some(-f64::from(nats)))
    }

    /// What the model writes after a template's text, greedily: at most `most` tokens, up to its own end. Special tokens in
    /// `text` count as such.
    ///
    /// # Errors
    /// If the text has no token, or the tensor library fails.
    pub fn write(&self, text: &str, most: usize) -> Result<String, RestoreError> {
        let source = self.codec.encode_template(text, true);
        let written = greedy(&self.network, vec![Task { source, copied: None, most }], &self.ends)?;
        Ok(written.first().map(|written| self.codec.decode(&written.tokens)).unwrap_or_default())
    }
}
