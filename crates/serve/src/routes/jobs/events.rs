//! `GET /v1/jobs/{id}/events`: how far a job has come, as it goes on.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension,
    extract::{Path, State},
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
};
use futures_util::stream;
use tokio::sync::watch;

use crate::{
    api::jobs::JobBody,
    error::ApiError,
    http::{auth::Client, state::AppState},
    jobs::Jobs,
    keys::Role,
    routes::stream::KEEP_ALIVE,
};

use super::{Asker, enabled, find};

/// Time between two events, at least.
const EVENT_EVERY: Duration = Duration::from_millis(200);

/// Follow a job.
///
/// Each `progress` holds the job as it is then; `done` is the last event, once the job has ended. A stream that ends without it ended with the
/// server: the job goes on when the server is there again.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/events",
    tag = "jobs",
    params(("id" = String, Path, description = "Id of the job")),
    responses((
        status = 200,
        description = "Events `progress`, then `done`",
        body = JobEvent,
        content_type = "text/event-stream",
    )),
)]
pub(crate) async fn events(
    State(state): State<AppState>,
    Extension(client): Extension<Client>,
    Extension(role): Extension<Role>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let jobs = enabled(&state)?;
    let asker = Asker { client, role };
    find(&jobs, id.clone(), asker.clone()).await?;
    let changes = jobs.changes();
    let following = Following { state, jobs, id, asker, changes, is_first: true };
    let events = stream::unfold(Some(following), async |following| {
        let (event, following) = following?.next().await?;
        Some((Ok::<_, Infallible>(event), following))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

/// An event of a job, as the description has it.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "it is only described")]
pub(crate) struct JobEvent {
    /// `progress` or `done`
    #[schema(pattern = "^(progress|done)$")]
    event: String,
    /// JSON: a `Job`.
    #[schema(content_media_type = "application/json")]
    data: String,
}

struct Following {
    state: AppState,
    jobs: Jobs,
    id: String,
    asker: Asker,
    changes: watch::Receiver<()>,
    is_first: bool,
}

impl Following {
    /// The next event, and whoever follows on; nothing once the job is gone, or the server ends.
    async fn next(mut self) -> Option<(sse::Event, Option<Self>)> {
        if !self.is_first {
            tokio::time::sleep(EVENT_EVERY).await;
            if self.state.is_draining() {
                return None;
            }
            self.changes.changed().await.ok()?;
        }
        self.is_first = false;
        self.changes.mark_unchanged();
        let (job, progress) = find(&self.jobs, self.id.clone(), self.asker.clone()).await.ok()?;
        let has_ended = job.state.has_ended();
        let event = sse::Event::default().event(if has_ended { "done" } else { "progress" });
        let event = event.json_data(JobBody::new(job, progress)).ok()?;
        Some((event, (!has_ended).then_some(self)))
    }
}
