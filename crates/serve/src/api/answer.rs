//! A restoration as JSON: the same for every route and command.

use corruptor::{Edit, OffsetUnit};
use restorer::{
    Alternative, Restoration,
    engine::{Piece, Summary},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::scheduler::Timing;

/// A restored text.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Restoration)]
pub struct RestorationBody {
    /// The restored text.
    pub text: String,
    /// What was changed, sorted, without overlap; replaying it over the text that was sent gives `text`.
    pub edits: Vec<EditBody>,
    /// Probability that the restored text is the original.
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: f32,
    /// Whether the confidences of the edits were held to held-out pairs; else they are what the model says of itself.
    pub calibrated: bool,
    /// The same of the confidence of the text.
    pub text_calibrated: bool,
    /// Other originals, the most probable first, where they were asked for and the model knows any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub alternatives: Vec<AlternativeBody>,
}

/// A replacement in the text that was sent.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Edit)]
pub struct EditBody {
    /// Where it begins, in bytes or what `offsets` of the request says.
    pub start: usize,
    /// Where it ends, excluded; equal to `start` for an insertion.
    pub end: usize,
    /// What comes there instead.
    pub replacement: String,
    /// Probability that the edit is right.
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: f32,
}

/// Another original that a text can have had.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Alternative)]
pub struct AlternativeBody {
    /// The original.
    pub text: String,
    /// Its share of the weight of all originals that the model has weighed.
    #[schema(minimum = 0, maximum = 1)]
    pub probability: f32,
}

/// Several restored texts.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Restorations {
    /// One a text, in the order of the texts.
    pub results: Vec<RestorationBody>,
}

impl RestorationBody {
    /// Of the restoration of `input`, with offsets in `unit`.
    pub fn new(input: &str, mut restoration: Restoration, unit: OffsetUnit) -> Self {
        unit.convert(input, &mut restoration.edits);
        Self::from(restoration)
    }
}

impl From<Restoration> for RestorationBody {
    fn from(restoration: Restoration) -> Self {
        let Restoration { text, edits, confidence, calibrated, text_calibrated, alternatives, .. } =
            restoration;
        Self {
            text,
            edits: edits.into_iter().map(EditBody::from).collect(),
            confidence,
            calibrated,
            text_calibrated,
            alternatives: alternatives.into_iter().map(AlternativeBody::from).collect(),
        }
    }
}

impl From<Edit> for EditBody {
    fn from(Edit { start, end, replacement, confidence }: Edit) -> Self {
        Self { start, end, replacement, confidence }
    }
}

impl From<Alternative> for AlternativeBody {
    fn from(Alternative { text, probability }: Alternative) -> Self {
        Self { text, probability }
    }
}

/// A piece of a restored text that can no longer change.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Piece)]
pub struct PieceBody {
    /// Where it begins in the text that was sent: where the piece before ends.
    pub start: usize,
    /// Where it ends there, excluded.
    pub end: usize,
    /// What has become of it.
    pub text: String,
    /// How, over the whole text that was sent.
    pub edits: Vec<EditBody>,
}

/// What is said of a whole text once all its pieces were told.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Done)]
pub struct DoneBody {
    /// Probability that the restored text is the original.
    #[schema(minimum = 0, maximum = 1)]
    pub confidence: f32,
    /// Whether the confidences of the edits were held to held-out pairs; else they are what the model says of itself.
    pub calibrated: bool,
    /// The same of the confidence of the text.
    pub text_calibrated: bool,
    /// Other originals, the most probable first, where they were asked for and the model knows any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub alternatives: Vec<AlternativeBody>,
    /// Passes of the model over the text.
    pub passes: usize,
    /// Milliseconds that the text waited for its turn.
    pub queue_ms: f64,
    /// Milliseconds from its turn until it was done, beside others.
    pub inference_ms: f64,
}

impl DoneBody {
    /// Of a text that is done.
    pub fn new(summary: Summary, timing: Timing) -> Self {
        let Summary { confidence, calibrated, text_calibrated, passes, alternatives, .. } = summary;
        let [queue_ms, inference_ms] = [timing.queued, timing.inference].map(|time| time.as_secs_f64() * 1e3);
        Self {
            confidence,
            calibrated,
            text_calibrated,
            alternatives: alternatives.into_iter().map(AlternativeBody::from).collect(),
            passes,
            queue_ms,
            inference_ms,
        }
    }
}

/// Turns the pieces of one text, as they come, into what a client counts in.
#[derive(Debug)]
pub struct PieceOffsets {
    unit: OffsetUnit,
    input: String,
    /// How much of the unit lies before the next piece.
    before: usize,
}

impl PieceOffsets {
    /// For the pieces of `input`, counted in `unit`.
    pub fn new(input: String, unit: OffsetUnit) -> Self {
        Self { unit, input, before: 0 }
    }

    /// The next piece.
    pub fn next(&mut self, piece: Piece) -> PieceBody {
        let Piece { start, end, text, edits } = piece;
        let input = &self.input[start..end];
        let mut own: Vec<Edit> = edits.into_iter().map(|edit| edit.moved(-start.cast_signed())).collect();
        self.unit.convert(input, &mut own);
        let first = self.before;
        self.before += self.unit.length(input);
        let edits = own.into_iter().map(|edit| EditBody::from(edit.moved(first.cast_signed()))).collect();
        PieceBody { start: first, end: self.before, text, edits }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_pieces_count_over_the_whole_text() {
        let input = "é👩 ab".to_owned();
        let pieces = [
            Piece { start: 0, end: 7, text: "é👩 ".to_owned(), edits: vec![] },
            Piece {
                start: 7,
                end: 9,
                text: "ac".to_owned(),
                edits: vec![Edit { start: 8, end: 9, replacement: "c".to_owned(), confidence: 1.0 }],
            },
        ];
        for (unit, expected) in [
            (OffsetUnit::Byte, [0, 7, 9, 8]),
            (OffsetUnit::Utf16, [0, 4, 6, 5]),
            (OffsetUnit::CodePoint, [0, 3, 5, 4]),
        ] {
            let mut offsets = PieceOffsets::new(input.clone(), unit);
            let [first, second] = pieces.clone().map(|piece| offsets.next(piece));
            assert_eq!([first.start, first.end, second.end, second.edits[0].start], expected, "{unit:?}");
            assert_eq!((first.end, second.end), (second.start, second.edits[0].end));
        }
    }
}
