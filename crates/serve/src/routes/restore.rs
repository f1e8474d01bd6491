//! `POST /v1/restore`: one text or several, restored.

use std::time::{Duration, Instant};

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};

use crate::{
    api::{
        answer::{RestorationBody, Restorations},
        request::RestoreBody,
    },
    error::{ApiError, Kind},
    http::{answer_headers::AnswerHeaders, body::json, state::AppState},
    scheduler::{AnswerError, Answered, Ticket},
};

/// Restore one text, or several.
///
/// With `text` the answer is the restoration itself, with `texts` it is `{"results": [...]}`.
#[utoipa::path(
    post,
    path = "/v1/restore",
    tag = "restore",
    request_body = RestoreBody,
    responses((status = 200, description = "Restored", body = inline(RestoredBody))),
)]
pub(crate) async fn restore(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let started = Instant::now();
    let asked = json::<RestoreBody>(request, state.limits()).await?.check()?;
    let model = state.models().get(asked.model.as_deref())?;
    let inputs: Vec<String> = asked.requests.iter().map(|request| request.text.clone()).collect();
    let ticket = model.scheduler().submit(asked.requests)?;
    let answered = answer(ticket, asked.deadline, state.limits().answer_time, asked.one).await?;
    let headers = AnswerHeaders::new(model, &answered, started);
    let bodies = inputs.iter().zip(answered.restorations);
    let mut results: Vec<RestorationBody> =
        bodies.map(|(input, restoration)| RestorationBody::new(input, restoration, asked.unit)).collect();
    let answer = match (asked.one, results.pop()) {
        (true, Some(result)) => RestoredBody::One(result),
        (_, last) => {
            results.extend(last);
            RestoredBody::Several(Restorations { results })
        }
    };
    Ok((headers, Json(answer)).into_response())
}

/// The restoration of one text, or those of several.
#[derive(serde::Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub(crate) enum RestoredBody {
    /// Of `text`.
    One(RestorationBody),
    /// Of `texts`.
    Several(Restorations),
}

/// Waits for a ticket as long as its answer is of use. The ticket falls with the time, which cancels what is not done.
pub(super) async fn answer(
    ticket: Ticket,
    deadline: Option<Duration>,
    limit: Duration,
    one: bool,
) -> Result<Answered, ApiError> {
    let time = deadline.map_or(limit, |deadline| deadline.min(limit));
    let late = |_| ApiError::new(Kind::Timeout, format!("the answer was not ready after {time:?}"));
    let answered = tokio::time::timeout(time, ticket.wait()).await.map_err(late)?;
    answered.map_err(|error| unanswered(error, one))
}

/// Why there is no answer.
fn unanswered(error: AnswerError, one: bool) -> ApiError {
    match error {
        AnswerError::Text { index, error } => {
            let pointer = if one { "/text".to_owned() } else { format!("/texts/{index}") };
            ApiError::new(Kind::Internal, error.to_string()).at(pointer)
        }
        AnswerError::Stopped => ApiError::unavailable(AnswerError::Stopped.to_string()),
    }
}
