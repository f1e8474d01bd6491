//! Texts under restoration: they join, go on together step by step, and leave when they are done.
//!
//! # Layout
//! - [`Engine`] is what a scheduler sees; `Running` is the one loop behind it, whatever the family.
//! - `family` is what a model does with windows: it begins them, and advances all that are under way by a step.
//! - `document` is one text: cut into windows, round by round; `seams` is where two windows meet; `pieces` are what can no longer
//!   change, and `alternatives` other originals of the whole.
//! - `window` is what goes to a family and comes back; `collect` makes whole restorations of an engine's news.

mod alternatives;
mod collect;
mod document;
mod family;
mod pieces;
mod running;
mod seams;
#[cfg(test)]
mod tests;
mod window;

use corruptor::Edit;

use crate::channel::Evidence;
use crate::error::RestoreError;
use crate::restorer::{Alternative, RestoreRequest};

pub(crate) use alternatives::{Doubtful, Original};
pub use collect::Collector;
pub(crate) use collect::{restore_all, summaries};
pub(crate) use document::DocumentSettings;
pub(crate) use family::{Cost, Family};
pub(crate) use running::{Running, attempt};
pub(crate) use window::{Window, WindowEdits};

/// What an engine calls a text, chosen by whoever lets it join.
pub type TextId = u64;

/// Bounds of what is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineLimits {
    /// Tokens that go through the model in one step, at most; what is larger by itself goes alone.
    pub step_tokens: usize,
    /// Bytes of keys, values and hypotheses that are held, at most; what needs more by itself goes alone.
    pub cache_bytes: usize,
}

impl EngineLimits {
    /// [`Self::step_tokens`] unless told otherwise.
    pub const DEFAULT_STEP_TOKENS: usize = 1 << 14;
    /// [`Self::cache_bytes`] unless told otherwise.
    pub const DEFAULT_CACHE_BYTES: usize = 1 << 30;
}

impl Default for EngineLimits {
    fn default() -> Self {
        Self { step_tokens: Self::DEFAULT_STEP_TOKENS, cache_bytes: Self::DEFAULT_CACHE_BYTES }
    }
}

/// What is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Texts that have joined and not left.
    pub texts: usize,
    /// Windows that the model works on.
    pub windows: usize,
    /// Tokens that go through the model in the next step, by what was planned for.
    pub step_tokens: usize,
    /// Bytes of keys, values and hypotheses, by what was planned for.
    pub cache_bytes: usize,
}

/// A piece of a restored text that can no longer change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// Where it begins in the input, in bytes; the first at 0, each where the one before ends.
    pub start: usize,
    /// Where it ends in the input.
    pub end: usize,
    /// What has become of it.
    pub text: String,
    /// How, over the whole input, sorted, without overlap.
    pub edits: Vec<Edit>,
}

/// What is said of a whole text beside its pieces.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// [`Restoration::confidence`](crate::Restoration::confidence).
    pub confidence: f32,
    /// [`Restoration::calibrated`](crate::Restoration::calibrated).
    pub calibrated: bool,
    /// [`Restoration::text_calibrated`](crate::Restoration::text_calibrated).
    pub text_calibrated: bool,
    /// [`Restoration::passes`](crate::Restoration::passes).
    pub passes: usize,
    /// [`Restoration::alternatives`](crate::Restoration::alternatives).
    pub alternatives: Vec<Alternative>,
    /// Where alternatives were asked for: ln of the restored text's own share among the originals that were weighed, and of theirs.
    pub ln_shares: (f64, Vec<f64>),
    /// What speaks for the text being clean, where that was weighed: of all windows the least.
    pub evidence: Option<Evidence>,
}

/// What a step has brought.
#[derive(Debug)]
pub enum News {
    /// A piece of a text can no longer change; in order.
    Piece(TextId, Piece),
    /// All pieces of a text were told, and it has left.
    Done(TextId, Summary),
    /// A text cannot be restored, and has left. Others are not touched by it.
    Failed(TextId, RestoreError),
}

/// Works on many texts at once, those that matter more first, and of those the ones with the least under way; for one thread.
///
/// What becomes of a text does not depend on what else is under way.
pub trait Engine {
    /// A text joins: from the next step on it is worked on as the limits allow.
    fn join(&mut self, id: TextId, request: RestoreRequest);

    /// A text leaves: what was under way of it is given up at once. One that is not there has left already.
    fn leave(&mut self, id: TextId);

    /// One step of everything that is under way: a pass of the model, or a slice of a search. Adds what it has brought; does nothing
    /// where no text is left.
    fn step(&mut self, news: &mut Vec<News>);

    /// What is under way.
    fn usage(&self) -> Usage;
}
