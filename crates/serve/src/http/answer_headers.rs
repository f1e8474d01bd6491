//! Headers of an answer that a model gave: which model, where the time went, how many passes.

use std::time::Instant;

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue},
    response::{IntoResponseParts, ResponseParts},
};

use crate::{
    models::served::Served,
    scheduler::{Answered, Timing},
};

/// Name of the model that answers.
pub const MODEL: HeaderName = HeaderName::from_static("revertant-model");
/// Digest of the model that answers.
pub const MODEL_DIGEST: HeaderName = HeaderName::from_static("revertant-model-digest");
/// Passes of the model over the texts.
pub const PASSES: HeaderName = HeaderName::from_static("revertant-passes");
/// Where the time went, in milliseconds: `queue`, `inference` and `total` (W3C Server Timing).
pub const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// The headers of one answer.
#[derive(Debug)]
pub(crate) struct AnswerHeaders(HeaderMap);

impl AnswerHeaders {
    /// Of the model alone, where the answer has only begun.
    pub(crate) fn of_model(model: &Served) -> Self {
        let mut headers = HeaderMap::new();
        if let Ok(name) = HeaderValue::from_str(model.name()) {
            headers.insert(MODEL, name);
        }
        headers.insert(MODEL_DIGEST, model.digest());
        Self(headers)
    }

    /// Of a whole answer to a request that came at `started`.
    pub(crate) fn new(model: &Served, answered: &Answered, started: Instant) -> Self {
        let Self(mut headers) = Self::of_model(model);
        let passes: usize = answered.restorations.iter().map(|one| one.passes).sum();
        headers.insert(PASSES, HeaderValue::from(passes));
        let Timing { queued, inference } = answered.timing;
        let [queued, inference, total] =
            [queued, inference, started.elapsed()].map(|time| time.as_secs_f64() * 1e3);
        let timing = format!("queue;dur={queued:.3}, inference;dur={inference:.3}, total;dur={total:.3}");
        if let Ok(timing) = HeaderValue::from_str(&timing) {
            headers.insert(SERVER_TIMING, timing);
        }
        Self(headers)
    }
}

impl IntoResponseParts for AnswerHeaders {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.headers_mut().extend(self.0);
        Ok(parts)
    }
}
