//! Spans of a text that no edit may touch.

use std::ops::Range;

use corruptor::OffsetUnit;
use serde_json::Value;

use super::values::whole;
use crate::{
    error::{ApiError, Kind},
    http::body::type_name,
};

/// The spans of each of `texts`: for `one` text an array of spans, for several as many arrays of them.
pub(super) fn protected(
    value: &Value,
    texts: &[String],
    one: bool,
    unit: OffsetUnit,
) -> Result<Vec<Vec<Range<usize>>>, ApiError> {
    if let ([text], true) = (texts, one) {
        return Ok(vec![spans(value, text, unit, "/protect")?]);
    }
    let Some(of_texts) = value.as_array().filter(|of_texts| of_texts.len() == texts.len()) else {
        let detail = format!("`protect` is not an array of {} arrays of spans, one a text", texts.len());
        return Err(invalid(detail, "/protect"));
    };
    let of_text = |(index, (value, text)): (usize, (&Value, &String))| {
        spans(value, text, unit, &format!("/protect/{index}"))
    };
    of_texts.iter().zip(texts).enumerate().map(of_text).collect()
}

/// The spans of `text` that a JSON array at `pointer` names.
fn spans(value: &Value, text: &str, unit: OffsetUnit, pointer: &str) -> Result<Vec<Range<usize>>, ApiError> {
    let Some(spans) = value.as_array() else {
        return Err(invalid(format!("`protect` is {}, not an array of spans", type_name(value)), pointer));
    };
    let span = |(index, span): (usize, &Value)| {
        let bounds = span.as_array().filter(|bounds| bounds.len() == 2);
        let number = |value: &Value| whole(value.as_number()?);
        let bounds = bounds.and_then(|bounds| Some((number(&bounds[0])?, number(&bounds[1])?)));
        let byte = |offset: u64| unit.to_byte(text, usize::try_from(offset).ok()?);
        match bounds.map(|(start, end)| (byte(start), byte(end))) {
            Some((Some(start), Some(end))) if start <= end => Ok(start..end),
            _ => {
                let (length, name) = (unit.length(text), unit.name());
                let detail = format!(
                    "{span} is no span of a text of {length} {name}s: spans are [start, end] in `offsets` of the text, on character boundaries"
                );
                Err(invalid(detail, &format!("{pointer}/{index}")))
            }
        }
    };
    spans.iter().enumerate().map(span).collect()
}

fn invalid(detail: String, pointer: &str) -> ApiError {
    ApiError::new(Kind::InvalidRequest, detail).at(pointer)
}
