//! Corpora: text fetched as the recipe's `[corpus]` table pins it, written to one Parquet file a source.
//!
//! The settings need the feature `parquet` only; collecting needs `corpora`.

#[cfg(feature = "corpora")]
mod collect;
pub(crate) mod digest;
#[cfg(feature = "corpora")]
pub mod extract;
#[cfg(feature = "corpora")]
mod fetch;
mod kinds;
#[cfg(feature = "corpora")]
mod report;
mod settings;
#[cfg(feature = "corpora")]
mod share;
mod source;
#[cfg(feature = "corpora")]
mod source_run;
#[cfg(feature = "corpora")]
mod writer;

#[cfg(feature = "corpora")]
pub use collect::{CollectOptions, collect};
#[cfg(feature = "corpora")]
pub use fetch::glob_matches;
pub use kinds::{DebSource, HttpSource, HubSource, NpmSource, PathSource, PypiSource};
#[cfg(feature = "corpora")]
pub use report::{CollectSummary, MissingSource, SourceSummary};
pub use settings::CorpusSettings;
pub use source::{Extract, Source};
#[cfg(feature = "corpora")]
pub use writer::corpus_schema;
