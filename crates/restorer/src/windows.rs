//! How a long text is cut: into cores, which are looked at with context on both sides.

use std::ops::Range;

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

impl WindowSize {
    /// Of channel decoding: much more than a prior remembers, and enough to tell the noise level.
    pub(crate) const CHANNEL: Self = Self { window_bytes: 2048, overlap_bytes: 128 };

    /// # Errors
    /// If a core has no room for a few characters.
    pub(crate) fn validate(self) -> Result<(), String> {
        let Self { window_bytes, overlap_bytes } = self;
        if overlap_bytes.saturating_mul(2).saturating_add(LEAST_CORE_BYTES) <= window_bytes {
            return Ok(());
        }
        Err(format!(
            "a window of {window_bytes} bytes with {overlap_bytes} of context on each side leaves less than {LEAST_CORE_BYTES}"
        ))
    }

    /// The cores of a text: all of it where it fits a window, else pieces that end after white space where they can.
    pub(crate) fn cores(self, text: &str) -> Vec<Range<usize>> {
        let size = if text.len() <= self.window_bytes {
            self.window_bytes
        } else {
            self.window_bytes - 2 * self.overlap_bytes
        };
        let mut cores = Vec::with_capacity(text.len() / size + 1);
        let mut start = 0;
        while start < text.len() || cores.is_empty() {
            let mut end = text.floor_char_boundary(start + size);
            if end < text.len() {
                let least = start + size * 3 / 4;
                let space = text[start..end].rfind(char::is_whitespace).map(|at| start + at + 1);
                end = space.filter(|&at| at >= least && text.is_char_boundary(at)).unwrap_or(end);
            }
            cores.push(start..end);
            start = end;
        }
        cores
    }

    /// A core with its context.
    pub(crate) fn window(self, text: &str, core: &Range<usize>) -> Range<usize> {
        let start = text.ceil_char_boundary(core.start.saturating_sub(self.overlap_bytes));
        start..text.floor_char_boundary(core.end + self.overlap_bytes)
    }
}
