//! Errors as RFC 9457 problem documents.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::error::{ApiError, KindEntry};

/// Media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The members of a problem document: those of RFC 9457, then our own.
#[derive(Debug, Serialize)]
struct Problem<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    hint: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_seconds: Option<u64>,
}

/// The description of a kind, as `GET /problems/{name}` answers it.
pub(crate) fn describe(entry: &KindEntry) -> impl Serialize {
    Problem {
        r#type: type_of(entry),
        title: entry.title,
        status: entry.status,
        detail: None,
        hint: entry.hint,
        pointer: None,
        retry_after_seconds: None,
    }
}

fn type_of(entry: &KindEntry) -> String {
    format!("/problems/{}", entry.name)
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let entry = self.kind.entry();
        // Retry-After counts whole seconds; 0 would invite an immediate retry.
        let retry_after_seconds = self.retry_after.map(|time| (time.as_secs_f64().ceil() as u64).max(1));
        let problem = Problem {
            r#type: type_of(entry),
            title: entry.title,
            status: entry.status,
            detail: Some(&self.detail),
            hint: entry.hint,
            pointer: self.pointer.as_deref(),
            retry_after_seconds,
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let status = StatusCode::from_u16(entry.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        if let Some(seconds) = retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // For the log and the metrics around the routes.
        response.extensions_mut().insert(self);
        response
    }
}
