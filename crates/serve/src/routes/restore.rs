//! `POST /v1/restore`: one text or several, restored.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use axum::{
    Extension, Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use corruptor::OffsetUnit;
use restorer::RestoreRequest;

use crate::{
    api::{
        answer::{RestorationBody, Restorations},
        request::RestoreBody,
    },
    cache::CacheKey,
    error::{ApiError, Kind},
    http::{answer_headers::AnswerHeaders, auth::Client, body::json, state::AppState},
    models::served::Served,
    scheduler::{AnswerError, Answered, Ticket, Timing},
    text_error::TextError,
};

use super::following::answering;

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
pub(crate) async fn restore(
    State(state): State<AppState>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Result<Response, ApiError> {
    let started = Instant::now();
    let mut asked = json::<RestoreBody>(request, state.limits()).await?.check()?;
    let model = answering(&state, &mut asked)?;
    let watched = state.models().watching(asked.model.as_deref(), &asked.requests, &client);
    // Bytes need no second look at the text.
    let inputs: Vec<String> = match asked.unit {
        OffsetUnit::Byte => Vec::new(),
        _ => asked.requests.iter().map(|request| request.text.clone()).collect(),
    };
    let work = restored(&state, &model, &client, asked.requests, asked.one);
    let answered = in_time(work, asked.deadline, state.limits().answer_time).await?;
    let headers = AnswerHeaders::new(&model, &answered, started);
    watched.compare(model.name(), &answered.restorations);
    let inputs = inputs.iter().map(String::as_str).chain(std::iter::repeat(""));
    let bodies = answered.restorations.into_iter().zip(inputs);
    let mut results: Vec<RestorationBody> =
        bodies.map(|(restoration, input)| RestorationBody::new(input, restoration, asked.unit)).collect();
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

/// Waits for something as long as its answer is of use. What is not done by then is given up.
pub(super) async fn in_time<T>(
    work: impl Future<Output = Result<T, ApiError>>,
    deadline: Option<Duration>,
    limit: Duration,
) -> Result<T, ApiError> {
    let time = deadline.map_or(limit, |deadline| deadline.min(limit));
    let late = |_| ApiError::new(Kind::Timeout, format!("the answer was not ready after {time:?}"));
    tokio::time::timeout(time, work).await.map_err(late)?
}

/// Restores texts, all or none; what is in the cache is not worked out again.
pub(super) async fn restored(
    state: &AppState,
    model: &Served,
    client: &Client,
    requests: Vec<RestoreRequest>,
    one: bool,
) -> Result<Answered, ApiError> {
    let Some(cache) = state.cache() else {
        return answer(model.scheduler().submit(requests, client)?, one).await;
    };
    let keys: Vec<CacheKey> =
        requests.iter().map(|request| CacheKey::of(&model.info().digest, request)).collect();
    if let (true, [key]) = (one, keys.as_slice()) {
        let mut timing = Timing::default();
        let work = async {
            let answered = answer(model.scheduler().submit(requests, client)?, one).await?;
            timing = answered.timing;
            let restoration = answered.restorations.into_iter().next();
            restoration.ok_or_else(|| ApiError::new(Kind::Internal, "a text without a restoration"))
        };
        let restoration = cache.get_or(*key, work).await?.as_ref().clone();
        return Ok(Answered { restorations: vec![restoration], timing });
    }
    let mut known = Vec::with_capacity(keys.len());
    for key in &keys {
        known.push(cache.get(key).await);
    }
    let missing = requests.into_iter().zip(&known).filter(|(_, known)| known.is_none());
    let missing: Vec<RestoreRequest> = missing.map(|(request, _)| request).collect();
    let Answered { restorations: found, timing } = if missing.is_empty() {
        Answered::default()
    } else {
        answer(model.scheduler().submit(missing, client)?, one).await?
    };
    let mut found = found.into_iter();
    let mut restorations = Vec::with_capacity(keys.len());
    for (key, known) in keys.into_iter().zip(known) {
        if let Some(known) = known {
            restorations.push(known.as_ref().clone());
        } else if let Some(found) = found.next() {
            cache.insert(key, found.clone()).await;
            restorations.push(found);
        }
    }
    Ok(Answered { restorations, timing })
}

/// Waits for a ticket. It falls with whoever waits, which cancels what is not done.
pub(super) async fn answer(ticket: Ticket, one: bool) -> Result<Answered, ApiError> {
    ticket.wait().await.map_err(|error| match error {
        AnswerError::Text { index, error } => {
            let pointer = if one { "/text".to_owned() } else { format!("/texts/{index}") };
            let kind = if error == TextError::Late { Kind::Timeout } else { Kind::Internal };
            ApiError::new(kind, error.to_string()).at(pointer)
        }
        AnswerError::Stopped => ApiError::unavailable(AnswerError::Stopped.to_string()),
    })
}
