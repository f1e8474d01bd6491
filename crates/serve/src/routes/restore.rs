//! `POST /v1/restore`: one text or several, restored.

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use restorer::{RestoreOptions, RestoreRequest};
use serde_json::{Map, Value};

use crate::{
    answer::RestorationBody,
    error::{ApiError, Kind},
    http::{
        body::{json_object, type_name},
        state::AppState,
    },
    options::{refuse_unknown, take_options},
    scheduler::{AnswerError, Ticket},
};

/// Keys of the request's object, besides the options.
const KEYS: [&str; 2] = ["text", "texts"];

/// What the client asks for, and so the shape of the answer.
#[derive(Debug, PartialEq)]
enum Texts {
    /// `{"text": …}` → the restoration itself.
    One(String),
    /// `{"texts": […]}` → `{"results": […]}`.
    Many(Vec<String>),
}

#[derive(serde::Serialize)]
struct Results {
    results: Vec<RestorationBody>,
}

/// Restores the texts of the body.
pub(super) async fn restore(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let object = json_object(request, state.limits()).await?;
    let (texts, options) = parse(object)?;
    let (texts, one) = match texts {
        Texts::One(text) => (vec![text], true),
        Texts::Many(texts) => (texts, false),
    };
    let requests = texts.into_iter().map(|text| RestoreRequest { text, options }).collect();
    let ticket = state.scheduler().submit(requests)?;
    let results = answers(&state, ticket, one).await?;
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

fn parse(mut object: Map<String, Value>) -> Result<(Texts, RestoreOptions), ApiError> {
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
    Ok((texts, options))
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

    fn parsed(value: Value) -> Result<(Texts, RestoreOptions), ApiError> {
        let Value::Object(object) = value else { panic!("an object") };
        parse(object)
    }

    #[test]
    fn one_text_or_several() {
        assert_eq!(parsed(json!({"text": "a"})).unwrap().0, Texts::One("a".to_owned()));
        assert_eq!(parsed(json!({"text": ""})).unwrap().0, Texts::One(String::new()));
        assert_eq!(parsed(json!({"texts": []})).unwrap().0, Texts::Many(vec![]));
        let (texts, options) = parsed(json!({"texts": ["a", "b"], "max_rounds": 1})).unwrap();
        assert_eq!(texts, Texts::Many(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(options.max_rounds, Some(1));
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
            (json!({"text": "a", "min_confidance": 1}), "/min_confidance", "did you mean `min_confidence`?"),
        ] {
            let error = parsed(value.clone()).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidRequest, "{value}");
            assert_eq!(error.pointer.as_deref(), Some(pointer), "{value}");
            assert!(error.detail.contains(words), "{value}: {}", error.detail);
        }
    }
}
