//! Autoregressive models that restore: they read a corrupted window, and write it again without its errors.
//!
//! # Layout
//! - [`LanguageModel`] is the model behind [`crate::Restorer`] and [`crate::train::Trainable`].
//! - `network` makes one of the two kinds, [`crate::decoder`] and [`crate::t5`]: tokens in, logits and caches out.
//! - `codec` turns texts into tokens, `prompt` windows into what the model reads, `examples` pairs into what it learns.
//! - `greedy` generates, verifying what `draft` proposes; `restore` turns what was written into edits.
//! - `beam` looks for what else could have been written, and `others` for the parts that this makes doubtful.
//! - `prior` lets a decoder that has learned texts alone weigh the hypotheses of [`crate::channel`].
//! - `files` reads and writes the Hugging Face layout, adapters included.

mod beam;
mod codec;
mod draft;
mod examples;
mod files;
mod greedy;
mod likelihood;
mod model;
mod network;
mod new;
mod others;
mod prior;
mod prompt;
mod restore;
mod save;
mod settings;
mod train;

pub use codec::Codec;
pub use examples::TokenExample;
pub(crate) use files::{family_of, is_prior};
pub use likelihood::TextLikelihood;
pub use model::{Compute, LanguageModel};
pub use network::{Network, SequenceCache};
pub use prior::{LmPrior, LmState};
pub use save::merge_adapter;
pub use settings::{Learn, LmSettings, LoraSettings};
