//! Checking files of pairs, row by row, and counting what they hold.

mod check;
mod report;
mod run;
mod statistics;

pub use report::html_report;
pub use run::{Finding, InspectOptions, Inspection, inspect};
pub use statistics::{LevelStatistics, OpStatistics, SplitStatistics};
