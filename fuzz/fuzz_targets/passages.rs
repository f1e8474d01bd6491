//! Passages in a window that the first byte gives: in order, within the window, losing white space only.
#![no_main]

use corruptor::{grapheme_count, passages};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((window, text)) = input.split_first() else { return };
    let (window, Ok(text)) = (usize::from(*window) + 1, std::str::from_utf8(text)) else { return };
    let mut at = 0;
    for range in passages(text, window, 1) {
        assert!(text[at..range.start].trim().is_empty());
        assert!(range.len() <= window || grapheme_count(&text[range.clone()]) == 1);
        at = range.end;
    }
    assert!(text[at..].trim().is_empty());
});
