//! `POST /v1/jobs`: a file that is sent, or one that the server can read.

use std::{
    fs::{self, File},
    path::Path,
};

use axum::{
    Extension,
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Json, Response},
};
use corruptor::store::{self, Location};
use restorer::RestoreOptions;

use crate::{
    api::{
        file_options::{FileBytes, FileOptions},
        jobs::{JobBody, JobRequest},
    },
    batch::{BatchError, Format, Input},
    error::{ApiError, Kind},
    http::{
        auth::Client,
        body::{essence, json},
        spool::spool,
        state::AppState,
    },
    jobs::{Jobs, NewJob, Source, Spec, new_id},
};

use super::{blocking, enabled};

/// What messages call a file that was sent.
const UPLOAD: &str = "the upload";

/// Accept a job.
///
/// The file is the body, by its content type (Parquet, CSV, tab-separated values, JSON lines), with its options in the query; or the body
/// is JSON and names a file that the server can read, with its options. What can be checked at once is; the job is accepted when it is on the
/// disk, and survives a restart of the server. Its rows come after texts that somebody waits for.
#[utoipa::path(
    post,
    path = "/v1/jobs",
    tag = "jobs",
    params(FileOptions),
    request_body(
        description = "A file, or where one is",
        content(
            (JobRequest = "application/json"),
            (String = "text/csv"),
            (String = "text/tab-separated-values"),
            (String = "application/x-ndjson"),
            (FileBytes = "application/vnd.apache.parquet"),
        ),
    ),
    responses((status = 202, description = "Accepted", body = JobBody, headers(("location" = String, description = "Path of the job")))),
)]
pub(crate) async fn create(
    State(state): State<AppState>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Result<Response, ApiError> {
    let jobs = enabled(&state)?;
    let job = match Format::of_media_type(&essence(request.headers())?) {
        Some(format) => uploaded(&state, jobs, client, format, request).await?,
        None => placed(&state, jobs, client, request).await?,
    };
    let job = JobBody::new(job, None);
    let location = HeaderValue::from_str(&format!("/v1/jobs/{}", job.id()));
    let mut response = (StatusCode::ACCEPTED, Json(job)).into_response();
    if let Ok(location) = location {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// A job over the body of the request.
async fn uploaded(
    state: &AppState,
    jobs: Jobs,
    client: Client,
    format: Format,
    request: Request,
) -> Result<crate::jobs::Job, ApiError> {
    let options = FileOptions::of(request.uri())?;
    let restore = options.options_with(state.models())?;
    let id = new_id();
    let directory = {
        let (jobs, id) = (jobs.clone(), id.clone());
        blocking(move || jobs.files().begin(&id).map_err(|error| unkept(&error))).await?
    };
    let path = jobs.files().upload(&id, format.extension());
    let mut file = tokio::fs::File::create(&path).await.map_err(|error| unkept(&error))?;
    spool(request.into_body(), state.limits(), &mut file).await?;
    let file = file.into_std().await;
    blocking(move || {
        let directory = directory;
        durable(&file, &path, &jobs).map_err(|error| unkept(&error))?;
        let file = File::open(&path).map_err(|error| unkept(&error))?;
        let input = Input::new(Path::new(UPLOAD), file, format, &options.settings())?;
        let spec = spec(Source::Upload, None, format.extension().to_owned(), &options, &restore);
        let client = client.0.to_string();
        let job = jobs.add(NewJob { id, client, spec, rows_total: Some(input.rows()) })?;
        directory.keep();
        Ok::<_, ApiError>(job)
    })
    .await
}

/// A job over a file that the server can read.
async fn placed(
    state: &AppState,
    jobs: Jobs,
    client: Client,
    request: Request,
) -> Result<crate::jobs::Job, ApiError> {
    let asked: JobRequest = json(request, state.limits()).await?;
    let options = asked.options();
    let restore = options.options_with(state.models())?;
    blocking(move || {
        let input = Path::new(&asked.input);
        let found = jobs.roots().input(input).map_err(|error| ApiError::from(error).at("/input"))?;
        let format = Format::of_path(&found).ok_or_else(|| BatchError::UnknownFormat(input.to_path_buf()))?;
        let output = asked.output.as_deref().map(Path::new);
        let output = output
            .map(|output| jobs.roots().output(output).map_err(|error| ApiError::from(error).at("/output")))
            .transpose()?;
        if let Some(output) = &output {
            if Format::of_path(output) != Some(format) {
                return Err(BatchError::TwoFormats { input: found, output: output.clone() }.into());
            }
            if *output == found {
                let detail = "the output is the input, which a job may have to read again";
                return Err(ApiError::new(Kind::InvalidRequest, detail).at("/output"));
            }
        }
        let rows_total = match Location::of(&found).map_err(BatchError::from)? {
            Location::Local(_) => Some(Input::open(&found, &options.settings())?.rows()),
            // Fetched when its turn comes.
            Location::Remote(url) => {
                store::object(&url).map_err(BatchError::from)?;
                None
            }
        };
        let extension = format.extension().to_owned();
        let spec = spec(Source::Place(found), output, extension, &options, &restore);
        let id = new_id();
        let directory = jobs.files().begin(&id).map_err(|error| unkept(&error))?;
        let job = jobs.add(NewJob { id, client: client.0.to_string(), spec, rows_total })?;
        directory.keep();
        Ok(job)
    })
    .await
}

fn spec(
    input: Source,
    output: Option<std::path::PathBuf>,
    extension: String,
    options: &FileOptions,
    restore: &RestoreOptions,
) -> Spec {
    Spec {
        input,
        output,
        extension,
        column: options.settings().column,
        overwrite_columns: options.overwrite_columns.unwrap_or_default(),
        model: options.model.clone(),
        min_confidence: restore.min_confidence,
        max_rounds: restore.max_rounds,
        num_beams: restore.num_beams,
    }
}

/// What was received, and the names that lead to it, are on the disk.
fn durable(file: &File, path: &Path, jobs: &Jobs) -> std::io::Result<()> {
    file.sync_all()?;
    if cfg!(unix) {
        let directories = path.parent().into_iter().chain([jobs.files().directory()]);
        for directory in directories {
            fs::File::open(directory)?.sync_all()?;
        }
    }
    Ok(())
}

fn unkept(error: &std::io::Error) -> ApiError {
    ApiError::unavailable(format!("the job cannot be kept: {error}"))
}
