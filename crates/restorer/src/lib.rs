//! The restoring side of Revertant: models that undo corruption.
//!
//! # Layout
//! - [`Restorer`] is the trait: texts in, restorations out; nothing outside this crate knows the families. [`load`] opens a
//!   checkpoint of any family.
//! - [`engine`] is the loop in which texts are restored, together and window by window, whatever the family.
//! - [`tagger`] is the built-in family, a byte-level edit tagger.
//! - [`layers`] holds the differentiable layers that the families are made of.
//! - [`channel`] restores by inverting the corruption: the most probable original under a prior times the channel.
//! - [`prior`] is what it asks how probable a text is; [`ngram`] is the prior that is counted, [`mixture`] one of several.
//! - `rerank` lets a second model, a [`Judge`], weigh what the first holds possible.
//! - [`ensemble`] is a checkpoint of several: priors, and a tagger for a second opinion.
//! - [`weights`] reads the tensors of a checkpoint in the Hugging Face layout, in one file or in shards.
//! - [`source`] finds a model by its name: on this machine, on a hub or in a registry.
//! - [`gguf`] turns GGUF files into such checkpoints; [`export`](export()) writes checkpoints with smaller weights.
//! - [`train`] is what a family offers to a training loop, [`metrics`] how restorations are judged.

mod bytes;
mod calibration;
pub mod channel;
pub mod checkpoint;
mod compute_type;
pub mod decoder;
mod device;
mod directory;
pub mod engine;
pub mod ensemble;
mod error;
mod export;
pub mod gguf;
pub mod layers;
pub mod lm;
mod load;
pub mod lora;
mod matrices;
pub mod metrics;
pub mod mixture;
pub mod ngram;
mod part_prior;
pub mod prior;
mod profile;
mod quantized;
mod rerank;
mod restorer;
pub mod source;
pub mod t5;
mod table;
pub mod tagger;
mod threads;
pub mod train;
mod weight_type;
pub mod weights;
mod windows;

pub use bytes::SharedBytes;
pub use calibration::Calibration;
pub use compute_type::ComputeType;
pub use device::DeviceChoice;
pub use error::RestoreError;
pub use export::{ExportOptions, export};
pub use load::{LoadOptions, load, load_embedded};
pub use matrices::WeightBits;
pub use part_prior::{PartPrior, PartState};
pub use profile::{Drift, Profile};
pub use rerank::{Judge, Reranking};
pub use restorer::{
    Alternative, Decoding, ModelInfo, Priority, Restoration, RestoreOptions, RestoreRequest, Restorer,
};
pub use table::{RowTable, RowUse};
pub use threads::keep_operations_on_their_thread;
pub use weight_type::WeightType;
