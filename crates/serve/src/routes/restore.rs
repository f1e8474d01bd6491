//! `POST /v1/restore`: one text or several, restored.

use std::ops::Range;

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use corruptor::OffsetUnit;
use restorer::{RestoreOptions, RestoreRequest};
use serde_json::{Map, Value};

use crate::{
    answer::RestorationBody,
    error::{ApiError, Kind},
    http::{
        body::{json_object, type_name},
        state::AppState,
    },
    options::{offset_unit, refuse_unknown, spans, take_options},
    scheduler::{AnswerError, Ticket},
};

/// Keys of the request's object, besides the options.
const KEYS: [&str; 4] = ["text", "texts", "protected", "offsets"];

/// What the client asks for, and so the shape of the answer.
#[derive(Debug, PartialEq)]
enum Texts {
    /// `{"text": …}` → the restoration itself.
    One(String),
    /// `{"texts": […]}` → `{"results": […]}`.
    Many(Vec<String>),
}

/// A request, checked.
#[derive(Debug, PartialEq)]
struct Asked {
    texts: Texts,
    options: RestoreOptions,
    /// What offsets count, of `protected` and of the answer's edits.
    unit: OffsetUnit,
    /// By text; fewer than there are texts where the others have none.
    protected: Vec<Vec<Range<usize>>>,
}

#[derive(serde::Serialize)]
struct Results {
    results: Vec<RestorationBody>,
}

/// Restores the texts of the body.
pub(super) async fn restore(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let object = json_object(request, state.limits()).await?;
    let Asked { texts, options, unit, protected } = parse(object)?;
    let (texts, one) = match texts {
        Texts::One(text) => (vec![text], true),
        Texts::Many(texts) => (texts, false),
    };
    let inputs = if unit == OffsetUnit::Bytes { Vec::new() } else { texts.clone() };
    let protected = protected.into_iter().chain(std::iter::repeat_with(Vec::new));
    let request = |(text, protected)| RestoreRequest { text, options, protected };
    let requests = texts.into_iter().zip(protected).map(request).collect();
    let ticket = state.scheduler().submit(requests)?;
    let mut results = answers(&state, ticket, one).await?;
    for (result, input) in results.iter_mut().zip(&inputs) {
        unit.convert(input, &mut result.edits);
    }
    Ok(match (one, results) {
        (true, mut results) if results.len() == 1 => Json(results.remove(0)).into_response(),
        (_, results) => Json(Results { results }).into_response(),
    })
}

async fn answers(state: &AppState, ticket: Ticket, one: bool) -> Result<Vec<RestorationBody>, ApiError> {
    let limit = state.limits().answer_time;
    // The ticket falls with the timeout, which cancels what has not been started.
    let restorations = tokio::time::timeout(limit, ticket.wait())
        .await
        .map_err(|_late| ApiError::new(Kind::Timeout, format!("the answer was not ready after {limit:?}")))?
        .map_err(|error| unanswered(error, one))?;
    Ok(restorations.into_iter().map(RestorationBody::from).collect())
}

fn parse(mut object: Map<String, Value>) -> Result<Asked, ApiError> {
    // First of all: a misspelt `text` should not read as a missing one.
    refuse_unknown(&object, &KEYS)?;
    let options = take_options(&mut object)?;
    let wrong = |pointer: &str, detail: String| Err(ApiError::new(Kind::InvalidRequest, detail).at(pointer));
    let texts = match (object.remove("text"), object.remove("texts")) {
        (Some(text), None) => Texts::One(string(text, "/text")?),
        (None, Some(Value::Array(texts))) => {
            let texts =
                texts.into_iter().enumerate().map(|(index, text)| string(text, &format!("/texts/{index}")));
            Texts::Many(texts.collect::<Result<_, _>>()?)
        }
        (None, Some(other)) => {
            return wrong("/texts", format!("`texts` is {}, not an array of strings", type_name(&other)));
        }
        (Some(_), Some(_)) => {
            return wrong("", "the object has both `text` and `texts`; give one of them".to_owned());
        }
        (None, None) => return wrong("", "the object has neither `text` nor `texts`".to_owned()),
    };
    let unit = match object.remove("offsets").filter(|value| !value.is_null()) {
        Some(value) => offset_unit(&value)?,
        None => OffsetUnit::default(),
    };
    let protected = match object.remove("protected").filter(|value| !value.is_null()) {
        Some(value) => spans_of(&value, &texts, unit)?,
        None => Vec::new(),
    };
    Ok(Asked { texts, options, unit, protected })
}

/// For one text its spans; for several, as many arrays of them.
fn spans_of(value: &Value, texts: &Texts, unit: OffsetUnit) -> Result<Vec<Vec<Range<usize>>>, ApiError> {
    let texts = match texts {
        Texts::One(text) => return Ok(vec![spans(value, text, unit, "/protected")?]),
        Texts::Many(texts) => texts,
    };
    let Some(of_texts) = value.as_array().filter(|of_texts| of_texts.len() == texts.len()) else {
        let detail = format!("`protected` is not an array of {} arrays of spans, one a text", texts.len());
        return Err(ApiError::new(Kind::InvalidRequest, detail).at("/protected"));
    };
    let of_text = |(index, (value, text)): (usize, (&Value, &String))| {
        spans(value, text, unit, &format!("/protected/{index}"))
    };
    of_texts.iter().zip(texts).enumerate().map(of_text).collect()
}

fn string(value: Value, pointer: &str) -> Result<String, ApiError> {
    match value {
        Value::String(text) => Ok(text),
        other => {
            let detail = format!("{pointer} is {}, not a string", type_name(&other));
            Err(ApiError::new(Kind::InvalidRequest, detail).at(pointer))
        }
    }
}

fn unanswered(error: AnswerError, one: bool) -> ApiError {
    match error {
        AnswerError::Text { index, error } => {
            let pointer = if one { "/text".to_owned() } else { format!("/texts/{index}") };
            ApiError::new(Kind::Internal, error.to_string()).at(pointer)
        }
        AnswerError::Stopped => ApiError::unavailable(AnswerError::Stopped.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parsed(value: Value) -> Result<Asked, ApiError> {
        let Value::Object(object) = value else { panic!("an object") };
        parse(object)
    }

    #[test]
    fn one_text_or_several() {
        assert_eq!(parsed(json!({"text": "a"})).unwrap().texts, Texts::One("a".to_owned()));
        assert_eq!(parsed(json!({"text": ""})).unwrap().texts, Texts::One(String::new()));
        assert_eq!(parsed(json!({"texts": []})).unwrap().texts, Texts::Many(vec![]));
        let Asked { texts, options, .. } = parsed(json!({"texts": ["a", "b"], "max_rounds": 1})).unwrap();
        assert_eq!(texts, Texts::Many(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(options.max_rounds, Some(1));
        let protected = |value| {
            let of_texts = parsed(value).unwrap().protected.into_iter();
            of_texts
                .map(|spans| spans.iter().map(|span| (span.start, span.end)).collect())
                .collect::<Vec<Vec<_>>>()
        };
        assert_eq!(protected(json!({"text": "né", "protected": [[1, 3]]})), [[(1, 3)]]);
        let two = json!({"texts": ["a", "b"], "protected": [[], [[0, 1]]]});
        assert_eq!(protected(two), [vec![], vec![(0, 1)]]);
    }

    #[test]
    fn what_is_not_taken_names_its_place() {
        for (value, pointer, words) in [
            (json!({}), "", "neither"),
            (json!({"text": "a", "texts": ["b"]}), "", "both"),
            (json!({"text": 1}), "/text", "a number"),
            (json!({"texts": "a"}), "/texts", "a string, not an array"),
            (json!({"texts": ["a", null]}), "/texts/1", "null"),
            (json!({"txt": "a"}), "/txt", "did you mean `text`?"),
            (json!({"text": "né", "protected": [[0, 2]]}), "/protected/0", "no span of a text of 3 bytes"),
            (json!({"text": "a", "protected": [[0, 1], 7]}), "/protected/1", "7 is no span"),
            (json!({"text": "a", "protected": "a"}), "/protected", "a string"),
            (json!({"texts": ["a"], "protected": []}), "/protected", "one a text"),
            (json!({"text": "a", "min_confidance": 1}), "/min_confidance", "did you mean `min_confidence`?"),
        ] {
            let error = parsed(value.clone()).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidRequest, "{value}");
            assert_eq!(error.pointer.as_deref(), Some(pointer), "{value}");
            assert!(error.detail.contains(words), "{value}: {}", error.detail);
        }
    }
}
