//! What the values of records are, and what becomes of them.

#[cfg(feature = "avro")]
mod avro;
mod table;

use restorer::Restoration;
use serde_json::value::{RawValue, to_raw_value};
use tokio::runtime::Handle;

#[cfg(feature = "avro")]
use self::avro::{Avro, Message};
use self::table::{Known, Table};
use super::{
    StreamError,
    record::{ErrorKind, RecordError, own_header},
    settings::{Settings, ValueFormat},
};
use crate::{
    api::answer::EditBody,
    batch::{BatchSettings, RowResult},
    members::{Members, kind_of},
};

/// Names of the members that an answer adds to an object.
pub(super) const NEW_FIELDS: [&str; 4] = ["restored", "edits", "confidence", "model_digest"];

/// Reads values.
pub(super) struct Codec {
    kind: Kind,
    max_bytes: usize,
}

/// What values are.
enum Kind {
    Text,
    Json {
        field: String,
        overwrites: bool,
    },
    Arrow(BatchSettings),
    #[cfg(feature = "avro")]
    Avro(Box<Avro>),
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
    Table(Box<Table>),
    #[cfg(feature = "avro")]
    Message(Box<Message>),
}

/// Why a value was not read.
#[derive(Debug)]
pub(super) enum Unparsed {
    /// The record is a dead letter.
    Record(RecordError),
    /// It may be read later.
    #[cfg_attr(not(feature = "avro"), expect(dead_code, reason = "the rest asks nobody"))]
    Later(StreamError),
    /// None will be read.
    #[cfg_attr(not(feature = "avro"), expect(dead_code, reason = "the rest asks nobody"))]
    Never(StreamError),
}

impl From<RecordError> for Unparsed {
    fn from(error: RecordError) -> Self {
        Self::Record(error)
    }
}

/// What is written of a restored record.
#[derive(Debug, PartialEq)]
pub(super) struct Encoded {
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Codec {
    /// For what `settings` says.
    ///
    /// # Errors
    ///
    /// Of a registry of schemas, which is asked on `runtime`.
    #[cfg_attr(
        not(feature = "avro"),
        expect(clippy::unnecessary_wraps, unused_variables, reason = "the rest asks nobody")
    )]
    pub(super) fn new(settings: &Settings, runtime: &Handle) -> Result<Self, StreamError> {
        let max_bytes = settings.max_value_bytes;
        let kind = match &settings.format {
            ValueFormat::Text => Kind::Text,
            ValueFormat::Json { field, overwrites } => {
                Kind::Json { field: field.clone(), overwrites: *overwrites }
            }
            ValueFormat::Arrow(columns) => Kind::Arrow(columns.clone()),
            #[cfg(feature = "avro")]
            ValueFormat::Avro { field, overwrites, registry } => {
                Kind::Avro(Box::new(Avro::new(registry, (field, *overwrites), &settings.output, runtime)?))
            }
        };
        Ok(Self { kind, max_bytes })
    }

    /// Reads a value. It blocks where a registry has to be asked.
    pub(super) fn parse(&self, value: Option<&[u8]>) -> Result<Parsed, Unparsed> {
        let Some(value) = value else { return Ok(Parsed::Null) };
        if value.len() > self.max_bytes {
            let message =
                format!("the value has {} bytes; at most {} are taken", value.len(), self.max_bytes);
            return Err(RecordError::new(ErrorKind::TooLarge, message).into());
        }
        Ok(match &self.kind {
            Kind::Text => Parsed::Text(utf8(value)?.to_owned()),
            Kind::Json { field, overwrites } => object(utf8(value)?, field, *overwrites)?,
            Kind::Arrow(settings) => Parsed::Table(Box::new(Table::parse(value, settings, self.max_bytes)?)),
            #[cfg(feature = "avro")]
            Kind::Avro(avro) => Parsed::Message(Box::new(avro.parse(value)?)),
        })
    }
}

/// A JSON object with a text at `field`.
fn object(text: &str, field: &str, overwrites: bool) -> Result<Parsed, RecordError> {
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

fn utf8(value: &[u8]) -> Result<&str, RecordError> {
    std::str::from_utf8(value).map_err(|error| {
        let message = format!("the value is no UTF-8: byte {} starts no character", error.valid_up_to());
        RecordError::new(ErrorKind::InvalidUtf8, message)
    })
}

/// The text that `pointer` leads to; none where it is null.
fn text_at(members: &Members<Box<RawValue>>, pointer: &str) -> Result<Option<String>, RecordError> {
    let missing = || RecordError::new(ErrorKind::NoField, format!("the object has no field `{pointer}`"));
    let path = pointer.strip_prefix('/').ok_or_else(missing)?;
    let (first, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    let first = unescaped(first);
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

/// A part of a JSON pointer, as names of members have it.
fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

impl Parsed {
    /// The texts to restore, with those that are null.
    pub(super) fn texts(&self) -> Vec<Option<&str>> {
        match self {
            Self::Null => Vec::new(),
            Self::Text(text) => vec![Some(text)],
            Self::Object { text, .. } => vec![text.as_deref()],
            Self::Table(table) => table.texts.iter().map(Option::as_deref).collect(),
            #[cfg(feature = "avro")]
            Self::Message(message) => vec![message.text.as_deref()],
        }
    }

    /// The answer: `results` are of [`Parsed::texts`], by the model of this digest. A table has a column for what failed;
    /// elsewhere it is an error, after so many `attempts`.
    pub(super) fn encode(
        &self,
        mut results: Vec<RowResult>,
        attempts: u32,
        digest: &str,
    ) -> Result<Encoded, RecordError> {
        let digest_header = own_header("model-digest", digest);
        if let Self::Table(table) = self {
            let value = table.encode(&Known::new(results))?;
            return Ok(Encoded { value: Some(value), headers: vec![digest_header] });
        }
        let restoration = results.pop().flatten().transpose();
        let restoration = restoration.map_err(|error| RecordError::of_text(&error, attempts))?;
        Ok(match self {
            Self::Null | Self::Table(_) => Encoded { value: None, headers: Vec::new() },
            Self::Text(text) => of_text(text, restoration, digest_header),
            Self::Object { members, .. } => Encoded {
                value: Some(of_object(members, restoration.as_ref(), digest)),
                headers: vec![digest_header],
            },
            #[cfg(feature = "avro")]
            Self::Message(message) => Encoded {
                value: Some(message.encode(restoration.as_ref(), digest)?),
                headers: vec![digest_header],
            },
        })
    }
}

/// The restored text, and the rest in headers.
fn of_text(text: &str, restoration: Option<Restoration>, digest: (String, Option<Vec<u8>>)) -> Encoded {
    let mut headers = vec![digest];
    let Some(restoration) = restoration else {
        return Encoded { value: Some(text.as_bytes().to_vec()), headers };
    };
    headers.push(own_header("confidence", &restoration.confidence));
    // Strings and numbers are always written.
    headers.push(own_header("edits", &serde_json::to_string(&edits(&restoration)).unwrap_or_default()));
    Encoded { value: Some(restoration.text.into_bytes()), headers }
}

/// The object with its new members.
fn of_object(members: &Members<Box<RawValue>>, restoration: Option<&Restoration>, digest: &str) -> Vec<u8> {
    let raw = |value: serde_json::Result<Box<RawValue>>| value.unwrap_or_else(|_| RawValue::NULL.to_owned());
    let [restored, all, confidence, model] = NEW_FIELDS;
    let new = [
        (restored, raw(to_raw_value(&restoration.map(|one| &one.text)))),
        (all, raw(to_raw_value(&restoration.map(edits)))),
        (confidence, raw(to_raw_value(&restoration.map(|one| one.confidence)))),
        (model, raw(to_raw_value(digest))),
    ];
    serde_json::to_vec(&members.with(&new)).unwrap_or_default()
}

fn edits(restoration: &Restoration) -> Vec<EditBody> {
    restoration.edits.iter().cloned().map(EditBody::from).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::{
        array::{ArrayRef, AsArray, Int64Array, RecordBatch, StringArray},
        ipc::{reader::StreamReader, writer::StreamWriter},
    };
    use corruptor::Edit;

    use super::*;
    use crate::{stream::restore::unchanged, text_error::TextError};

    fn codec(kind: Kind, max_bytes: usize) -> Codec {
        Codec { kind, max_bytes }
    }

    fn json(field: &str, overwrites: bool) -> Codec {
        codec(Kind::Json { field: field.to_owned(), overwrites }, 100)
    }

    fn restoration() -> Restoration {
        Restoration {
            edits: vec![Edit { start: 0, end: 1, replacement: "A".to_owned(), confidence: 0.5 }],
            confidence: 0.25,
            ..unchanged("Ab")
        }
    }

    fn value_of(parsed: &Parsed, result: RowResult) -> Vec<u8> {
        parsed.encode(vec![result], 1, "d").unwrap().value.unwrap()
    }

    fn kind(codec: &Codec, value: &[u8]) -> ErrorKind {
        match codec.parse(Some(value)) {
            Err(Unparsed::Record(error)) => error.kind,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_text_is_answered_by_a_text_and_headers() {
        let parsed = codec(Kind::Text, 2).parse(Some(b"ab")).unwrap();
        assert_eq!(parsed.texts(), [Some("ab")]);
        let encoded = parsed.encode(vec![Some(Ok(restoration()))], 1, "d").unwrap();
        assert_eq!(encoded.value.as_deref(), Some(&b"Ab"[..]));
        let edits = r#"[{"start":0,"end":1,"replacement":"A","confidence":0.5}]"#;
        let expected =
            [own_header("model-digest", "d"), own_header("confidence", &0.25), own_header("edits", edits)];
        assert_eq!(encoded.headers, expected);
        assert_eq!(kind(&codec(Kind::Text, 2), b"a\xff"), ErrorKind::InvalidUtf8);
        assert_eq!(kind(&codec(Kind::Text, 2), b"abc"), ErrorKind::TooLarge);
    }

    #[test]
    fn a_text_that_failed_is_an_error() {
        let parsed = codec(Kind::Text, 2).parse(Some(b"ab")).unwrap();
        let error = parsed.encode(vec![Some(Err(TextError::Panicked("p".to_owned())))], 3, "d").unwrap_err();
        assert_eq!((error.kind, error.attempts), (ErrorKind::Panicked, 3));
    }

    #[test]
    fn a_table_keeps_its_columns_and_says_what_failed() {
        let batch = RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef),
            ("corrupted", Arc::new(StringArray::from(vec![Some("ab"), None, Some("c")])) as ArrayRef),
        ])
        .unwrap();
        let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        let value = writer.into_inner().unwrap();
        let arrow = |settings| codec(Kind::Arrow(settings), 10_000);
        let parsed = arrow(BatchSettings::default()).parse(Some(&value)).unwrap();
        assert_eq!(parsed.texts(), [Some("ab"), None, Some("c")]);
        let failed = Some(Err(TextError::Refused("r".to_owned())));
        let encoded = parsed.encode(vec![Some(Ok(restoration())), None, failed], 1, "d").unwrap();
        assert_eq!(encoded.headers, [own_header("model-digest", "d")]);
        let written = encoded.value.unwrap();
        let restored: Vec<RecordBatch> =
            StreamReader::try_new(&written[..], None).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(restored.len(), 1);
        let texts = restored[0].column_by_name("restored").unwrap().as_string::<i32>();
        assert_eq!(texts.iter().collect::<Vec<_>>(), [Some("Ab"), None, None]);
        assert_eq!(restored[0].project(&[0, 1]).unwrap(), batch);
        assert!(restored[0].column_by_name("error").unwrap().as_string::<i32>().value(2).contains('r'));
        for wrong in [&value[..value.len() / 2], b"ab", b""] {
            assert_eq!(kind(&arrow(BatchSettings::default()), wrong), ErrorKind::InvalidArrow);
        }
        let other = arrow(BatchSettings { column: "n".to_owned(), ..BatchSettings::default() });
        assert_eq!(kind(&other, &value), ErrorKind::InvalidArrow);
    }

    #[test]
    fn a_tombstone_passes() {
        for codec in [codec(Kind::Text, 0), json("/text", false)] {
            let parsed = codec.parse(None).unwrap();
            assert!(parsed.texts().is_empty());
            let passed = Encoded { value: None, headers: Vec::new() };
            assert_eq!(parsed.encode(Vec::new(), 1, "d"), Ok(passed));
        }
    }

    #[test]
    fn an_object_keeps_its_members_as_they_are_written() {
        let value = br#"{"n": 1.50, "text": "ab", "x": {"t": ["q", "cd"]}, "null": null}"#;
        let parsed = json("/text", false).parse(Some(value)).unwrap();
        assert_eq!(parsed.texts(), [Some("ab")]);
        let written = String::from_utf8(value_of(&parsed, Some(Ok(restoration())))).unwrap();
        let expected = r#"{"n":1.50,"text":"ab","x":{"t": ["q", "cd"]},"null":null,"restored":"Ab","edits":[{"start":0,"end":1,"replacement":"A","confidence":0.5}],"confidence":0.25,"model_digest":"d"}"#;
        assert_eq!(written, expected);
        assert_eq!(json("/x/t/1", false).parse(Some(value)).unwrap().texts(), [Some("cd")]);
        let null = json("/null", false).parse(Some(value)).unwrap();
        assert_eq!(null.texts(), [None]);
        let written = String::from_utf8(value_of(&null, None)).unwrap();
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
        assert_eq!(json("/text", true).parse(Some(taken)).unwrap().texts(), [Some("a")]);
        assert_eq!(json("/a~1b", false).parse(Some(b"{\"a/b\": \"c\"}")).unwrap().texts(), [Some("c")]);
    }
}
