//! The texts of files and tables through the engine of a server, behind those that somebody waits for.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use restorer::{Restoration, RestoreOptions, RestoreRequest};
use tokio::runtime::Handle;

use crate::{
    batch::{Halt, RowResult, Texts},
    error::Kind,
    http::{auth::Client, state::AppState},
    models::served::Served,
    scheduler::{AnswerError, SubmitError},
    text_error::TextError,
};

/// Texts of one file that wait or are under way.
const TEXTS_UNDER_WAY: usize = 128;
/// Longest time until a text that found no room, or no model, is queued again.
const RETRY: Duration = Duration::from_millis(100);
/// Time after which it is asked whether the work is to go on.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// A model of a server, by name: whichever version of it is there when a text is queued.
pub(crate) struct ServedTexts {
    state: AppState,
    model: Option<String>,
    options: RestoreOptions,
    client: Client,
    runtime: Handle,
    digests: Mutex<BTreeSet<String>>,
}

impl ServedTexts {
    /// For texts of `client`. It is used on a thread that may block, not on one of `runtime`.
    pub(crate) fn new(
        state: AppState,
        model: Option<String>,
        options: RestoreOptions,
        client: Client,
        runtime: Handle,
    ) -> Self {
        Self { state, model, options, client, runtime, digests: Mutex::default() }
    }

    async fn all(
        &self,
        texts: &[Option<&str>],
        done: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Vec<RowResult>, Halt> {
        let mut results: Vec<RowResult> = texts.iter().map(|_| None).collect();
        let waiting: Vec<(usize, &str)> =
            texts.iter().enumerate().filter_map(|(row, text)| text.map(|text| (row, text))).collect();
        if !done((texts.len() - waiting.len()) as u64) {
            return Err(Halt::Stopped);
        }
        let mut under_way = stream::iter(waiting)
            .map(|(row, text)| async move { (row, self.one(text).await) })
            .buffer_unordered(TEXTS_UNDER_WAY);
        let mut ask = tokio::time::interval(ASK_EVERY);
        loop {
            let finished = tokio::select! {
                next = under_way.next() => match next {
                    None => return Ok(results),
                    Some((row, result)) => {
                        results[row] = Some(result?);
                        1
                    }
                },
                _ = ask.tick() => 0,
            };
            if !done(finished) {
                return Err(Halt::Stopped);
            }
        }
    }

    /// Restores a text, whenever there is room, and a model. While there is none, whoever asks for it decides how long to wait.
    async fn one(&self, text: &str) -> Result<Result<Restoration, TextError>, Halt> {
        let request = RestoreRequest::new(text).with_options(self.options);
        loop {
            match self.state.models().get(self.model.as_deref()) {
                Ok(model) => {
                    if let Ok(restored) = restore_one(&model, &request, &self.client).await {
                        let digest = model.info().digest.clone();
                        self.digests.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
                        return Ok(restored);
                    }
                }
                Err(error) if error.kind == Kind::UnknownModel => {
                    return Err(Halt::Unable(error.to_string()));
                }
                Err(_not_now) => {}
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

/// The engine takes no texts any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone;

/// Restores a text by `model`, whenever there is room.
pub(crate) async fn restore_one(
    model: &Served,
    request: &RestoreRequest,
    client: &Client,
) -> Result<Result<Restoration, TextError>, Gone> {
    loop {
        let wait = match model.scheduler().submit(vec![request.clone()], client) {
            Ok(ticket) => match ticket.wait().await {
                Ok(answered) => {
                    return answered.restorations.into_iter().next().map(Ok).ok_or(Gone);
                }
                Err(AnswerError::Text { error, .. }) => return Ok(Err(error)),
                Err(AnswerError::Stopped) => return Err(Gone),
            },
            Err(error @ SubmitError::TooLarge { .. }) => {
                return Ok(Err(TextError::Refused(error.to_string())));
            }
            Err(SubmitError::Full { retry_after, .. }) => retry_after.min(RETRY),
            Err(SubmitError::Closed) => return Err(Gone),
        };
        tokio::time::sleep(wait).await;
    }
}

impl Texts for ServedTexts {
    fn restore(
        &self,
        texts: &[Option<&str>],
        done: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Vec<RowResult>, Halt> {
        self.runtime.block_on(self.all(texts, done))
    }

    fn digests(&self) -> Vec<String> {
        let mut digests = self.digests.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *digests).into_iter().collect()
    }
}
