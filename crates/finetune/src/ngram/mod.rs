//! The counted prior: from the texts of a corpus to a checkpoint, in seconds instead of hours.

mod card;
mod settings;
mod texts;
mod train;
mod tune;

pub use settings::NgramSettings;
pub use train::{PriorOptions, train_prior};
