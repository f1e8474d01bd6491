//! Alignments of two texts with a NUL between them: they replay and invert, and are as short as the distance says.
#![no_main]

use corruptor::{align, grapheme_count, grapheme_distance, invert, replay};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (original, corrupted) = input.split_once('\0').unwrap_or((input, ""));
    let events = align(original, corrupted);
    assert_eq!(replay(original, &events).as_deref(), Ok(corrupted));
    assert_eq!(invert(corrupted, &events).as_deref(), Ok(original));
    let cost =
        |event: &corruptor::Event| grapheme_count(&event.removed).max(grapheme_count(&event.replacement));
    assert_eq!(events.iter().map(cost).sum::<usize>(), grapheme_distance(original, corrupted));
});
