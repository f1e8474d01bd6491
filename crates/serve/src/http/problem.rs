//! Errors as RFC 9457 problem documents.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{ApiError, KindEntry};

/// Media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// What went wrong (RFC 9457), and what to do about it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// Path of the description of this kind of problem: `/problems/{name}`.
    pub r#type: String,
    /// What this kind of problem is.
    pub title: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// What was wrong in this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: &'static str,
    /// JSON pointer (RFC 6901) to the value that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pointer: Option<String>,
    /// Seconds after which trying again makes sense.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_after_seconds: Option<u64>,
}

impl From<&'static KindEntry> for ProblemBody {
    fn from(entry: &'static KindEntry) -> Self {
        Self {
            r#type: format!("/problems/{}", entry.name),
            title: entry.title,
            status: entry.status,
            detail: None,
            hint: entry.hint,
            pointer: None,
            retry_after_seconds: None,
        }
    }
}

impl From<&ApiError> for ProblemBody {
    fn from(error: &ApiError) -> Self {
        Self {
            detail: Some(error.detail.clone()),
            pointer: error.pointer.clone(),
            // Whole seconds; 0 would invite an immediate retry.
            retry_after_seconds: error.retry_after.map(|time| (time.as_secs_f64().ceil() as u64).max(1)),
            ..Self::from(error.kind.entry())
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = ProblemBody::from(&self);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        if let Some(seconds) = problem.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // For the log and the metrics around the routes.
        response.extensions_mut().insert(self);
        response
    }
}
