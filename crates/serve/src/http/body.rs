//! Bodies: bounded in size and time, then JSON.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Request, header},
};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::{
    error::{ApiError, Kind},
    list::list,
};

use super::state::RequestLimits;

/// How long, and how far over the limit, a body is still read before the error is answered: a client that is
/// cut off while it sends often does not see the answer.
const LINGER: Duration = Duration::from_millis(500);

/// Reads the request's body as one JSON value.
///
/// # Errors
///
/// 415 for another content type, 413 over the limit, 408 too late, 400 not UTF-8 or not JSON, 422 not what `T` is.
pub(crate) async fn json<T: DeserializeOwned>(
    request: Request<Body>,
    limits: &RequestLimits,
) -> Result<T, ApiError> {
    let (parts, body) = request.into_parts();
    require_json(&parts.headers)?;
    typed(&read(body, &parts.headers, limits).await?)
}

/// Reads JSON into its type; what does not fit names its place.
pub(crate) fn typed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        ApiError::new(
            Kind::MalformedBody,
            format!("the body is not valid UTF-8: byte {at} starts no character"),
        )
    })?;
    let malformed = |error: &serde_json::Error| {
        ApiError::new(Kind::MalformedBody, format!("the body is not valid JSON: {error}"))
    };
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let pointer = pointer(error.path());
        let error = error.into_inner();
        if error.is_data() {
            ApiError::new(Kind::InvalidRequest, explained(&error.to_string())).at(pointer)
        } else {
            malformed(&error)
        }
    })?;
    json.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

/// The JSON pointer (RFC 6901) to a place.
fn pointer(path: &serde_path_to_error::Path) -> String {
    let part = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Segment::Enum { .. } | Segment::Unknown => String::new(),
    };
    path.iter().map(part).collect()
}

/// What serde says, with the nearest of the known keys where one was not known.
pub(crate) fn explained(said: &str) -> String {
    let said = said.rsplit_once(" at line ").map_or(said, |(said, _place)| said);
    let Some(rest) = said.strip_prefix("unknown field `") else { return said.to_owned() };
    let Some((key, known)) = rest.split_once("`, expected ") else { return said.to_owned() };
    let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
    match corruptor::nearest_name(key, &known) {
        Some(meant) => format!("unknown key `{key}`; did you mean `{meant}`?"),
        None => format!("unknown key `{key}`; the keys are {}", list(known)),
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
    let essence = essence(headers)?;
    if essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")) {
        return Ok(());
    }
    Err(ApiError::new(Kind::UnsupportedMediaType, format!("the content type is `{essence}`")))
}

/// The content type without its parameters, in lower case.
///
/// # Errors
///
/// 415 where there is none, and for a body in an encoding that is not undone.
pub(crate) fn essence(headers: &HeaderMap) -> Result<String, ApiError> {
    if let Some(encoding) = headers.get(header::CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
        let encoding = String::from_utf8_lossy(encoding.as_bytes());
        let detail = format!("the content encoding is `{encoding}`; bodies come as they are, or in gzip");
        return Err(ApiError::new(Kind::UnsupportedMediaType, detail));
    }
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Err(ApiError::new(Kind::UnsupportedMediaType, "the request has no Content-Type"));
    };
    let value = String::from_utf8_lossy(value.as_bytes());
    Ok(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
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

/// The next piece of a body; none after the last.
///
/// # Errors
///
/// 400 where the body breaks off, 408 where nothing comes for long.
pub(crate) async fn frame_in_time(
    body: &mut Body,
    limits: &RequestLimits,
) -> Result<Option<Bytes>, ApiError> {
    loop {
        match tokio::time::timeout(limits.body_time, body.frame()).await {
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => {
                return Err(ApiError::new(Kind::MalformedBody, format!("the body broke off: {error}")));
            }
            Err(_late) => {
                let detail = format!("nothing came for {:?}", limits.body_time);
                return Err(ApiError::new(Kind::BodyTimeout, detail));
            }
        }
    }
}

/// Reads on over a limit for a while, so that the client sees the answer.
pub(crate) async fn discard(body: &mut Body, most: usize) {
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
