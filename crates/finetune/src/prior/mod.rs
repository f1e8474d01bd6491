//! Priors: counted from the texts of a corpus, or mixed of such ones, in seconds instead of hours; and how they are decoded.

mod card;
mod ensemble;
mod held_out;
mod options;
mod settings;
mod texts;
mod train;
mod tune;

pub use ensemble::train_ensemble;
pub use options::PriorOptions;
pub use settings::{EnsembleSettings, NgramSettings};
pub use train::train_prior;
