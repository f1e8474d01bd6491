//! Checking files of pairs, row by row, and counting what they hold.

mod check;
mod licences;
mod report;
mod rules;
mod run;
mod sample;
mod statistics;

pub use licences::{Licences, licences};
pub use report::html_report;
pub use run::{Example, Finding, InspectOptions, Inspection, inspect};
pub use statistics::{
    CerRows, LevelStatistics, OTHER_SOURCES, OpStatistics, SourceStatistics, SplitStatistics,
};
