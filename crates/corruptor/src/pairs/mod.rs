//! Pairs in Parquet files: the schema that every consumer reads, a writer of parts and a reader in bounded memory.
//!
//! Layout of a data set: `{train,valid,test}/part-NNNNN.parquet`, rows in input order.

mod columns;
mod convert;
mod encode;
mod metadata;
mod part;
mod reader;
mod schema;
mod writer;

pub use encode::ZSTD_LEVEL;
pub use metadata::PairMetadata;
pub use reader::{PairChunk, Pairs, pair_files, read_pairs};
pub use schema::pair_schema;
pub use writer::{PairWriter, Written};

pub(crate) use columns::{Columns, EventRow, Row};
pub(crate) use encode::{EncodedGroup, GroupEncoder, group_is_full};
pub(crate) use part::{Part, write_error};
pub(crate) use writer::part_name;
