//! A restoration as JSON: the same for every route and command.

use corruptor::Edit;
use restorer::{Alternative, Restoration};
use serde::Serialize;

/// A restored text.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RestorationBody {
    /// The restored text.
    pub text: String,
    /// What was changed: `start` and `end` are bytes of the input, `end` excluded.
    pub edits: Vec<Edit>,
    /// Probability that the restored text is the original.
    pub confidence: f32,
    /// Whether the confidences of the edits were held to held-out pairs; else they are what the model says of itself.
    pub calibrated: bool,
    /// The same of the confidence of the text.
    pub text_calibrated: bool,
    /// Other originals, the most probable first, where they were asked for and the model knows any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Alternative>,
}

impl From<Restoration> for RestorationBody {
    fn from(restoration: Restoration) -> Self {
        let Restoration { text, edits, confidence, calibrated, text_calibrated, alternatives, .. } =
            restoration;
        Self { text, edits, confidence, calibrated, text_calibrated, alternatives }
    }
}
