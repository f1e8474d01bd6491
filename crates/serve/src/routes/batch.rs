//! `POST /v1/restore/batch`: lines of JSON in, lines of JSON out, both as they come; tables by their content type.

use std::time::{Duration, Instant};

use axum::{
    Extension,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use corruptor::OffsetUnit;
use futures_util::stream;
use http_body_util::BodyExt;
use serde::Serialize;
use tokio::sync::mpsc;

use crate::{
    api::{
        answer::RestorationBody,
        file_options::{FileBytes, FileOptions},
        request::{Asked, RestoreBody},
        values::Urgency,
    },
    error::{ApiError, Kind},
    http::{
        auth::Client,
        body::{essence, typed},
        problem::ProblemBody,
        state::AppState,
    },
    models::watched::Watched,
    scheduler::{SubmitError, Ticket},
};

use super::{
    following::answering,
    restore::{answer, in_time},
    tables::{self, TableFormat},
};

/// Media type of lines of JSON.
const NDJSON: &str = "application/x-ndjson";
/// Lines of one request that are under way; more are not read until the first of them is answered.
const LINES_UNDER_WAY: usize = 64;
/// Longest time until a line that found no room is queued again.
const RETRY: Duration = Duration::from_millis(100);

/// Restore lines of JSON, or a table.
///
/// Each line is an object as `/v1/restore` takes it, with one `text`; each becomes a line of the answer, in order, while the rest is still
/// being sent. A line that cannot be restored is answered by its `error`, and the others go on. What is read is bounded: send and receive
/// at the same time. Lines are `bulk` unless they say otherwise.
///
/// By content type the body is an Arrow stream, answered record batch by record batch, or a Parquet file, answered once all of it is there: with
/// the columns `restored`, `edits`, `confidence` and `error`, and options in the query. What goes wrong once the answer has begun breaks it off.
#[utoipa::path(
    post,
    path = "/v1/restore/batch",
    tag = "restore",
    params(FileOptions),
    request_body(
        description = "Lines, each one of these, or a table",
        content(
            (ref("#/components/schemas/TextBody") = "application/x-ndjson"),
            (FileBytes = "application/vnd.apache.arrow.stream"),
            (FileBytes = "application/vnd.apache.parquet"),
        ),
    ),
    responses((
        status = 200,
        description = "Lines, one for each that was sent, or the table with its new columns",
        content(
            (LineBody = "application/x-ndjson"),
            (FileBytes = "application/vnd.apache.arrow.stream"),
            (FileBytes = "application/vnd.apache.parquet"),
        ),
    )),
)]
pub(crate) async fn batch(
    State(state): State<AppState>,
    Extension(client): Extension<Client>,
    request: Request,
) -> Result<Response, ApiError> {
    if let Some(format) = TableFormat::of_media_type(&essence(request.headers())?) {
        return tables::restore(state, client, format, request).await;
    }
    let (parts, body) = request.into_parts();
    require_lines(&parts.headers)?;
    let (lines, answers) = mpsc::channel(LINES_UNDER_WAY);
    let reader = Reader { state: state.clone(), client, lines, number: 0 };
    tokio::spawn(reader.read(body));
    let written =
        stream::unfold((answers, state), async |(mut answers, state): (mpsc::Receiver<Line>, _)| {
            let line = answers.recv().await?.answered(&state).await;
            Some((Ok::<_, std::convert::Infallible>(line), (answers, state)))
        });
    Ok(([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(written)).into_response())
}

fn require_lines(headers: &HeaderMap) -> Result<(), ApiError> {
    let essence = essence(headers)?;
    if ["application/x-ndjson", "application/ndjson", "application/jsonl"].contains(&essence.as_str()) {
        return Ok(());
    }
    let detail = format!(
        "the content type is `{essence}`; lines of JSON are `{NDJSON}`, tables Arrow streams or Parquet"
    );
    Err(ApiError::new(Kind::UnsupportedMediaType, detail))
}

/// A line of the answer.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct LineBody {
    /// Number of the line that it answers, from 1.
    line: u64,
    #[serde(flatten)]
    result: LineResult,
}

#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
enum LineResult {
    Restored(RestorationBody),
    Failed { error: ProblemBody },
}

/// A line that was read.
struct Line {
    number: u64,
    state: Result<Queued, ApiError>,
}

/// Its text, queued.
struct Queued {
    input: String,
    unit: OffsetUnit,
    /// When the answer is of no use any more.
    until: Option<Instant>,
    ticket: Ticket,
    /// Name of the model that answers, and those that watch it.
    model: String,
    watched: Watched,
}

impl Line {
    /// The line of the answer, once it is there.
    async fn answered(self, state: &AppState) -> Bytes {
        let result = match self.state {
            Ok(queued) => queued.answered(state).await,
            Err(error) => Err(error),
        };
        let result = match result {
            Ok(restored) => LineResult::Restored(restored),
            Err(error) => LineResult::Failed { error: ProblemBody::from(&error) },
        };
        // Strings, numbers and arrays of them are always written.
        let mut line = serde_json::to_vec(&LineBody { line: self.number, result }).unwrap_or_default();
        line.push(b'\n');
        line.into()
    }
}

impl Queued {
    async fn answered(self, state: &AppState) -> Result<RestorationBody, ApiError> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        let answered = in_time(answer(self.ticket, true), left, state.limits().answer_time).await?;
        self.watched.compare(&self.model, &answered.restorations);
        let restoration = answered.restorations.into_iter().next();
        let restoration =
            restoration.ok_or_else(|| ApiError::new(Kind::Internal, "a line without a restoration"))?;
        Ok(RestorationBody::new(&self.input, restoration, self.unit))
    }
}

/// Reads lines and queues them as there is room.
struct Reader {
    state: AppState,
    client: Client,
    lines: mpsc::Sender<Line>,
    number: u64,
}

/// Nobody waits for the answer any more.
struct Gone;

impl Reader {
    async fn read(mut self, mut body: Body) {
        let limits = *self.state.limits();
        let mut rest: Vec<u8> = Vec::new();
        loop {
            let frame = match tokio::time::timeout(limits.body_time, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => break,
                Ok(Some(Err(error))) => {
                    let error = ApiError::new(Kind::MalformedBody, format!("the body broke off: {error}"));
                    return self.end(error).await;
                }
                Err(_late) => {
                    let detail = format!("nothing came for {:?}", limits.body_time);
                    return self.end(ApiError::new(Kind::BodyTimeout, detail)).await;
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            rest.extend_from_slice(&data);
            let mut read = 0;
            while let Some(length) = rest[read..].iter().position(|byte| *byte == b'\n') {
                if self.line(&rest[read..read + length]).await.is_err() {
                    return;
                }
                read += length + 1;
            }
            rest.drain(..read);
            if rest.len() > limits.body_bytes {
                let detail = format!("the line is longer than {} bytes", limits.body_bytes);
                return self.end(ApiError::new(Kind::TooLarge, detail)).await;
            }
        }
        if !rest.is_empty() {
            // Whether somebody still waits changes nothing any more.
            let _gone = self.line(&rest).await;
        }
    }

    /// The last line of an answer that ends before its request does.
    async fn end(self, error: ApiError) {
        let line = Line { number: self.number + 1, state: Err(error) };
        // Whether somebody still waits changes nothing any more.
        let _gone = self.lines.send(line).await;
    }

    async fn line(&mut self, line: &[u8]) -> Result<(), Gone> {
        self.number += 1;
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        let state = match parsed(line) {
            Ok(asked) => self.queue(asked).await?,
            Err(error) => Err(error),
        };
        self.lines.send(Line { number: self.number, state }).await.map_err(|_gone| Gone)
    }

    /// Queues a text, once there is room.
    async fn queue(&self, mut asked: Asked) -> Result<Result<Queued, ApiError>, Gone> {
        let watched = self.state.models().watching(asked.model.as_deref(), &asked.requests, &self.client);
        let model = match answering(&self.state, &mut asked) {
            Ok(model) => model,
            Err(error) => return Ok(Err(error)),
        };
        let Asked { requests, unit, deadline, .. } = asked;
        let until = deadline.map(|deadline| Instant::now() + deadline);
        let input: String = requests.iter().map(|request| request.text.as_str()).collect();
        loop {
            if self.lines.is_closed() {
                return Err(Gone);
            }
            match model.scheduler().submit_until(requests.clone(), &self.client, until) {
                Ok(ticket) => {
                    let model = model.name().to_owned();
                    return Ok(Ok(Queued { input, unit, until, ticket, model, watched }));
                }
                Err(SubmitError::Full { retry_after, .. }) => {
                    tokio::time::sleep(retry_after.min(RETRY)).await;
                }
                Err(error) => return Ok(Err(error.into())),
            }
        }
    }
}

fn parsed(line: &[u8]) -> Result<Asked, ApiError> {
    let body: RestoreBody = typed(line)?;
    let priority = body.priority.or(Some(Urgency::Bulk));
    RestoreBody { priority, ..body }.check_one()
}
