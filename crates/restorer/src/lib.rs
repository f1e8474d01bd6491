//! The restoring side of Revertant: models that undo corruption.
//!
//! # Layout
//! - [`Restorer`] is the trait: texts in, restorations out; nothing outside this crate knows the families.
//! - [`tagger`] is the built-in family, a byte-level edit tagger.
//! - [`layers`] holds the differentiable layers that the families are made of.
//! - [`train`] is what a family offers to a training loop.

mod device;
mod error;
mod restorer;
mod table;
pub mod train;

pub use device::DeviceChoice;
pub use error::RestoreError;
pub use restorer::{ModelInfo, RestoreOptions, RestoreRequest, Restoration, Restorer};
pub use table::{RowTable, RowUse};
