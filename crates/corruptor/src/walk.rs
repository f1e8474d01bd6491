//! One pass over an original: positions in, text and log out, in memory that is used again.

use crate::channel::AttemptCounts;
use crate::distance::grapheme_distance_within;
use crate::event::Event;
use crate::grapheme::{Positions, grapheme_count};
use crate::op::Op;

/// An event as places in the two texts: what stood there, and what stands there, are slices of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventSpan {
    /// The operation.
    pub op: Op,
    /// Byte offset in the original.
    pub start: u32,
    /// Bytes of the original that it concerns; 0 for an insertion.
    pub length: u32,
    /// Byte offset in the corrupted text.
    pub at: u32,
    /// Bytes that stand there in the corrupted text.
    pub emitted: u32,
}

impl EventSpan {
    /// What stood there in the original.
    pub fn removed<'t>(&self, original: &'t str) -> &'t str {
        &original[self.start as usize..(self.start + self.length) as usize]
    }

    /// What stands there in the corrupted text.
    pub fn replacement<'t>(&self, corrupted: &'t str) -> &'t str {
        &corrupted[self.at as usize..(self.at + self.emitted) as usize]
    }
}

/// Where a [`Channel`](crate::Channel) puts what it makes; used again from text to text, it stops allocating.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    text: String,
    events: Vec<EventSpan>,
    counts: AttemptCounts,
    /// Graphemes that events removed or put in, whichever are more, summed: no alignment needs more edits.
    edits: usize,
    bounds: Vec<u32>,
}

impl Workspace {
    /// The corrupted text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What changed it, in order.
    pub fn spans(&self) -> &[EventSpan] {
        &self.events
    }

    /// What was tried.
    pub fn counts(&self) -> &AttemptCounts {
        &self.counts
    }

    /// The log, with the texts of its events.
    pub fn events(&self, original: &str) -> Vec<Event> {
        let event = |span: &EventSpan| Event {
            op: span.op.into(),
            start: span.start,
            length: span.length,
            removed: span.removed(original).to_owned(),
            replacement: span.replacement(&self.text).to_owned(),
        };
        self.events.iter().map(event).collect()
    }

    /// [`grapheme_distance`](crate::grapheme_distance) of the text from its original, fast because the log bounds it.
    pub fn distance(&self, original: &str) -> usize {
        if self.events.is_empty() { 0 } else { grapheme_distance_within(original, &self.text, self.edits) }
    }

    /// [`cer`](crate::cer) of the text against its original.
    pub fn cer(&self, original: &str) -> f32 {
        self.distance(original) as f32 / grapheme_count(original).max(1) as f32
    }

    /// The corrupted text, taken out.
    pub fn into_text(self) -> String {
        self.text
    }

    /// Takes a text as it is.
    pub(crate) fn copy(&mut self, original: &str) {
        self.clear();
        self.text.push_str(original);
    }

    pub(crate) fn take_bounds(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.bounds)
    }

    pub(crate) fn return_bounds(&mut self, bounds: Vec<u32>) {
        self.bounds = bounds;
    }

    fn clear(&mut self) {
        self.text.clear();
        self.events.clear();
        self.counts = AttemptCounts::default();
        self.edits = 0;
    }
}

/// A pass over one original.
pub(crate) struct Walk<'w, 't, P> {
    original: &'t str,
    positions: P,
    copied_to: usize,
    /// Positions at which any operation could start.
    visited: u64,
    out: &'w mut Workspace,
}

impl<'w, 't, P: Positions> Walk<'w, 't, P> {
    pub(crate) fn new(out: &'w mut Workspace, original: &'t str, positions: P) -> Self {
        out.clear();
        out.text.reserve(original.len() + original.len() / 8);
        Self { original, positions, copied_to: 0, visited: 0, out }
    }

    /// The position after the last grapheme.
    pub(crate) fn end(&self) -> usize {
        self.positions.count()
    }

    /// The graphemes `from..to` as one slice.
    pub(crate) fn span(&self, from: usize, to: usize) -> &'t str {
        &self.original[self.positions.start(from)..self.positions.start(to)]
    }

    /// The graphemes `from..to`.
    pub(crate) fn graphemes(
        &self,
        from: usize,
        to: usize,
    ) -> impl DoubleEndedIterator<Item = &'t str> + use<'t, P> {
        self.positions.slices(self.original, from, to)
    }

    /// The graphemes from `from` on.
    pub(crate) fn graphemes_from(
        &self,
        from: usize,
    ) -> impl Iterator<Item = &'t str> + Clone + use<'_, 'w, 't, P> {
        (from..self.end()).map(|i| self.span(i, i + 1))
    }

    /// Counts the positions `from..=to` (`to` excluded where it is the end) as visited.
    pub(crate) fn visit(&mut self, from: usize, to: usize) {
        self.visited += (to + 1).min(self.end()).saturating_sub(from) as u64;
    }

    pub(crate) fn attempt(&mut self, op: Op, span: usize) {
        self.out.counts.attempted[op as usize] += 1;
        self.out.counts.span_graphemes[op as usize] += span as u64;
    }

    /// Copies up to `from`, lets `emit` append what stands for `from..to`, and logs it if that is a change.
    pub(crate) fn event(&mut self, op: Op, from: usize, to: usize, emit: impl FnOnce(&mut String)) {
        let (start, end) = (self.positions.start(from), self.positions.start(to));
        let text = &mut self.out.text;
        text.push_str(&self.original[self.copied_to..start]);
        let at = text.len();
        emit(text);
        self.copied_to = end;
        if text[at..] == self.original[start..end] {
            return;
        }
        let (length, emitted) = ((end - start) as u32, (text.len() - at) as u32);
        // A symbol has at least one byte, so the emitted bytes bound its graphemes.
        self.out.edits += (to - from).max(emitted as usize);
        self.out.events.push(EventSpan { op, start: start as u32, length, at: at as u32, emitted });
    }

    pub(crate) fn finish(self) -> P {
        self.out.text.push_str(&self.original[self.copied_to..]);
        self.out.counts.visited = [self.visited; 5];
        self.out.counts.visited[Op::Insertion as usize] += 1; // the end of the text
        self.positions
    }
}
