//! What a model looks at, and what it finds there.

use std::ops::Range;

use corruptor::Edit;

use super::alternatives::Doubtful;
use crate::channel::Evidence;

/// A piece of a text with its context.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Window {
    /// Context, core, context.
    pub(crate) text: String,
    /// Where in `text` the core is, in bytes.
    pub(crate) core: Range<usize>,
    /// Whether the text starts with the window, and whether it ends with it.
    pub(crate) starts: bool,
    pub(crate) ends: bool,
    /// Whether the gap after the core belongs to it: the core is the last of its text.
    pub(crate) owns_end: bool,
    /// What stands before the window, as far as the family wants to know.
    pub(crate) before: String,
    /// Bytes of `text` that no edit may touch: sorted, without overlap.
    pub(crate) protected: Vec<Range<usize>>,
    /// Other originals to name.
    pub(crate) alternatives: usize,
    /// Hypotheses that a search keeps, where that was asked for.
    pub(crate) num_beams: Option<usize>,
}

/// What was found in one window.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WindowEdits {
    /// Edits over the window's text, sorted, without overlap. Those outside the core say where it can be cut.
    pub(crate) edits: Vec<Edit>,
    /// ln of the probability of all decisions in the core, but for those in `doubtful`.
    pub(crate) ln_probability: f64,
    /// Passes of the model that it took.
    pub(crate) passes: usize,
    /// Parts of the window that can have been something else.
    pub(crate) doubtful: Vec<Doubtful>,
    /// What speaks for the window being clean, where that was weighed.
    pub(crate) evidence: Option<Evidence>,
}
