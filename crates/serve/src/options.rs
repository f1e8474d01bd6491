//! The options of a restoration, from outside: checked once, typed from there on.

use std::ops::Range;

use corruptor::OffsetUnit;
use restorer::{Priority, RestoreOptions};
use serde_json::{Map, Value};

use crate::{
    error::{ApiError, Kind},
    http::body::type_name,
    list::list,
};

/// Keys of the options, wherever JSON carries them.
const OPTION_KEYS: [&str; 4] = ["min_confidence", "max_rounds", "alternatives", "priority"];

/// Most rounds that a request may ask for; a model stops by itself as soon as nothing changes.
pub const MAX_ROUNDS: usize = 16;

/// Most other originals that a request may ask for.
pub const MAX_ALTERNATIVES: usize = 16;

/// A value that no option takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionError {
    /// Not a probability.
    #[error("min_confidence is {0}; it is a probability, from 0 to 1")]
    MinConfidence(String),
    /// Not a number of rounds.
    #[error("max_rounds is {0}; it is a whole number from 1 to {MAX_ROUNDS}")]
    MaxRounds(String),
    /// Not a number of alternatives.
    #[error("alternatives is {0}; it is a whole number from 0 to {MAX_ALTERNATIVES}")]
    Alternatives(String),
    /// No priority.
    #[error("priority is {0}; it is \"interactive\" or \"bulk\"")]
    Priority(String),
    /// Not spans of a text.
    #[error(
        "{0}; spans are [start, end] in `offsets` of the text (bytes unless given), on character boundaries"
    )]
    Protected(String),
    /// No unit of offsets.
    #[error("offsets is {0}; it is \"bytes\", \"code_points\" or \"utf16\"")]
    Offsets(String),
}

/// Checks a confidence.
///
/// # Errors
///
/// Where it is not from 0 to 1.
pub fn min_confidence(value: f64) -> Result<f32, OptionError> {
    if (0.0..=1.0).contains(&value) {
        Ok(value as f32)
    } else {
        Err(OptionError::MinConfidence(value.to_string()))
    }
}

/// Checks a number of rounds.
///
/// # Errors
///
/// Where it is not from 1 to [`MAX_ROUNDS`].
pub fn max_rounds(value: u64) -> Result<usize, OptionError> {
    match usize::try_from(value) {
        Ok(rounds @ 1..=MAX_ROUNDS) => Ok(rounds),
        _ => Err(OptionError::MaxRounds(value.to_string())),
    }
}

/// Checks a number of alternatives.
///
/// # Errors
///
/// Where it is not from 0 to [`MAX_ALTERNATIVES`].
pub fn alternatives(value: u64) -> Result<usize, OptionError> {
    match usize::try_from(value) {
        Ok(most @ 0..=MAX_ALTERNATIVES) => Ok(most),
        _ => Err(OptionError::Alternatives(value.to_string())),
    }
}

/// Checks a span of `text` that no edit may touch.
///
/// # Errors
///
/// Where it is no range of characters of the text.
pub fn protected(text: &str, start: u64, end: u64, unit: OffsetUnit) -> Result<Range<usize>, OptionError> {
    let byte = |offset: u64| unit.to_byte(text, usize::try_from(offset).ok()?);
    match (byte(start), byte(end)) {
        (Some(start), Some(end)) if start <= end => Ok(start..end),
        _ => {
            let (length, name) = (unit.length(text), unit.name());
            let message = format!("[{start}, {end}] is no span of a text of {length} {name}");
            Err(OptionError::Protected(message))
        }
    }
}

/// Checks what offsets are to count.
///
/// # Errors
///
/// Where it is no known unit.
pub(crate) fn offset_unit(value: &Value) -> Result<OffsetUnit, ApiError> {
    let unit = value.as_str().and_then(OffsetUnit::of_name);
    unit.ok_or_else(|| invalid(&OptionError::Offsets(named(value)), "/offsets"))
}

/// [`alternatives`] from a command line.
///
/// # Errors
///
/// The message for the user, where `text` is no such number.
pub fn parse_alternatives(text: &str) -> Result<usize, OptionError> {
    let value = text.trim().parse().map_err(|_| OptionError::Alternatives(format!("`{text}`")))?;
    alternatives(value)
}

/// [`min_confidence`] from a command line.
///
/// # Errors
///
/// The message for the user, where `text` is no probability.
pub fn parse_min_confidence(text: &str) -> Result<f32, OptionError> {
    let value = text.trim().parse().map_err(|_| OptionError::MinConfidence(format!("`{text}`")))?;
    min_confidence(value)
}

/// [`max_rounds`] from a command line.
///
/// # Errors
///
/// The message for the user, where `text` is no such number.
pub fn parse_max_rounds(text: &str) -> Result<usize, OptionError> {
    let value = text.trim().parse().map_err(|_| OptionError::MaxRounds(format!("`{text}`")))?;
    max_rounds(value)
}

/// Takes the options out of a request's object; null stands for the model's own.
pub(crate) fn take_options(object: &mut Map<String, Value>) -> Result<RestoreOptions, ApiError> {
    let mut options = RestoreOptions::default();
    if let Some(value) = take(object, "min_confidence") {
        let number = value.as_f64().ok_or_else(|| OptionError::MinConfidence(shown(&value)));
        options.min_confidence =
            Some(number.and_then(min_confidence).map_err(|error| invalid(&error, "/min_confidence"))?);
    }
    if let Some(value) = take(object, "max_rounds") {
        let number = value.as_u64().ok_or_else(|| OptionError::MaxRounds(shown(&value)));
        options.max_rounds =
            Some(number.and_then(max_rounds).map_err(|error| invalid(&error, "/max_rounds"))?);
    }
    if let Some(value) = take(object, "alternatives") {
        let number = value.as_u64().ok_or_else(|| OptionError::Alternatives(shown(&value)));
        options.alternatives =
            number.and_then(alternatives).map_err(|error| invalid(&error, "/alternatives"))?;
    }
    if let Some(value) = take(object, "priority") {
        options.priority = match value.as_str() {
            Some("interactive") => Priority::Interactive,
            Some("bulk") => Priority::Bulk,
            _ => return Err(invalid(&OptionError::Priority(named(&value)), "/priority")),
        };
    }
    Ok(options)
}

/// The spans of `text` that a request protects, from a JSON array at `pointer`.
pub(crate) fn spans(
    value: &Value,
    text: &str,
    unit: OffsetUnit,
    pointer: &str,
) -> Result<Vec<Range<usize>>, ApiError> {
    let not_spans = |value: &Value| {
        let error =
            OptionError::Protected(format!("`protected` is {}, not an array of spans", type_name(value)));
        invalid(&error, pointer)
    };
    let spans = value.as_array().ok_or_else(|| not_spans(value))?;
    let span = |(index, span): (usize, &Value)| {
        let bounds = span.as_array().filter(|bounds| bounds.len() == 2);
        let bounds = bounds.and_then(|bounds| Some((bounds[0].as_u64()?, bounds[1].as_u64()?)));
        let found = match bounds {
            Some((start, end)) => protected(text, start, end, unit),
            None => Err(OptionError::Protected(format!("{span} is no span"))),
        };
        found.map_err(|error| invalid(&error, &format!("{pointer}/{index}")))
    };
    spans.iter().enumerate().map(span).collect()
}

/// An error for a key of `object` that is neither one of the route's `own` nor an option's, with the nearest of them.
pub(crate) fn refuse_unknown(object: &Map<String, Value>, own: &[&str]) -> Result<(), ApiError> {
    let known: Vec<&str> = own.iter().copied().chain(OPTION_KEYS).collect();
    let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) else { return Ok(()) };
    let detail = match corruptor::nearest_name(key, &known) {
        Some(meant) => format!("unknown key `{key}`; did you mean `{meant}`?"),
        None => format!("unknown key `{key}`; the keys are {}", list(known)),
    };
    let pointer = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
    Err(ApiError::new(Kind::InvalidRequest, detail).at(pointer))
}

fn take(object: &mut Map<String, Value>, key: &str) -> Option<Value> {
    object.remove(key).filter(|value| !value.is_null())
}

fn invalid(error: &OptionError, pointer: &str) -> ApiError {
    ApiError::new(Kind::InvalidRequest, error.to_string()).at(pointer)
}

/// A value for a message where a name is wanted.
fn named(value: &Value) -> String {
    value.as_str().map_or_else(|| shown(value), |name| format!("`{name}`"))
}

/// A value for a message: itself where it is short, else its type.
fn shown(value: &Value) -> String {
    match value {
        Value::Number(number) => number.to_string(),
        other => type_name(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(json: serde_json::Value) -> Result<RestoreOptions, ApiError> {
        let Value::Object(mut object) = json else { panic!("an object") };
        let options = take_options(&mut object)?;
        refuse_unknown(&object, &[])?;
        Ok(options)
    }

    #[test]
    fn options_are_taken_and_null_is_absent() {
        let given = serde_json::json!({"min_confidence": 0.5, "max_rounds": 2, "alternatives": 3, "priority": "bulk"});
        let expected = RestoreOptions {
            min_confidence: Some(0.5),
            max_rounds: Some(2),
            alternatives: 3,
            priority: Priority::Bulk,
        };
        assert_eq!(options(given).unwrap(), expected);
        let absent = options(serde_json::json!({"min_confidence": null})).unwrap();
        assert_eq!(absent, RestoreOptions::default());
    }

    #[test]
    fn values_out_of_range_and_unknown_keys_name_their_place() {
        for (json, pointer, words) in [
            (serde_json::json!({"min_confidence": 1.5}), "/min_confidence", "from 0 to 1"),
            (serde_json::json!({"min_confidence": "0.5"}), "/min_confidence", "a string"),
            (serde_json::json!({"max_rounds": 0}), "/max_rounds", "from 1 to 16"),
            (serde_json::json!({"max_rounds": 2.5}), "/max_rounds", "2.5"),
            (serde_json::json!({"max_round": 2}), "/max_round", "did you mean `max_rounds`?"),
            (
                serde_json::json!({"a/b": 2}),
                "/a~1b",
                "the keys are `min_confidence`, `max_rounds`, `alternatives` and `priority`",
            ),
            (
                serde_json::json!({"priority": "high"}),
                "/priority",
                "`high`; it is \"interactive\" or \"bulk\"",
            ),
            (serde_json::json!({"priority": 1}), "/priority", "priority is 1"),
            (serde_json::json!({"alternatives": 17}), "/alternatives", "from 0 to 16"),
        ] {
            let error = options(json.clone()).unwrap_err();
            assert_eq!(error.kind, Kind::InvalidRequest, "{json}");
            assert_eq!(error.pointer.as_deref(), Some(pointer), "{json}");
            assert!(error.detail.contains(words), "{json}: {}", error.detail);
        }
    }

    #[test]
    fn command_line_values_are_checked_alike() {
        assert_eq!(parse_min_confidence("0.25"), Ok(0.25));
        assert!(parse_min_confidence("NaN").is_err());
        assert!(parse_min_confidence("often").unwrap_err().to_string().contains("`often`"));
        assert_eq!(parse_max_rounds("3"), Ok(3));
        assert!(parse_max_rounds("17").is_err());
    }
}
