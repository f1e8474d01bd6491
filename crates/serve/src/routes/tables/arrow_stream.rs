//! Arrow IPC streams: a record batch is answered before the next one is read.

use std::path::Path;

use arrow::{
    buffer::Buffer,
    datatypes::SchemaRef,
    error::ArrowError,
    ipc::{reader::StreamDecoder, writer::StreamWriter},
    record_batch::RecordBatch,
};
use axum::body::{Body, Bytes};
use corruptor::guarded;
use tokio::sync::mpsc;

use super::{BODY, Patience, Work, broken_off, pieces::Pieces};
use crate::{
    batch::{BatchError, TableRows},
    error::{ApiError, Kind},
    http::{body::frame_in_time, state::RequestLimits},
};

/// Media type of Arrow IPC streams.
pub(super) const MEDIA_TYPE: &str = "application/vnd.apache.arrow.stream";
/// Bytes of a record batch, at most: it is held in memory.
const BATCH_BYTES: usize = 64 << 20;
/// Pieces of the body that wait to be decoded.
const PIECES_AHEAD: usize = 4;

/// Restores the stream that `body` is.
pub(super) fn start(work: Work, mut body: Body, limits: RequestLimits) {
    let (pieces, received) = mpsc::channel(PIECES_AHEAD);
    tokio::spawn(async move {
        loop {
            let Some(piece) = frame_in_time(&mut body, &limits).await.transpose() else { return };
            let is_last = piece.is_err();
            if pieces.send(piece).await.is_err() || is_last {
                return;
            }
        }
    });
    tokio::task::spawn_blocking(move || work.arrow_stream(received));
}

impl Work {
    fn arrow_stream(self, received: mpsc::Receiver<Result<Bytes, ApiError>>) {
        let Self { texts, options, patience, sink, checked } = self;
        let mut patience = Patience::new(patience, &sink);
        let mut batches =
            Batches { received, decoder: StreamDecoder::new(), rest: Buffer::default(), bytes: 0 };
        let begun = batches.schema().and_then(|schema| {
            let rows = TableRows::new(&schema, &options.settings(), Path::new(BODY))?;
            let writer = StreamWriter::try_new(sink, &rows.schema()).map_err(|error| malformed(&error))?;
            Ok((rows, writer))
        });
        let (rows, mut writer) = match begun {
            Ok(begun) => begun,
            Err(error) => return drop(checked.send(Err(error))),
        };
        if checked.send(Ok(())).is_err() {
            return;
        }
        let mut restore = || -> Result<(), ApiError> {
            while let Some(batch) = batches.next()? {
                let (restored, _) = rows.restore(&batch, &texts, &mut |rows| patience.goes_on(rows))?;
                writer.write(&restored).map_err(|error| malformed(&error))?;
                // The client has the batch before it sends the next one.
                writer.flush().map_err(|error| malformed(&error))?;
            }
            writer.finish().map_err(|error| malformed(&error))
        };
        let restored = restore().and_then(|()| writer.into_inner().map_err(|error| malformed(&error)));
        match restored {
            Ok(sink) => Pieces::end(sink),
            Err(error) => broken_off(&BatchError::Unable { path: BODY.into(), reason: error.detail }),
        }
    }
}

/// The record batches of a body.
struct Batches {
    received: mpsc::Receiver<Result<Bytes, ApiError>>,
    decoder: StreamDecoder,
    rest: Buffer,
    /// Bytes since the last batch.
    bytes: usize,
}

impl Batches {
    fn schema(&mut self) -> Result<SchemaRef, ApiError> {
        loop {
            if let Some(schema) = self.decoder.schema() {
                return Ok(schema);
            }
            // The schema comes alone: no batch is decoded before it is there.
            let byte = self.rest.slice_with_length(0, self.rest.len().min(1));
            if byte.is_empty() {
                if !self.receive()? {
                    return Err(malformed(&"it has no schema"));
                }
                continue;
            }
            self.rest = self.rest.slice(byte.len());
            self.decode(byte)?;
        }
    }

    fn next(&mut self) -> Result<Option<RecordBatch>, ApiError> {
        loop {
            if !self.rest.is_empty() {
                let mut rest = std::mem::take(&mut self.rest);
                let batch = guarded(|| self.decoder.decode(&mut rest)).map_err(|error| malformed(&error))?;
                self.rest = rest;
                if let Some(batch) = batch.map_err(|error| malformed(&error))? {
                    self.bytes = 0;
                    return Ok(Some(batch));
                }
            } else if !self.receive()? {
                self.decoder.finish().map_err(|error| malformed(&error))?;
                return Ok(None);
            }
        }
    }

    fn decode(&mut self, mut bytes: Buffer) -> Result<(), ApiError> {
        let decoded = guarded(|| self.decoder.decode(&mut bytes)).map_err(|error| malformed(&error))?;
        decoded.map(drop).map_err(|error: ArrowError| malformed(&error))
    }

    /// Takes the next piece of the body; false after the last.
    fn receive(&mut self) -> Result<bool, ApiError> {
        let Some(piece) = self.received.blocking_recv().transpose()? else { return Ok(false) };
        self.bytes += piece.len();
        if self.bytes > BATCH_BYTES {
            let detail = format!("a record batch has more than {BATCH_BYTES} bytes");
            return Err(ApiError::new(Kind::TooLarge, detail));
        }
        self.rest = Buffer::from(piece);
        Ok(true)
    }
}

fn malformed(error: &impl std::fmt::Display) -> ApiError {
    ApiError::new(Kind::MalformedFile, format!("{BODY} is no whole Arrow stream: {error}"))
}
