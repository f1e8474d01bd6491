//! `POST /v1/restore/stream`: the pieces of one text, as they are done.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension,
    extract::{Request, State},
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use futures_util::StreamExt;

use crate::{
    api::request::RestoreBody,
    error::ApiError,
    http::{answer_headers::AnswerHeaders, auth::Client, body::json, problem::ProblemBody, state::AppState},
};

use super::following::{Followed, Following, answering};

/// Time without an event after which a comment is sent, so that nobody between takes the connection for dead.
pub(super) const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Restore one text and send its pieces as server-sent events.
///
/// Each `piece` can no longer change and comes with its edits; `done` is the last event, or `error` with a problem document. A client
/// that goes away ends the work on its text. A deadline counts for the whole text; without one, the server's time for an answer counts
/// for each piece.
#[utoipa::path(
    post,
    path = "/v1/restore/stream",
    tag = "restore",
    request_body(content = ref("#/components/schemas/TextBody"), content_type = "application/json"),
    responses((
        status = 200,
        description = "Events `piece`, then `done` or `error`",
        body = StreamEvent,
        content_type = "text/event-stream",
    )),
)]
pub(crate) async fn stream(
    State(state): State<AppState>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Result<Response, ApiError> {
    let mut asked = json::<RestoreBody>(request, state.limits()).await?.check_one()?;
    let model = answering(&state, &mut asked)?;
    let headers = AnswerHeaders::of_model(&model);
    let following = Following::start(&model, asked, &client, state.limits().answer_time)?;
    let events = following.into_stream().map(|followed| Ok::<_, Infallible>(event(followed)));
    Ok((headers, Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))).into_response())
}

/// An event of a stream, as the description has it.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is only described")]
pub(crate) struct StreamEvent {
    /// `piece`, `done` or `error`
    #[schema(pattern = "^(piece|done|error)$")]
    event: String,
    /// JSON: of a `piece` a `Piece`, of `done` a `Done`, of an `error` a `Problem`.
    #[schema(content_media_type = "application/json")]
    data: String,
}

fn event(followed: Followed) -> sse::Event {
    let event = sse::Event::default();
    let event = match followed {
        Followed::Piece(piece) => event.event("piece").json_data(piece),
        Followed::Done(done) => event.event("done").json_data(done),
        Followed::Failed(error) => event.event("error").json_data(ProblemBody::from(&error)),
    };
    // Strings, numbers and arrays of them are always written.
    event.unwrap_or_else(|_never| sse::Event::default().event("error"))
}
