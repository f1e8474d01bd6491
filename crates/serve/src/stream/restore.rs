//! The records of a batch through the engine of the server, behind those that somebody waits for.

use std::{sync::Arc, time::Instant};

use restorer::{Restoration, RestoreOptions, RestoreRequest};

use super::{
    StreamError,
    batch::{Batch, Held, Read},
    outgoing::Outgoing,
    settings::Settings,
    turns::{Turn, in_order},
    value::Parsed,
};
use crate::{
    batch::RowResult,
    http::{auth::Client, state::AppState},
    models::served::Served,
    served_texts::restore_one,
    text_error::TextError,
};

/// What shares of the engine and logs call a stream.
const CLIENT: &str = "stream";
/// Digest of the model that restores nothing.
const IDENTITY: &str = "identity";

/// Who restores: the first model of the server.
#[derive(Clone)]
pub(super) struct Restoring {
    state: AppState,
    client: Client,
    options: RestoreOptions,
    attempts: u32,
    is_identity: bool,
}

/// One version of a model, held by a batch from its first record until it is written.
pub(super) enum Worker {
    Model(Arc<Served>),
    Identity,
}

/// A batch that can be written.
pub(super) struct Restored {
    /// Of the model that has restored it.
    pub(super) digest: Arc<str>,
    pub(super) records: Vec<Outgoing>,
    /// When its first record was read.
    pub(super) since: Instant,
    /// What it takes of the tokens in flight.
    #[expect(dead_code, reason = "dropped with the batch")]
    pub(super) held: Held,
}

impl Restoring {
    pub(super) fn new(state: AppState, settings: &Settings) -> Self {
        Self {
            state,
            client: Client(CLIENT.into()),
            options: settings.options,
            attempts: settings.attempts,
            is_identity: settings.is_identity,
        }
    }

    /// The version of the model that is served now; none while the first is loaded.
    pub(super) fn worker(&self) -> Option<Worker> {
        if self.is_identity {
            return Some(Worker::Identity);
        }
        self.state.models().get(None).ok().map(Worker::Model)
    }

    /// Restores a batch, when its turn comes.
    pub(super) async fn restore(self, batch: Batch, turn: Turn) -> Result<Restored, StreamError> {
        let (worker, records, since, held) = batch.into_parts();
        let digest: Arc<str> = worker.digest().into();
        let (restoring, worker, by) = (&self, &worker, &digest);
        let one = |read: Read| async move {
            let (record, parsed) = read;
            let outcome = match parsed {
                Err(error) => Err(error),
                Ok(parsed) => {
                    let (results, attempts) = restoring.all(worker, &parsed).await?;
                    parsed.encode(results, attempts, by)
                }
            };
            Ok::<_, StreamError>(Outgoing { record, outcome })
        };
        let records = turn.run(records, worker.texts_under_way(), one).await?;
        Ok(Restored { digest, records, since, held })
    }

    /// What becomes of the texts of a value, and how often the last of them that failed was tried.
    async fn all(&self, worker: &Worker, parsed: &Parsed) -> Result<(Vec<RowResult>, u32), StreamError> {
        let texts = parsed.texts();
        let Worker::Model(model) = worker else {
            return Ok((texts.into_iter().map(|text| text.map(|text| Ok(unchanged(text)))).collect(), 1));
        };
        let requests: Vec<Option<RestoreRequest>> = texts
            .into_iter()
            .map(|text| text.map(|text| RestoreRequest::new(text).with_options(self.options)))
            .collect();
        let one = |request| self.one(model, request);
        let done = in_order(requests.into_iter(), worker.texts_under_way(), one).await?;
        let most = done.iter().map(|(_, attempts)| *attempts).max().unwrap_or(1);
        let results = done.into_iter().map(|(result, _)| result).collect();
        Ok((results, most))
    }

    async fn one(
        &self,
        model: &Served,
        request: Option<RestoreRequest>,
    ) -> Result<(RowResult, u32), StreamError> {
        let Some(request) = request else { return Ok((None, 1)) };
        let mut attempts = 1;
        loop {
            match restore_one(model, &request, &self.client).await {
                Err(_gone) => return Err(StreamError::NoEngine),
                // What else was under way may have been the reason.
                Ok(Err(TextError::Panicked(_))) if attempts < self.attempts => attempts += 1,
                Ok(result) => return Ok((Some(result), attempts)),
            }
        }
    }
}

impl Worker {
    /// What one pass over `text` costs.
    pub(super) fn tokens(&self, text: &str) -> usize {
        match self {
            Self::Model(model) => model.scheduler().tokens(text),
            Self::Identity => text.len(),
        }
    }

    /// Texts that wait or are under way at a time: as many again as the engine takes.
    fn texts_under_way(&self) -> usize {
        match self {
            Self::Model(model) => model.scheduler().bulk_texts(),
            Self::Identity => 1,
        }
    }

    fn digest(&self) -> &str {
        match self {
            Self::Model(model) => &model.info().digest,
            Self::Identity => IDENTITY,
        }
    }
}

/// A text that nothing was done to.
pub(super) fn unchanged(text: &str) -> Restoration {
    Restoration {
        text: text.to_owned(),
        edits: Vec::new(),
        confidence: 1.0,
        calibrated: false,
        text_calibrated: false,
        passes: 0,
        alternatives: Vec::new(),
    }
}
