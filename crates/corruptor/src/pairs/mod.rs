//! Pairs in Parquet files: the schema that every consumer reads, a writer of parts and a reader in bounded memory.
//!
//! Layout of a data set: `{train,valid,test}/part-NNNNN.parquet`, rows in input order.

mod convert;
mod metadata;
mod reader;
mod schema;
mod writer;

pub use metadata::PairMetadata;
pub use reader::{PairChunk, Pairs, pair_files, read_pairs};
pub use schema::pair_schema;
pub use writer::{PairWriter, Written};
