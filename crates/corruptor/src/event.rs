//! Events: what happened to a text, exactly; replaying them corrupts, inverting them restores.

use serde::{Deserialize, Serialize};

use crate::edit::Edit;
use crate::op::EventOp;

/// One event over an original text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The channel's operation, or an edit of unknown cause.
    pub op: EventOp,
    /// Byte offset in the original.
    pub start: u32,
    /// Bytes of the original that it concerns; 0 for an insertion.
    pub length: u32,
    /// What stood there in the original.
    pub removed: String,
    /// What stands there in the corrupted text (for a duplication the span twice).
    pub replacement: String,
}

impl Event {
    /// The event as an edit of the text that it is over.
    pub fn into_edit(self, confidence: f32) -> Edit {
        let Self { start, length, replacement, .. } = self;
        Edit { start: start as usize, end: (start + length) as usize, replacement, confidence }
    }
}

/// Why a list of events does not fit a text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EventError {
    /// The name is none of [`Op::ALL`](crate::Op::ALL) and not `edit`.
    #[error(
        "unknown operation {0:?}: known are deletion, substitution, insertion, duplication, reversal and edit"
    )]
    UnknownOp(String),
    /// Events must be sorted by position and must not overlap.
    #[error("event {index} starts at byte {start}, before the end of its predecessor at byte {after}")]
    Order {
        /// Index of the event in the list.
        index: usize,
        /// Where it starts, in bytes.
        start: usize,
        /// Where its predecessor ends, in bytes.
        after: usize,
    },
    /// The text has other bytes where the event says what stood there.
    #[error("event {index} expects {expected:?} at byte {at}, but the text does not have it there")]
    Mismatch {
        /// Index of the event in the list.
        index: usize,
        /// Byte offset in the text that was walked.
        at: usize,
        /// What the event says stands there.
        expected: String,
    },
    /// `length` is not the number of bytes of `removed`.
    #[error("event {index} has length {length}, but removes {removed} bytes")]
    Length {
        /// Index of the event in the list.
        index: usize,
        /// The stated length in bytes.
        length: usize,
        /// The bytes of `removed`.
        removed: usize,
    },
}

/// Replays `events` over `original`, giving the corrupted text.
///
/// # Errors
/// If the events are unsorted, overlap, or do not match the text.
pub fn replay(original: &str, events: &[Event]) -> Result<String, EventError> {
    let mut out = String::with_capacity(original.len() + original.len() / 8);
    let mut at = 0;
    for (index, event) in events.iter().enumerate() {
        let start = ordered(index, event, at)?;
        out.push_str(expect(original, index, at, start, "")?);
        expect(original, index, start, start + event.removed.len(), &event.removed)?;
        out.push_str(&event.replacement);
        at = start + event.removed.len();
    }
    out.push_str(&original[at..]);
    Ok(out)
}

/// Inverts `events` over `corrupted`, giving the original text.
///
/// # Errors
/// If the events are unsorted, overlap, or do not match the text.
pub fn invert(corrupted: &str, events: &[Event]) -> Result<String, EventError> {
    let mut out = String::with_capacity(corrupted.len() + corrupted.len() / 8);
    let mut at = 0;
    let mut original_at = 0;
    for (index, event) in events.iter().enumerate() {
        let start = at + (ordered(index, event, original_at)? - original_at);
        out.push_str(expect(corrupted, index, at, start, "")?);
        expect(corrupted, index, start, start + event.replacement.len(), &event.replacement)?;
        out.push_str(&event.removed);
        at = start + event.replacement.len();
        original_at = event.start as usize + event.removed.len();
    }
    out.push_str(&corrupted[at..]);
    Ok(out)
}

fn ordered(index: usize, event: &Event, after: usize) -> Result<usize, EventError> {
    let (start, length, removed) = (event.start as usize, event.length as usize, event.removed.len());
    if length != removed {
        return Err(EventError::Length { index, length, removed });
    }
    if start < after {
        return Err(EventError::Order { index, start, after });
    }
    Ok(start)
}

/// The text in `from..to`, which must exist and, where `expected` is not empty, be it.
fn expect<'t>(
    text: &'t str,
    index: usize,
    from: usize,
    to: usize,
    expected: &str,
) -> Result<&'t str, EventError> {
    match text.get(from..to) {
        Some(found) if expected.is_empty() || found == expected => Ok(found),
        _ => Err(EventError::Mismatch { index, at: from, expected: expected.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Op;

    fn event(op: Op, start: u32, removed: &str, replacement: &str) -> Event {
        let (removed, replacement) = (removed.to_owned(), replacement.to_owned());
        Event { op: op.into(), start, length: removed.len() as u32, removed, replacement }
    }

    #[test]
    fn replay_and_invert_are_each_other() {
        let events = [
            event(Op::Deletion, 1, "el", ""),
            event(Op::Insertion, 5, "", "8%"),
            event(Op::Duplication, 5, " w", " w w"),
            event(Op::Reversal, 8, "rld", "dlr"),
        ];
        let corrupted = replay("hello world", &events).unwrap();
        assert_eq!(corrupted, "hlo8% w wodlr");
        assert_eq!(invert(&corrupted, &events).unwrap(), "hello world");
    }

    #[test]
    fn events_that_do_not_fit_are_named() {
        let wrong = [event(Op::Deletion, 1, "x", "")];
        assert!(matches!(replay("abc", &wrong), Err(EventError::Mismatch { index: 0, at: 1, .. })));
        let beyond = [event(Op::Insertion, 9, "", "x")];
        assert!(matches!(replay("abc", &beyond), Err(EventError::Mismatch { .. })));
        let crossed = [event(Op::Deletion, 1, "b", ""), event(Op::Deletion, 0, "a", "")];
        assert!(matches!(replay("abc", &crossed), Err(EventError::Order { index: 1, .. })));
    }
}
