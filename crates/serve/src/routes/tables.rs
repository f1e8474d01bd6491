//! Tables as bodies of `/v1/restore/batch`: Arrow streams, batch by batch as they come, and Parquet files.

mod arrow_stream;
mod pieces;

use std::{
    fs::File,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    extract::Request,
    http::header,
    response::{IntoResponse, Response},
};
use tokio::{runtime::Handle, sync::oneshot};

use self::pieces::{Pieces, pieces};
use crate::{
    api::file_options::FileOptions,
    batch::{BatchError, Format, Input, Watch, restore_to},
    error::{ApiError, Kind},
    http::{answer_headers::AnswerHeaders, auth::Client, spool::spool, state::AppState},
    served_texts::ServedTexts,
};

/// What messages call the table.
const BODY: &str = "the body";

/// How a table comes and goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableFormat {
    ArrowStream,
    Parquet,
}

impl TableFormat {
    /// The format that a media type names.
    pub(super) fn of_media_type(media_type: &str) -> Option<Self> {
        match media_type {
            arrow_stream::MEDIA_TYPE => Some(Self::ArrowStream),
            _ if Format::of_media_type(media_type) == Some(Format::Parquet) => Some(Self::Parquet),
            _ => None,
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::ArrowStream => arrow_stream::MEDIA_TYPE,
            Self::Parquet => Format::Parquet.media_type(),
        }
    }
}

/// Restores the table that is the body of `request`. What is wrong before the first byte of the answer is told; what goes wrong
/// later breaks the answer off.
pub(super) async fn restore(
    state: AppState,
    client: Client,
    format: TableFormat,
    request: Request,
) -> Result<Response, ApiError> {
    let options = FileOptions::of(request.uri())?;
    let model = state.models().get(options.model.as_deref())?;
    let restore = options.options(model.name(), model.info())?;
    let headers = AnswerHeaders::of_model(model.as_ref());
    drop(model);
    let texts = ServedTexts::new(state.clone(), options.model.clone(), restore, client, Handle::current());
    let (sink, answer) = pieces();
    let (checked, check) = oneshot::channel();
    let work = Work { texts, options, patience: state.limits().answer_time, sink, checked };
    let body = request.into_body();
    match format {
        TableFormat::ArrowStream => arrow_stream::start(work, body, *state.limits()),
        TableFormat::Parquet => {
            let unkept = |error| ApiError::unavailable(format!("the body cannot be kept: {error}"));
            let mut file = tokio::fs::File::from_std(tempfile::tempfile().map_err(unkept)?);
            spool(body, state.limits(), &mut file).await?;
            let file = file.into_std().await;
            tokio::task::spawn_blocking(move || work.parquet(file));
        }
    }
    let panicked = |_| Err(ApiError::new(Kind::Internal, "the server panicked on this table"));
    check.await.unwrap_or_else(panicked)?;
    Ok((headers, [(header::CONTENT_TYPE, format.media_type())], Body::from_stream(answer)).into_response())
}

/// A table to restore, on a thread that may block.
struct Work {
    texts: ServedTexts,
    options: FileOptions,
    patience: Duration,
    sink: Pieces,
    /// Told once that the answer begins, or why it does not.
    checked: oneshot::Sender<Result<(), ApiError>>,
}

impl Work {
    fn parquet(self, file: File) {
        let Self { texts, options, patience, sink, checked } = self;
        let label = Path::new(BODY);
        let input = match Input::new(label, file, Format::Parquet, &options.settings()) {
            Ok(input) => input,
            Err(error) => return drop(checked.send(Err(error.into()))),
        };
        if checked.send(Ok(())).is_err() {
            return;
        }
        let mut patience = Patience::new(patience, &sink);
        let restored = restore_to(&input, sink, label, &texts, &mut patience);
        match restored {
            Ok((sink, _)) => sink.end(),
            Err(error) => broken_off(&error),
        }
    }
}

fn broken_off(error: &BatchError) {
    tracing::warn!(%error, "an answer was broken off");
}

/// Stops the work when nobody waits for it any more, or nothing is done for long.
struct Patience {
    stop: AtomicBool,
    limit: Duration,
    last: Instant,
    is_gone: Box<dyn Fn() -> bool>,
}

impl Patience {
    fn new(limit: Duration, sink: &Pieces) -> Self {
        Self { stop: AtomicBool::new(false), limit, last: Instant::now(), is_gone: sink.gone() }
    }

    /// Whether to go on, once `rows` more are done.
    fn goes_on(&mut self, rows: u64) -> bool {
        if rows > 0 {
            self.last = Instant::now();
        }
        self.last.elapsed() < self.limit && !(self.is_gone)()
    }
}

impl Watch for Patience {
    fn start(&mut self, _rows: u64) {}

    fn advance(&mut self, rows: u64) {
        if !self.goes_on(rows) {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn stop_flag(&self) -> &AtomicBool {
        &self.stop
    }
}
