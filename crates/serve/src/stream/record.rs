//! A record as it was read, and why one is a dead letter.

use rdkafka::{
    Message,
    message::{BorrowedMessage, Header, Headers, OwnedHeaders},
};

use corruptor::guarded;

use super::ownership::Assignment;
use crate::text_error::TextError;

/// What begins the names of all headers of the stream.
const OWN: &str = "revertant-";

/// A record as it was read, less its value.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) partition: i32,
    pub(super) offset: i64,
    pub(super) assignment: Assignment,
    /// Milliseconds since 1970.
    pub(super) timestamp: Option<i64>,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    /// Those that are not the stream's own.
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
    /// Where it was read first, and how often it was tried before, where it is a dead letter.
    pub(super) origin: Option<Origin>,
}

/// Where a dead letter came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// Milliseconds since 1970.
    pub(super) timestamp: Option<i64>,
    pub(super) attempts: u32,
}

impl Record {
    /// A record of the input, or a dead letter, and whether its headers could be read: those that cannot are left out.
    pub(super) fn new(
        message: &BorrowedMessage<'_>,
        assignment: Assignment,
        is_dead_letter: bool,
    ) -> (Self, Result<(), RecordError>) {
        let (mut headers, mut own, mut all_read) = (Vec::new(), Vec::new(), Ok(()));
        let given = message.headers();
        for at in 0..given.map_or(0, Headers::count) {
            // The client panics where a name is no UTF-8.
            let Ok(Some(header)) = guarded(|| given.and_then(|given| given.try_get(at))) else {
                let reason = format!("the name of the header {at} is no UTF-8");
                all_read = Err(RecordError::new(ErrorKind::InvalidHeader, reason));
                continue;
            };
            let list = if header.key.starts_with(OWN) { &mut own } else { &mut headers };
            list.push((header.key.to_owned(), header.value.map(<[u8]>::to_vec)));
        }
        let record = Self {
            partition: message.partition(),
            offset: message.offset(),
            assignment,
            timestamp: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers,
            // What others write into such headers is not believed.
            origin: if is_dead_letter { Origin::of(&own) } else { None },
        };
        (record, all_read)
    }

    /// Bytes that it takes.
    pub(super) fn bytes(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + size(value.as_ref())).sum();
        size(self.key.as_ref()) + size(self.value.as_ref()) + headers
    }

    /// Its partition and its offset.
    pub(super) fn place(&self) -> (i32, i64) {
        (self.partition, self.offset)
    }

    /// Where it was read first.
    pub(super) fn first_read(&self, topic: &str) -> Origin {
        self.origin.clone().unwrap_or_else(|| Origin {
            topic: topic.to_owned(),
            partition: self.partition,
            offset: self.offset,
            timestamp: self.timestamp,
            attempts: 0,
        })
    }
}

fn size(bytes: Option<&Vec<u8>>) -> usize {
    bytes.map_or(0, Vec::len)
}

impl Origin {
    fn of(headers: &[(String, Option<Vec<u8>>)]) -> Option<Self> {
        let text = |name: &str| {
            let value =
                headers.iter().find(|(found, _)| found.strip_prefix(OWN) == Some(name))?.1.as_deref()?;
            std::str::from_utf8(value).ok()
        };
        Some(Self {
            topic: text("topic")?.to_owned(),
            partition: text("partition")?.parse().ok()?,
            offset: text("offset")?.parse().ok()?,
            timestamp: text("timestamp").and_then(|text| text.parse().ok()),
            attempts: text("attempts")?.parse().ok()?,
        })
    }

    /// As headers of a dead letter, which failed once more, after `attempts`.
    pub(super) fn headers(&self, error: &RecordError) -> Vec<(String, Option<Vec<u8>>)> {
        let mut headers = vec![
            own_header("topic", &self.topic),
            own_header("partition", &self.partition),
            own_header("offset", &self.offset),
        ];
        headers.extend(self.timestamp.map(|timestamp| own_header("timestamp", &timestamp)));
        headers.extend([
            own_header("error-kind", error.kind.name()),
            own_header("error", &error.message),
            own_header("attempts", &self.attempts.saturating_add(error.attempts)),
        ]);
        headers
    }
}

/// A header of the stream.
pub(super) fn own_header(name: &str, value: &(impl ToString + ?Sized)) -> (String, Option<Vec<u8>>) {
    (format!("{OWN}{name}"), Some(value.to_string().into_bytes()))
}

/// As the client takes them; none where there are none.
pub(super) fn owned<'h>(
    headers: impl Iterator<Item = &'h (String, Option<Vec<u8>>)>,
) -> Option<OwnedHeaders> {
    headers.fold(None, |all: Option<OwnedHeaders>, (key, value)| {
        let value = value.as_deref();
        Some(all.unwrap_or_default().insert(Header { key, value }))
    })
}

/// Why a record is a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ErrorKind {
    /// The name of a header is no UTF-8.
    InvalidHeader,
    /// The value is no UTF-8.
    InvalidUtf8,
    /// The value is no JSON object.
    InvalidJson,
    /// The value is no Arrow stream, or has not the columns.
    InvalidArrow,
    /// The value is not in Avro, or not of its schema.
    #[cfg(feature = "avro")]
    InvalidAvro,
    /// The registry has no such schema, or does not take that of the answer, or it is not one of a record.
    #[cfg(feature = "avro")]
    UnusableSchema,
    /// The object has no such field.
    NoField,
    /// The field is no string.
    NotText,
    /// The object has a field that an answer would replace.
    FieldTaken,
    /// The value is larger than allowed.
    TooLarge,
    /// The model cannot restore the text.
    Refused,
    /// The model panicked on the text.
    Panicked,
    /// The brokers do not take the restored record.
    Undeliverable,
}

impl ErrorKind {
    /// What headers and metrics call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InvalidHeader => "invalid-header",
            Self::InvalidUtf8 => "invalid-utf8",
            Self::InvalidJson => "invalid-json",
            Self::InvalidArrow => "invalid-arrow",
            #[cfg(feature = "avro")]
            Self::InvalidAvro => "invalid-avro",
            #[cfg(feature = "avro")]
            Self::UnusableSchema => "unusable-schema",
            Self::NoField => "no-field",
            Self::NotText => "not-text",
            Self::FieldTaken => "field-taken",
            Self::TooLarge => "too-large",
            Self::Refused => "refused",
            Self::Panicked => "panicked",
            Self::Undeliverable => "undeliverable",
        }
    }
}

/// Why a record is a dead letter, in words too, and how often it was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RecordError {
    pub(super) kind: ErrorKind,
    pub(super) message: String,
    pub(super) attempts: u32,
}

impl RecordError {
    /// One that another attempt would meet as well.
    pub(super) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), attempts: 1 }
    }

    /// Of a text, after so many `attempts`.
    pub(super) fn of_text(error: &TextError, attempts: u32) -> Self {
        let kind = match error {
            TextError::Panicked(_) => ErrorKind::Panicked,
            TextError::Refused(_) | TextError::Late => ErrorKind::Refused,
        };
        Self { kind, message: error.to_string(), attempts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_says_where_it_came_from_and_how_often_it_was_tried() {
        let first =
            Origin { topic: "in".to_owned(), partition: 3, offset: 17, timestamp: Some(5), attempts: 0 };
        let error = RecordError::new(ErrorKind::NoField, "no field `/text`");
        let headers = first.headers(&error);
        assert_eq!(Origin::of(&headers), Some(Origin { attempts: 1, ..first.clone() }));
        let again = Origin::of(&headers).unwrap().headers(&RecordError { attempts: 2, ..error });
        assert_eq!(Origin::of(&again), Some(Origin { attempts: 3, ..first }));
        assert!(again.contains(&own_header("error-kind", "no-field")));
        assert_eq!(Origin::of(&headers[1..]), None);
    }
}
