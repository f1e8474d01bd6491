//! `/v1/jobs`: files restored in the background.

pub(crate) mod create;
pub(crate) mod events;
pub(crate) mod result;

use axum::{
    Extension, Json,
    extract::{Path, Query, State},
    http::{StatusCode, Uri},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{
    api::{
        jobs::{JobBody, JobList},
        values::Count,
    },
    error::{ApiError, Kind},
    http::{auth::Client, state::AppState},
    jobs::{Ended, Job, Jobs, PlaceError, Progress, StoreError},
    keys::Role,
};

/// Jobs of a list unless more are asked for.
const DEFAULT_LIMIT: usize = 100;
/// Most jobs of a list.
const MOST_JOBS: u64 = 1000;

/// Who asks, and whose jobs they see.
#[derive(Debug, Clone)]
struct Asker {
    client: Client,
    role: Role,
}

impl Asker {
    fn sees(&self, job: &Job) -> bool {
        self.role == Role::Admin || *job.client == *self.client.0
    }
}

/// The jobs of a server that takes any.
fn enabled(state: &AppState) -> Result<Jobs, ApiError> {
    state.jobs().cloned().ok_or_else(|| {
        ApiError::new(Kind::NotFound, "this server takes no jobs: it was started without --jobs DIR")
    })
}

/// Does what may wait for the disk.
async fn blocking<T: Send + 'static, E: Into<ApiError> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ApiError::new(Kind::Internal, error.to_string()))?.map_err(Into::into)
}

/// The job of this id, where the asker sees it.
async fn find(jobs: &Jobs, id: String, asker: Asker) -> Result<(Job, Option<Progress>), ApiError> {
    let (jobs, unknown) = (jobs.clone(), unknown(&id));
    let found = blocking(move || jobs.get(&id)).await?;
    found.filter(|(job, _)| asker.sees(job)).ok_or(unknown)
}

fn unknown(id: &str) -> ApiError {
    ApiError::new(Kind::UnknownJob, format!("there is no job `{id}`"))
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Full(_) => {
                Self::new(Kind::QueueFull, error.to_string()).retry_after(std::time::Duration::from_mins(1))
            }
            StoreError::Open { .. } | StoreError::Newer { .. } | StoreError::Sqlite(_) => {
                Self::unavailable(error.to_string())
            }
        }
    }
}

impl From<PlaceError> for ApiError {
    fn from(error: PlaceError) -> Self {
        let kind = match error {
            PlaceError::NoRoots | PlaceError::Outside(_) => Kind::OutsideRoots,
            PlaceError::Missing { .. } | PlaceError::NoFile(_) | PlaceError::Url(_) => Kind::InvalidRequest,
        };
        Self::new(kind, error.to_string())
    }
}

/// How many jobs are listed.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListOptions {
    /// Jobs, at most; 100 unless given.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 1000, required = false)]
    limit: Option<String>,
}

/// List the jobs.
///
/// With keys, those of the client that asks; keys of the role `admin` see all.
#[utoipa::path(
    get,
    path = "/v1/jobs",
    tag = "jobs",
    params(ListOptions),
    responses((status = 200, description = "The newest jobs, the newest first", body = JobList)),
)]
pub(crate) async fn list(
    State(state): State<AppState>,
    Extension(client): Extension<Client>,
    Extension(role): Extension<Role>,
    uri: Uri,
) -> Result<Json<JobList>, ApiError> {
    let jobs = enabled(&state)?;
    let wrong = |said: String| ApiError::new(Kind::InvalidRequest, said).at("/limit");
    let options = Query::<ListOptions>::try_from_uri(&uri).map_err(|error| wrong(error.to_string()))?;
    let limit = options.0.limit.map(|limit| limit.parse::<Count<1, MOST_JOBS>>()).transpose();
    let limit = limit.map_err(|error| wrong(error.to_string()))?.map_or(DEFAULT_LIMIT, Count::get);
    let of_client = (role != Role::Admin).then(|| client.0.to_string());
    let newest = blocking(move || jobs.newest(of_client.as_deref(), limit)).await?;
    let jobs = newest.into_iter().map(|(job, progress)| JobBody::new(job, progress)).collect();
    Ok(Json(JobList { jobs }))
}

/// Tell of a job.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}",
    tag = "jobs",
    params(("id" = String, Path, description = "Id of the job")),
    responses((status = 200, description = "The job, with how far it has come", body = JobBody)),
)]
pub(crate) async fn job(
    State(state): State<AppState>,
    Extension(client): Extension<Client>,
    Extension(role): Extension<Role>,
    Path(id): Path<String>,
) -> Result<Json<JobBody>, ApiError> {
    let (job, progress) = find(&enabled(&state)?, id, Asker { client, role }).await?;
    Ok(Json(JobBody::new(job, progress)))
}

/// Cancel a job, or remove it.
///
/// One that waits or is under way is cancelled: it stops soon, and its files are removed. One that has ended is removed, with its result.
#[utoipa::path(
    delete,
    path = "/v1/jobs/{id}",
    tag = "jobs",
    params(("id" = String, Path, description = "Id of the job")),
    responses(
        (status = 200, description = "Cancelled", body = JobBody),
        (status = 204, description = "Removed"),
    ),
)]
pub(crate) async fn end(
    State(state): State<AppState>,
    Extension(client): Extension<Client>,
    Extension(role): Extension<Role>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let jobs = enabled(&state)?;
    find(&jobs, id.clone(), Asker { client, role }).await?;
    let gone = unknown(&id);
    match blocking(move || jobs.end(&id)).await?.ok_or(gone)? {
        Ended::Cancelled(job) => Ok(Json(JobBody::new(*job, None)).into_response()),
        Ended::Removed => Ok(StatusCode::NO_CONTENT.into_response()),
    }
}
