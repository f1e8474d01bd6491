//! What happens around every route: request id, log line, metrics.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderName, HeaderValue, Method},
    middleware::Next,
    response::Response,
};
use tracing::Instrument;

use crate::{error::ApiError, logging::trace_context::Traced, metrics};

/// Header with the id of the request: taken over from the client, or made here.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest request id taken over from a client, in bytes.
const LONGEST_ID: usize = 128;

/// Status that stands for a client that left before its answer.
const CLIENT_LEFT: u16 = 499;

/// The middleware around all routes.
pub(crate) async fn observe(request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let traced = Traced::begin(method_label(request.method()), &route, request.headers());
    let span = tracing::info_span!(
        parent: &traced.span,
        "request",
        id = id.to_str().unwrap_or_default(),
        trace_id = traced.id,
        method = %request.method(),
        path = request.uri().path(),
    );
    let mut outcome = Outcome {
        route,
        method: method_label(request.method()),
        status: CLIENT_LEFT,
        started: Instant::now(),
    };
    async {
        let mut response = next.run(request).await;
        outcome.status = response.status().as_u16();
        traced.end(outcome.status);
        outcome.log(&response);
        response.headers_mut().insert(REQUEST_ID, id);
        drop(outcome);
        response
    }
    .instrument(span)
    .await
}

/// Counts the request when it ends, answered or not.
struct Outcome {
    route: String,
    method: &'static str,
    status: u16,
    started: Instant,
}

impl Outcome {
    fn log(&self, response: &Response) {
        let seconds = self.started.elapsed().as_secs_f64();
        let status = self.status;
        match response.extensions().get::<ApiError>() {
            Some(error) if status == 500 => {
                tracing::error!(status, seconds, kind = error.kind.entry().name, %error, "answered");
            }
            Some(error) => {
                tracing::info!(status, seconds, kind = error.kind.entry().name, %error, "answered");
            }
            None => tracing::debug!(status, seconds, "answered"),
        }
        if let Some(error) = response.extensions().get::<ApiError>() {
            metrics::error(error.kind.entry().name);
        }
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        metrics::http(&self.route, self.method, self.status, self.started.elapsed());
    }
}

/// A method as a label: a client must not be able to make up new ones.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// The client's request id where it is printable and short, else a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let given = headers.get(REQUEST_ID);
    let usable = |id: &&HeaderValue| {
        let bytes = id.as_bytes();
        !bytes.is_empty() && bytes.len() <= LONGEST_ID && bytes.iter().all(u8::is_ascii_graphic)
    };
    given.filter(usable).cloned().unwrap_or_else(new_id)
}

fn new_id() -> HeaderValue {
    HeaderValue::from_str(&unique()).unwrap_or_else(|_never| HeaderValue::from_static("none"))
}

/// An id that this process gives once and another process hardly ever: time of the first one, process, count.
pub(crate) fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static START: std::sync::LazyLock<u128> = std::sync::LazyLock::new(|| {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
    });
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{:x}-{:x}-{count:x}", *START, std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id_for(given: &[u8]) -> HeaderValue {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_bytes(given).unwrap());
        request_id(&headers)
    }

    #[test]
    fn a_usable_id_is_kept_and_any_other_replaced() {
        assert_eq!(id_for(b"order-66"), "order-66");
        assert_ne!(id_for(b""), "");
        assert_ne!(id_for(b"two words"), "two words");
        assert_ne!(id_for("ü".as_bytes()).as_bytes(), "ü".as_bytes());
        assert!(id_for(&[b'a'; 129]).len() < 100);
        assert_ne!(new_id(), new_id());
    }
}
