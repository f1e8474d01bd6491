//! How a long text is cut: into cores, which are looked at with context on both sides.

use std::ops::Range;

use corruptor::is_grapheme_boundary;

/// Bytes of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowSize {
    /// Bytes of a window, context included.
    pub(crate) window_bytes: usize,
    /// Bytes of context on each side.
    pub(crate) overlap_bytes: usize,
}

/// Bytes between the contexts of a window, at least.
const LEAST_CORE_BYTES: usize = 16;
/// Bytes of a window, at most.
const MOST_WINDOW_BYTES: usize = 1 << 30;

impl WindowSize {
    /// Of channel decoding: much more than a prior remembers, and enough to tell the noise level.
    pub(crate) const CHANNEL: Self = Self { window_bytes: 2048, overlap_bytes: 128 };

    /// # Errors
    /// If a core has no room for a few characters.
    pub(crate) fn validate(self) -> Result<(), String> {
        let Self { window_bytes, overlap_bytes } = self;
        if window_bytes > MOST_WINDOW_BYTES {
            return Err(format!("a window of {window_bytes} bytes is more than {MOST_WINDOW_BYTES}"));
        }
        if overlap_bytes.saturating_mul(2).saturating_add(LEAST_CORE_BYTES) <= window_bytes {
            return Ok(());
        }
        Err(format!(
            "a window of {window_bytes} bytes with {overlap_bytes} of context on each side leaves less than {LEAST_CORE_BYTES}"
        ))
    }

    /// Bytes of the cores of a text of `length` bytes: all of it where it fits a window.
    fn core_bytes(self, length: usize) -> usize {
        if length <= self.window_bytes {
            self.window_bytes
        } else {
            self.window_bytes - 2 * self.overlap_bytes
        }
    }

    /// The core that begins at `start`: the rest of the text, or a piece of it that ends after white space where it can, and else
    /// between graphemes.
    pub(crate) fn core(self, text: &str, start: usize) -> Range<usize> {
        let size = self.core_bytes(text.len());
        let end = text.floor_char_boundary(start + size);
        if end == text.len() {
            return start..end;
        }
        let least = text.ceil_char_boundary(start + size * 3 / 4).min(end);
        let is_safe = |at: &usize| is_grapheme_boundary(text, *at);
        let after = |(at, char): (usize, char)| char.is_whitespace().then_some(least + at + char.len_utf8());
        let spaces = text[least..end].char_indices().rev().filter_map(after);
        let places = (least..=end).rev().filter(|at| text.is_char_boundary(*at));
        start..spaces.chain(places).find(is_safe).unwrap_or(end)
    }

    /// All cores of a text; an empty text has one.
    pub(crate) fn cores(self, text: &str) -> impl Iterator<Item = Range<usize>> {
        let next = move |core: &Range<usize>| (core.end < text.len()).then(|| self.core(text, core.end));
        std::iter::successors(Some(self.core(text, 0)), next)
    }

    /// How many cores on each side a window can reach into.
    pub(crate) fn reach(self) -> usize {
        1 + self.overlap_bytes.div_ceil((self.window_bytes - 2 * self.overlap_bytes) * 3 / 4)
    }

    /// A core with its context.
    pub(crate) fn window(self, text: &str, core: &Range<usize>) -> Range<usize> {
        let start = text.ceil_char_boundary(core.start.saturating_sub(self.overlap_bytes));
        start..text.floor_char_boundary(core.end + self.overlap_bytes)
    }
}
