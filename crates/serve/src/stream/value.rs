//! What the values of records are, and what becomes of them.

use restorer::Restoration;
use serde_json::value::{RawValue, to_raw_value};

use super::record::{ErrorKind, RecordError, own_header};
use crate::{
    api::answer::EditBody,
    members::{Members, kind_of},
};

/// Names of the members that an answer adds to an object.
pub(super) const NEW_FIELDS: [&str; 4] = ["restored", "edits", "confidence", "model_digest"];

/// What the values of records are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueFormat {
    /// Text in UTF-8; the answer is the restored text, and the rest stands in headers.
    Text,
    /// A JSON object; the answer is the object with more members.
    Json {
        /// JSON pointer (RFC 6901) to the text.
        field: String,
        /// Whether members of the names of the new ones are replaced.
        overwrites: bool,
    },
}

/// A value, read.
#[derive(Debug)]
pub(super) enum Parsed {
    /// There is nothing to restore: a tombstone.
    Null,
    Text(String),
    Object {
        members: Members<Box<RawValue>>,
        text: Option<String>,
    },
}

/// What is written of a restored record.
#[derive(Debug, PartialEq)]
pub(super) struct Encoded {
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl ValueFormat {
    /// Reads a value of at most `max_bytes`.
    pub(super) fn parse(&self, value: Option<&[u8]>, max_bytes: usize) -> Result<Parsed, RecordError> {
        let Some(value) = value else { return Ok(Parsed::Null) };
        if value.len() > max_bytes {
            let message = format!("the value has {} bytes; at most {max_bytes} are taken", value.len());
            return Err(RecordError::new(ErrorKind::TooLarge, message));
        }
        let text = std::str::from_utf8(value).map_err(|error| {
            let message = format!("the value is no UTF-8: byte {} starts no character", error.valid_up_to());
            RecordError::new(ErrorKind::InvalidUtf8, message)
        })?;
        match self {
            Self::Text => Ok(Parsed::Text(text.to_owned())),
            Self::Json { field, overwrites } => {
                let members: Members<Box<RawValue>> = serde_json::from_str(text).map_err(|error| {
                    RecordError::new(ErrorKind::InvalidJson, format!("the value is no JSON object: {error}"))
                })?;
                let taken = members.0.iter().find(|(name, _)| NEW_FIELDS.contains(&name.as_str()));
                if let (false, Some((name, _))) = (overwrites, taken) {
                    let message = format!("the object has a member `{name}` already");
                    return Err(RecordError::new(ErrorKind::FieldTaken, message));
                }
                let text = text_at(&members, field)?;
                Ok(Parsed::Object { members, text })
            }
        }
    }
}

/// The text that `pointer` leads to; none where it is null.
fn text_at(members: &Members<Box<RawValue>>, pointer: &str) -> Result<Option<String>, RecordError> {
    let missing = || RecordError::new(ErrorKind::NoField, format!("the object has no field `{pointer}`"));
    let path = pointer.strip_prefix('/').ok_or_else(missing)?;
    let (first, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    let first = first.replace("~1", "/").replace("~0", "~");
    let mut found = members.0.iter().filter(|(name, _)| *name == first);
    let (_, value) = found.next().ok_or_else(missing)?;
    if found.next().is_some() {
        let message = format!("the object has the member `{first}` twice");
        return Err(RecordError::new(ErrorKind::InvalidJson, message));
    }
    let inner;
    let value: &RawValue = if rest.is_empty() {
        value
    } else {
        let tree: serde_json::Value = serde_json::from_str(value.get()).map_err(|_| missing())?;
        inner = to_raw_value(tree.pointer(rest).ok_or_else(missing)?).map_err(|_| missing())?;
        &inner
    };
    let not_text = |kind: &str| {
        RecordError::new(ErrorKind::NotText, format!("the field `{pointer}` is {kind}, not a string"))
    };
    match kind_of(value) {
        "a string" => {
            serde_json::from_str(value.get()).map(Some).map_err(|_| not_text("half a surrogate pair"))
        }
        "null" => Ok(None),
        kind => Err(not_text(kind)),
    }
}

impl Parsed {
    /// The text to restore.
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Null => None,
            Self::Text(text) => Some(text),
            Self::Object { text, .. } => text.as_deref(),
        }
    }

    /// The answer: `restoration` is of [`Parsed::text`], by the model of this digest.
    pub(super) fn encode(&self, restoration: Option<&Restoration>, digest: &str) -> Encoded {
        let mut headers = Vec::new();
        let edits = |restoration: &Restoration| -> Vec<EditBody> {
            restoration.edits.iter().cloned().map(EditBody::from).collect()
        };
        let value = match self {
            Self::Null => None,
            Self::Text(text) => {
                headers.push(own_header("model-digest", digest));
                if let Some(restoration) = restoration {
                    headers.push(own_header("confidence", &restoration.confidence));
                    // Strings and numbers are always written.
                    let edits = serde_json::to_string(&edits(restoration)).unwrap_or_default();
                    headers.push(own_header("edits", &edits));
                }
                Some(restoration.map_or(text, |restoration| &restoration.text).clone().into_bytes())
            }
            Self::Object { members, .. } => {
                headers.push(own_header("model-digest", digest));
                let raw = |value: serde_json::Result<Box<RawValue>>| {
                    value.unwrap_or_else(|_| RawValue::NULL.to_owned())
                };
                let [restored, all, confidence, model] = NEW_FIELDS;
                let new = [
                    (restored, raw(to_raw_value(&restoration.map(|one| &one.text)))),
                    (all, raw(to_raw_value(&restoration.map(edits)))),
                    (confidence, raw(to_raw_value(&restoration.map(|one| one.confidence)))),
                    (model, raw(to_raw_value(digest))),
                ];
                Some(serde_json::to_vec(&members.with(&new)).unwrap_or_default())
            }
        };
        Encoded { value, headers }
    }
}

#[cfg(test)]
mod tests {
    use corruptor::Edit;

    use super::*;
    use crate::stream::restore::unchanged;

    fn json(field: &str, overwrites: bool) -> ValueFormat {
        ValueFormat::Json { field: field.to_owned(), overwrites }
    }

    fn restoration() -> Restoration {
        Restoration {
            edits: vec![Edit { start: 0, end: 1, replacement: "A".to_owned(), confidence: 0.5 }],
            confidence: 0.25,
            ..unchanged("Ab")
        }
    }

    fn kind(format: &ValueFormat, value: &[u8]) -> ErrorKind {
        format.parse(Some(value), 100).unwrap_err().kind
    }

    #[test]
    fn a_text_is_answered_by_a_text_and_headers() {
        let parsed = ValueFormat::Text.parse(Some(b"ab"), 2).unwrap();
        assert_eq!(parsed.text(), Some("ab"));
        let encoded = parsed.encode(Some(&restoration()), "d");
        assert_eq!(encoded.value.as_deref(), Some(&b"Ab"[..]));
        let edits = r#"[{"start":0,"end":1,"replacement":"A","confidence":0.5}]"#;
        let expected =
            [own_header("model-digest", "d"), own_header("confidence", &0.25), own_header("edits", edits)];
        assert_eq!(encoded.headers, expected);
        assert_eq!(kind(&ValueFormat::Text, b"a\xff"), ErrorKind::InvalidUtf8);
        assert_eq!(ValueFormat::Text.parse(Some(b"abc"), 2).unwrap_err().kind, ErrorKind::TooLarge);
    }

    #[test]
    fn a_tombstone_passes() {
        for format in [ValueFormat::Text, json("/text", false)] {
            let parsed = format.parse(None, 0).unwrap();
            assert_eq!(parsed.text(), None);
            assert_eq!(parsed.encode(None, "d"), Encoded { value: None, headers: Vec::new() });
        }
    }

    #[test]
    fn an_object_keeps_its_members_as_they_are_written() {
        let value = br#"{"n": 1.50, "text": "ab", "x": {"t": ["q", "cd"]}, "null": null}"#;
        let parsed = json("/text", false).parse(Some(value), 100).unwrap();
        assert_eq!(parsed.text(), Some("ab"));
        let written = String::from_utf8(parsed.encode(Some(&restoration()), "d").value.unwrap()).unwrap();
        let expected = r#"{"n":1.50,"text":"ab","x":{"t": ["q", "cd"]},"null":null,"restored":"Ab","edits":[{"start":0,"end":1,"replacement":"A","confidence":0.5}],"confidence":0.25,"model_digest":"d"}"#;
        assert_eq!(written, expected);
        assert_eq!(json("/x/t/1", false).parse(Some(value), 100).unwrap().text(), Some("cd"));
        let null = json("/null", false).parse(Some(value), 100).unwrap();
        assert_eq!(null.text(), None);
        let written = String::from_utf8(null.encode(None, "d").value.unwrap()).unwrap();
        assert!(written.ends_with(r#""restored":null,"edits":null,"confidence":null,"model_digest":"d"}"#));
    }

    #[test]
    fn what_is_wrong_with_an_object_has_a_kind() {
        let text = json("/text", false);
        assert_eq!(kind(&text, b"{"), ErrorKind::InvalidJson);
        assert_eq!(kind(&text, b"[1]"), ErrorKind::InvalidJson);
        assert_eq!(kind(&text, b"{\"a\": 1}"), ErrorKind::NoField);
        assert_eq!(kind(&text, b"{\"text\": 1}"), ErrorKind::NotText);
        assert_eq!(kind(&text, b"{\"text\": \"a\", \"text\": \"b\"}"), ErrorKind::InvalidJson);
        assert_eq!(kind(&text, b"{\"text\": \"\\ud800\"}"), ErrorKind::NotText);
        assert_eq!(kind(&text, b"\xff"), ErrorKind::InvalidUtf8);
        assert_eq!(kind(&json("/a/b", false), b"{\"a\": {\"c\": 1}}"), ErrorKind::NoField);
        let taken = b"{\"text\": \"a\", \"edits\": 7}";
        assert_eq!(kind(&text, taken), ErrorKind::FieldTaken);
        assert_eq!(json("/text", true).parse(Some(taken), 100).unwrap().text(), Some("a"));
        assert_eq!(json("/a~1b", false).parse(Some(b"{\"a/b\": \"c\"}"), 100).unwrap().text(), Some("c"));
    }
}
