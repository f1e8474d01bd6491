//! The corruption side of Revertant: texts are damaged the way DNA is, exactly and reproducibly.
//!
//! # Layout
//! - [`Channel`] corrupts: geometric gaps, five operations, a log of [`Event`]s that replays and inverts.
//! - [`ChannelLaw`] is its table of transitions and probabilities, which sampling and scoring share.
//! - [`Likelihood`] says how probable a corrupted text is, exactly, and what most probably happened to it.
//! - [`Recipe`] reads the one TOML file of a pipeline; [`CorruptSettings`] is its `[corrupt]` table.
//! - [`passages`], [`split_of`] and [`document_id`] lead from documents to records.
//! - [`Edit`], [`grapheme_distance`] and [`cer`] are shared with restoration.
//! - `documents` reads text files of several formats.
//! - `corpus` collects what a recipe names.
//! - `fit` estimates the channel from pairs.
//! - `resolve` turns what depends on files or on the corpus into numbers.
//! - `generate` makes pairs, `import` takes real ones, `pairs` reads and writes them in Parquet, `inspect` checks them.
//! - `atomic` makes files appear whole or not at all, `lock` keeps other processes out,
//!   `store` reads and writes by URL.
//!
//! Files and corpora need the feature `parquet`, the program the feature `cli`; both are on by default. URLs need the
//! feature `object-store`.

mod alignment;
mod alphabet;
#[cfg(feature = "parquet")]
pub mod atomic;
mod causes;
mod channel;
mod confusion;
#[cfg(feature = "parquet")]
pub mod corpus;
mod distance;
#[cfg(feature = "parquet")]
pub mod documents;
mod edit;
mod event;
#[cfg(feature = "parquet")]
pub mod fit;
#[cfg(feature = "parquet")]
pub mod generate;
mod grapheme;
#[cfg(feature = "parquet")]
mod guarded;
#[cfg(feature = "parquet")]
pub mod import;
#[cfg(feature = "parquet")]
pub mod inspect;
#[cfg(feature = "parquet")]
mod io_error;
mod law;
pub mod likelihood;
#[cfg(feature = "parquet")]
pub mod lock;
mod nearest;
mod offsets;
mod op;
mod pair;
#[cfg(feature = "parquet")]
pub mod pairs;
mod passage;
#[cfg(feature = "parquet")]
pub mod progress;
mod random;
mod recipe;
#[cfg(feature = "parquet")]
pub mod resolve;
mod sampler;
mod sentence;
mod settings;
mod split;
#[cfg(feature = "parquet")]
pub mod store;
mod walk;
mod whole_graphemes;

pub use alignment::align;
pub use alphabet::{
    Alphabet, AlphabetChoice, KeyboardError, KeyboardLayout, UnigramCounts, WeightedAlphabet,
};
pub use causes::chain;
pub use channel::{AttemptCounts, Channel, Corruption};
pub use confusion::{ConfusionChoice, ConfusionError, ConfusionRow, Confusions};
pub use distance::{cer, grapheme_distance};
pub use edit::{Edit, EditError, apply_edits, compose_edits, minimize_edits};
pub use event::{Event, EventError, invert, replay};
pub use grapheme::{UNICODE_VERSION, grapheme_count, graphemes, is_grapheme_boundary};
#[cfg(feature = "parquet")]
pub use guarded::{guarded, is_guarded};
#[cfg(feature = "parquet")]
pub use io_error::IoError;
pub use law::{ChannelLaw, LengthLaw, LevelLaw};
pub use likelihood::{Explanation, Likelihood, Score};
pub use nearest::nearest_name;
pub use offsets::OffsetUnit;
pub use op::{EventOp, Op};
pub use pair::{Pair, Passage};
pub use passage::passages;
pub use random::{RecordStream, pair_id};
pub use recipe::{Recipe, RecipeError, TABLES};
pub use settings::{CorruptSettings, OpSettings, SettingsError};
pub use split::{Split, SplitShares, document_id, split_of};
pub use walk::{EventSpan, Workspace};
pub use whole_graphemes::widen_edits;
