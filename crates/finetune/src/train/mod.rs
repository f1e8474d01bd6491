//! Training: one loop for every model family.
//!
//! - [`train`] is the loop; [`step`](self) computes a step's gradient on all workers.
//! - [`RunState`] is what a resume needs; [`StateFiles`] keeps it.
//! - [`ValidationSets`] measures on the validation split.

mod card;
mod evaluation;
mod finish;
mod identity;
mod log;
mod memory;
mod report;
mod run;
mod state;
mod state_files;
mod step;
mod tensor_file;
mod together;
mod validate;

pub(crate) use card::with_evaluation;
pub use log::{EvaluationRecord, RunLog, StepRecord};
pub use run::{Existing, Outcome, TrainOptions, train};
pub use state::{Best, Identity, RunState};
pub use state_files::{FoundState, StateFiles};
pub use step::gradients;
pub use validate::{ConfidenceChoice, ValidationSets};
