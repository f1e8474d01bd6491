//! Corpora: text fetched as the recipe's `[corpus]` table pins it, written to one Parquet file a source.

mod collect;
pub(crate) mod digest;
mod glob;
mod npm;
mod settings;
mod writer;

pub use collect::{CollectOptions, CollectSummary, SourceSummary, collect};
pub use settings::{CorpusSettings, NpmSource, PathSource, Source};
pub use writer::corpus_schema;
