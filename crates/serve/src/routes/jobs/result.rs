//! `GET /v1/jobs/{id}/result`: the output of a job.

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Path, State},
    http::header,
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tokio::{fs::File, io::AsyncReadExt};

use crate::{
    api::file_options::FileBytes,
    error::{ApiError, Kind},
    http::{auth::Client, state::AppState},
    jobs::State as JobState,
    keys::Role,
};

use super::{Asker, enabled, find, unknown};

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 1 << 16;

/// Fetch the output of a job.
#[utoipa::path(
    get,
    path = "/v1/jobs/{id}/result",
    tag = "jobs",
    params(("id" = String, Path, description = "Id of the job")),
    responses((
        status = 200,
        description = "The output, in the format of the input",
        content(
            (String = "text/csv"),
            (String = "text/tab-separated-values"),
            (serde_json::Value = "application/x-ndjson"),
            (FileBytes = "application/vnd.apache.parquet"),
        ),
    )),
)]
pub(crate) async fn result(
    State(state): State<AppState>,
    Extension(client): Extension<Client>,
    Extension(role): Extension<Role>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let jobs = enabled(&state)?;
    let (job, _) = find(&jobs, id, Asker { client, role }).await?;
    let none = |detail: String| Err(ApiError::new(Kind::NoResult, detail));
    if job.state != JobState::Succeeded {
        return none(format!("the job is {}", job.state.name()));
    }
    if let Some(output) = &job.spec.output {
        return none(format!("the job has written to {}", output.display()));
    }
    let extension = &job.spec.extension;
    // It may have been removed since.
    let file = File::open(jobs.files().result(&job.id, extension)).await;
    let file = file.map_err(|_gone| unknown(&job.id))?;
    let length = file.metadata().await.map_err(|_gone| unknown(&job.id))?.len();
    let media_type = job.spec.format().map_or("application/octet-stream", crate::batch::Format::media_type);
    let headers = [
        (header::CONTENT_TYPE, media_type.to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}.{extension}\"", job.id)),
    ];
    let pieces = stream::try_unfold(file, async |mut file| {
        let mut piece = vec![0; PIECE_BYTES];
        let read = file.read(&mut piece).await?;
        piece.truncate(read);
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(piece), file)))
    });
    Ok((headers, Body::from_stream(pieces)).into_response())
}
