//! What is asked for: texts and how to restore them.

use std::{ops::Range, time::Duration};

use corruptor::OffsetUnit;
use restorer::{ModelInfo, RestoreOptions, RestoreRequest};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::error::{ApiError, Kind};

use super::{
    decode::DecodeOptions,
    protect::protected,
    values::{Alternatives, Beams, DeadlineMs, Method, Offsets, Probability, Rounds, Urgency},
};

/// Texts to restore, and how; what is left out, or null, is the model's own choice.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, expecting = "an object")]
pub struct RestoreBody {
    /// One text, of any length.
    pub text: Option<String>,
    /// Or several.
    pub texts: Option<Vec<String>>,
    /// Spans that no edit touches, `[start, end]` in `offsets`, end excluded: of one text an array of spans, of several one array of them a
    /// text.
    #[schema(value_type = Option<Vec<Value>>)]
    pub protect: Option<Value>,
    /// What offsets count, here and in the answer; bytes unless given.
    #[schema(inline)]
    pub offsets: Option<Offsets>,
    /// Apply only edits at least this probable.
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1)]
    pub min_confidence: Option<Probability>,
    /// Restore the restored text again, up to this many rounds.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 16)]
    pub max_rounds: Option<Rounds>,
    /// Also name up to this many other originals, the most probable first; none unless given.
    #[schema(value_type = Option<u64>, minimum = 0, maximum = 16)]
    pub alternatives: Option<Alternatives>,
    /// How the model decodes; its own way unless given. `/v1/models` says which ways it knows.
    #[schema(inline)]
    pub decoding: Option<Method>,
    /// Hypotheses that a search keeps: of `beam` 4 unless given, of `channel` the model's own number.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 256)]
    pub num_beams: Option<Beams>,
    /// How urgent it is; what becomes of the text does not depend on it.
    #[schema(inline)]
    pub priority: Option<Urgency>,
    /// The model that restores, as `/v1/models` lists it; the server's first unless given.
    pub model: Option<String>,
    /// Milliseconds after which the answer is of no use any more: then work on it ends, with status 504.
    #[schema(value_type = Option<u64>, minimum = 1, maximum = 86_400_000)]
    pub deadline_ms: Option<DeadlineMs>,
}

/// A request, checked.
#[derive(Debug, PartialEq)]
pub(crate) struct Asked {
    /// What to restore, in order.
    pub(crate) requests: Vec<RestoreRequest>,
    /// Whether it was one `text`, which is answered by itself.
    pub(crate) one: bool,
    /// What offsets count.
    pub(crate) unit: OffsetUnit,
    /// Name of the model.
    pub(crate) model: Option<String>,
    /// Time in which the answer is of use.
    pub(crate) deadline: Option<Duration>,
    /// How the model has to decode.
    decode: DecodeOptions,
}

impl Asked {
    /// Settles with `model` how it decodes.
    ///
    /// # Errors
    ///
    /// Where the model cannot do it that way.
    pub(crate) fn settle(&mut self, name: &str, model: &ModelInfo) -> Result<(), ApiError> {
        let num_beams = self.decode.settle(name, model)?;
        for request in &mut self.requests {
            request.options.num_beams = num_beams;
        }
        Ok(())
    }
}

impl RestoreBody {
    fn options(&self) -> RestoreOptions {
        RestoreOptions {
            min_confidence: self.min_confidence.map(|probability| probability.0),
            max_rounds: self.max_rounds.map(Rounds::get),
            alternatives: self.alternatives.map_or(0, Alternatives::get),
            num_beams: self.num_beams.map(Beams::get),
            priority: self.priority.unwrap_or_default().into(),
        }
    }

    /// Checks what types cannot say.
    pub(crate) fn check(self) -> Result<Asked, ApiError> {
        let options = self.options();
        let wrong = |detail: &str| Err(ApiError::new(Kind::InvalidRequest, detail).at(""));
        let (texts, one) = match (self.text, self.texts) {
            (Some(text), None) => (vec![text], true),
            (None, Some(texts)) => (texts, false),
            (Some(_), Some(_)) => return wrong("the object has both `text` and `texts`; give one of them"),
            (None, None) => return wrong("the object has neither `text` nor `texts`"),
        };
        let unit = OffsetUnit::from(self.offsets.unwrap_or_default());
        let spans = self.protect.map(|value| protected(&value, &texts, one, unit)).transpose()?;
        let spans = spans.into_iter().flatten().chain(std::iter::repeat_with(Vec::<Range<usize>>::new));
        let request = |(text, protected)| RestoreRequest { text, options, protected };
        Ok(Asked {
            requests: texts.into_iter().zip(spans).map(request).collect(),
            one,
            unit,
            model: self.model,
            decode: DecodeOptions::new(self.decoding, self.num_beams),
            deadline: self.deadline_ms.map(|deadline| Duration::from_millis(deadline.0)),
        })
    }

    /// The same, of exactly one text.
    pub(crate) fn check_one(self) -> Result<Asked, ApiError> {
        if self.texts.is_some() {
            return Err(
                ApiError::new(Kind::InvalidRequest, "this takes one `text`, not `texts`").at("/texts")
            );
        }
        if self.text.is_none() {
            return Err(ApiError::new(Kind::InvalidRequest, "the object has no `text`").at(""));
        }
        self.check()
    }
}

#[cfg(test)]
mod tests {
    use restorer::Priority;
    use serde_json::json;

    use super::*;
    use crate::http::body::typed;

    fn asked(value: &Value) -> Result<Asked, ApiError> {
        typed::<RestoreBody>(value.to_string().as_bytes())?.check()
    }

    #[test]
    fn one_text_or_several() {
        let one = asked(&json!({"text": ""})).unwrap();
        assert_eq!((one.requests, one.one), (vec![RestoreRequest::new("")], true));
        let many = asked(&json!({"texts": ["a", "b"], "max_rounds": 1})).unwrap();
        assert_eq!((many.requests.len(), many.one), (2, false));
        assert!(many.requests.iter().all(|request| request.options.max_rounds == Some(1)));
        assert!(asked(&json!({"texts": []})).unwrap().requests.is_empty());
        let protected = |value| -> Vec<Vec<(usize, usize)>> {
            let requests = asked(&value).unwrap().requests.into_iter();
            requests.map(|one| one.protected.iter().map(|span| (span.start, span.end)).collect()).collect()
        };
        assert_eq!(protected(json!({"text": "né", "protect": [[1, 3]]})), [[(1, 3)]]);
        assert_eq!(protected(json!({"text": "né", "protect": [[1, 2]], "offsets": "utf16"})), [[(1, 3)]]);
        let two = json!({"texts": ["a", "b"], "protect": [[], [[0, 1]]]});
        assert_eq!(protected(two), [vec![], vec![(0, 1)]]);
    }

    #[test]
    fn options_are_taken_and_null_is_absent() {
        let given = json!({"text": "a", "min_confidence": 0.5, "max_rounds": 2, "alternatives": 3, "num_beams": 5,
            "priority": "bulk", "deadline_ms": 100, "model": "tagger", "offsets": "codepoint"});
        let asked_for = asked(&given).unwrap();
        let expected = RestoreOptions {
            min_confidence: Some(0.5),
            max_rounds: Some(2),
            alternatives: 3,
            num_beams: Some(5),
            priority: Priority::Bulk,
        };
        assert_eq!(asked_for.requests[0].options, expected);
        assert_eq!(asked_for.deadline, Some(Duration::from_millis(100)));
        assert_eq!((asked_for.model.as_deref(), asked_for.unit), (Some("tagger"), OffsetUnit::CodePoint));
        let absent =
            json!({"text": "a", "min_confidence": null, "protect": null, "offsets": null, "texts": null});
        assert_eq!(asked(&absent).unwrap(), asked(&json!({"text": "a"})).unwrap());
    }

    #[test]
    fn what_is_not_taken_names_its_place() {
        for (value, pointer, words) in [
            (json!([]), "", "an object"),
            (json!({}), "", "neither"),
            (json!({"text": "a", "texts": ["b"]}), "", "both"),
            (json!({"text": 1}), "/text", "integer `1`"),
            (json!({"texts": "a"}), "/texts", "string"),
            (json!({"texts": ["a", null]}), "/texts/1", "null"),
            (json!({"txt": "a"}), "/txt", "did you mean `text`?"),
            (json!({"text": "a", "a/b": 2}), "/a~1b", "the keys are `text`, `texts`"),
            (json!({"text": "né", "protect": [[0, 2]]}), "/protect/0", "no span of a text of 3 bytes"),
            (json!({"text": "a", "protect": [[0, 1], 7]}), "/protect/1", "7 is no span"),
            (json!({"text": "a", "protect": "a"}), "/protect", "a string"),
            (json!({"texts": ["a"], "protect": []}), "/protect", "one a text"),
            (json!({"text": "a", "min_confidance": 1}), "/min_confidance", "did you mean `min_confidence`?"),
            (json!({"text": "a", "min_confidence": 1.5}), "/min_confidence", "from 0 to 1"),
            (json!({"text": "a", "min_confidence": "0.5"}), "/min_confidence", "string"),
            (json!({"text": "a", "max_rounds": 0}), "/max_rounds", "from 1 to 16"),
            (json!({"text": "a", "max_rounds": 2.5}), "/max_rounds", "2.5"),
            (json!({"text": "a", "priority": "high"}), "/priority", "`high`"),
            (json!({"text": "a", "alternatives": 17}), "/alternatives", "from 0 to 16"),
            (json!({"text": "a", "offsets": "words"}), "/offsets", "`words`"),
            (json!({"text": "a", "deadline_ms": 0}), "/deadline_ms", "from 1 to"),
        ] {
            let error = asked(&value).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidRequest, "{value}: {}", error.detail);
            assert_eq!(error.pointer.as_deref(), Some(pointer), "{value}: {}", error.detail);
            assert!(error.detail.contains(words), "{value}: {}", error.detail);
        }
    }
}
