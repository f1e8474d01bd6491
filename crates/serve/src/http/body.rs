//! Bodies: bounded in size and time, then JSON.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Request, header},
};
use http_body_util::BodyExt;
use serde_json::{Map, Value};

use crate::error::{ApiError, Kind};

use super::state::RequestLimits;

/// How long, and how far over the limit, a body is still read before the error is answered: a client that is
/// cut off while it sends often does not see the answer.
const LINGER: Duration = Duration::from_millis(500);

/// Reads the request's body as one JSON object.
///
/// # Errors
///
/// 415 for another content type, 413 over the limit, 408 too late, 400 not UTF-8 or not JSON, 422 not an object.
pub(crate) async fn json_object(
    request: Request<Body>,
    limits: &RequestLimits,
) -> Result<Map<String, Value>, ApiError> {
    let (parts, body) = request.into_parts();
    require_json(&parts.headers)?;
    let bytes = read(body, &parts.headers, limits).await?;
    let text = std::str::from_utf8(&bytes).map_err(|error| {
        let at = error.valid_up_to();
        ApiError::new(
            Kind::MalformedBody,
            format!("the body is not valid UTF-8: byte {at} starts no character"),
        )
    })?;
    let value: Value = serde_json::from_str(text).map_err(|error| {
        ApiError::new(Kind::MalformedBody, format!("the body is not valid JSON: {error}"))
    })?;
    match value {
        Value::Object(object) => Ok(object),
        other => {
            let detail = format!("the body is {}, not an object", type_name(&other));
            Err(ApiError::new(Kind::InvalidRequest, detail).at(""))
        }
    }
}

/// The JSON type of `value`, with its article.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let unsupported = |detail: String| Err(ApiError::new(Kind::UnsupportedMediaType, detail));
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return unsupported("the request has no Content-Type".to_owned());
    };
    let value = String::from_utf8_lossy(value.as_bytes());
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    unsupported(format!("the content type is `{essence}`"))
}

async fn read(body: Body, headers: &HeaderMap, limits: &RequestLimits) -> Result<Vec<u8>, ApiError> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let mut body = body;
    let mut bytes = Vec::new();
    let receive = async {
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                ApiError::new(Kind::MalformedBody, format!("the body broke off: {error}"))
            })?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > limits.body_bytes {
                return Ok(false);
            }
            bytes.extend_from_slice(&data);
        }
        Ok(true)
    };
    match tokio::time::timeout(limits.body_time, receive).await {
        Ok(Ok(true)) => Ok(bytes),
        Ok(Ok(false)) => {
            discard(&mut body, limits.body_bytes).await;
            let size = announced.map_or_else(|| "more".to_owned(), |length| format!("{length} bytes"));
            let detail = format!("the body has {size}; the limit is {} bytes", limits.body_bytes);
            Err(ApiError::new(Kind::TooLarge, detail))
        }
        Ok(Err(error)) => Err(error),
        Err(_late) => {
            let detail = format!("the body was not complete after {:?}", limits.body_time);
            Err(ApiError::new(Kind::BodyTimeout, detail))
        }
    }
}

async fn discard(body: &mut Body, most: usize) {
    let rest = async {
        let mut left = most;
        while let Some(Ok(frame)) = body.frame().await {
            let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { break };
            left = rest;
        }
    };
    // Whether the rest came or the time ended: the answer is the same.
    let _ended = tokio::time::timeout(LINGER, rest).await;
}
