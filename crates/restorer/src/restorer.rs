//! The one trait behind which every model family stands.

use std::ops::Range;

use corruptor::Edit;
use serde::{Deserialize, Serialize};

use crate::engine::{Engine, EngineLimits, restore_all};
use crate::error::RestoreError;
use crate::profile::Profile;

/// How a text is restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RestoreOptions {
    /// Edits less probable than this are not applied, in [0, 1]; `None` takes the checkpoint's own threshold.
    pub min_confidence: Option<f32>,
    /// Most rounds over the text; `None` takes the checkpoint's own. Channel decoding looks once.
    pub max_rounds: Option<usize>,
    /// Most other originals to name, the most probable first; a tagger's are its text without single edits.
    pub alternatives: usize,
    /// Hypotheses that a search keeps; `None` takes the model's own number. An autoregressive model searches from two on; a tagger, which
    /// does not search, takes no notice.
    pub num_beams: Option<usize>,
    /// How urgent it is; what becomes of the text does not depend on it.
    pub priority: Priority,
}

/// How a model finds what it makes of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decoding {
    /// It says of each byte what becomes of it.
    Edits,
    /// It writes the text anew, at each step the most probable token.
    Greedy,
    /// It writes several at once and takes the most probable.
    Beam,
    /// It searches for the original that its prior and the channel hold most probable together.
    Channel,
}

/// How urgent a text is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Somebody waits for it.
    #[default]
    Interactive,
    /// It can wait until there is room.
    Bulk,
}

/// A text and how to restore it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RestoreRequest {
    /// The corrupted text, of any length.
    pub text: String,
    /// Options of this text.
    pub options: RestoreOptions,
    /// Bytes of the text that no edit touches: ranges in any order. One that cuts a character stands for all of it; what lies
    /// beyond the text has no effect.
    pub protected: Vec<Range<usize>>,
}

impl RestoreRequest {
    /// A request with the checkpoint's own options.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }

    /// The request with other options.
    #[must_use]
    pub fn with_options(self, options: RestoreOptions) -> Self {
        Self { options, ..self }
    }

    /// The protected ranges in order, without overlap, whole characters inside the text; empty ones are left out.
    pub(crate) fn protected(&self) -> Vec<Range<usize>> {
        let mut ranges: Vec<Range<usize>> = self
            .protected
            .iter()
            .filter(|range| range.start < range.end)
            .map(|range| self.text.floor_char_boundary(range.start)..self.text.ceil_char_boundary(range.end))
            .filter(|range| range.start < range.end)
            .collect();
        ranges.sort_unstable_by_key(|range| (range.start, range.end));
        let mut joined: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start < last.end => last.end = last.end.max(range.end),
                _ => joined.push(range),
            }
        }
        joined
    }
}

/// A restored text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Restoration {
    /// The text after all edits; byte for byte the input where there are none.
    pub text: String,
    /// What was changed, over the input, sorted, without overlap; replaying them gives `text`.
    pub edits: Vec<Edit>,
    /// Probability that the text is the original, in [0, 1]: what the model gives to all of its decisions in the last round, held to
    /// held-out pairs where it is calibrated.
    pub confidence: f32,
    /// Whether the confidences of the edits were held to held-out pairs; else they are what the model says of itself.
    pub calibrated: bool,
    /// Whether the confidence of the text was held to held-out pairs; else it is what the model says of itself.
    pub text_calibrated: bool,
    /// Passes of the model over (parts of) the text; how many a draft takes depends on what shares them.
    pub passes: usize,
    /// Other originals, the most probable first, as many as were asked for at most.
    pub alternatives: Vec<Alternative>,
}

/// Another original that a text can have had.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alternative {
    /// The original.
    pub text: String,
    /// Its share of the weight of all originals that the model has weighed, in [0, 1].
    pub probability: f32,
}

/// What is known about a loaded model.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ModelInfo {
    /// `model_type` of the checkpoint.
    pub family: String,
    /// BLAKE3 of the checkpoint's configuration and weights, in hexadecimal.
    pub digest: String,
    /// How it can decode, its own way first.
    pub decodings: Vec<Decoding>,
    /// Number of weights.
    pub parameters: usize,
    /// Bytes that the model sees at once; longer texts are restored in overlapping windows.
    pub window_bytes: usize,
    /// The checkpoint's own confidence threshold.
    pub min_confidence: f32,
    /// Whether confidences of edits were held to held-out pairs; else they are what the model says of itself.
    pub calibrated: bool,
    /// The same of confidences of texts.
    pub text_calibrated: bool,
    /// How the texts are distributed that it was measured on, where that is known.
    pub profile: Option<Profile>,
}

/// Restores texts.
pub trait Restorer: Send + Sync {
    /// An engine over this model, without texts.
    fn engine(&self, limits: EngineLimits) -> Box<dyn Engine + '_>;

    /// What one pass over `text` costs, in tokens of this model; for budgets.
    fn tokens(&self, text: &str) -> usize;

    /// What is known about the model.
    fn info(&self) -> &ModelInfo;

    /// Restores every request, in order; texts of any length. A failure stays with its text.
    fn restore_each(&self, requests: &[RestoreRequest]) -> Vec<Result<Restoration, RestoreError>> {
        restore_all(self.engine(EngineLimits::default()), requests)
    }

    /// Restores every request, in order; texts of any length.
    ///
    /// # Errors
    /// If the tensor library fails; never because of a text.
    fn restore(&self, requests: &[RestoreRequest]) -> Result<Vec<Restoration>, RestoreError> {
        self.restore_each(requests).into_iter().collect()
    }
}
