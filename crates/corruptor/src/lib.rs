//! The corruption side of Revertant: texts are damaged the way DNA is, exactly and reproducibly.
//!
//! # Layout
//! - [`Channel`] corrupts: geometric gaps, five operations, a log of [`Event`]s that replays and inverts.
//! - [`Recipe`] reads the one TOML file of a pipeline; [`CorruptSettings`] is its `[corrupt]` table.
//! - [`passages`], [`split_of`] and [`document_id`] lead from documents to records.
//! - [`Edit`], [`grapheme_distance`] and [`cer`] are shared with restoration.
//!
//! Files and corpora need the feature `parquet`, the program the feature `cli`; both are on by default.

mod alphabet;
mod channel;
mod distance;
mod edit;
mod event;
mod grapheme;
mod pair;
mod passage;
mod random;
mod recipe;
mod sampler;
mod settings;
mod split;

pub use alphabet::{Alphabet, AlphabetChoice};
pub use channel::{AttemptCounts, Channel, Corruption};
pub use distance::{cer, grapheme_distance};
pub use edit::{Edit, EditError, apply_edits};
pub use event::{Event, EventError, Op, invert, replay};
pub use grapheme::{UNICODE_VERSION, grapheme_count, graphemes};
pub use pair::{Pair, Passage};
pub use passage::passages;
pub use random::{RecordStream, pair_id};
pub use recipe::{Recipe, RecipeError, TABLES};
pub use settings::{CorruptSettings, OpSettings, SettingsError};
pub use split::{Split, SplitShares, document_id, split_of};
