//! Edits over a text: two rounds compose, and minimal edits do the same.
#![no_main]

use corruptor::{Edit, apply_edits, compose_edits, minimize_edits};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct AnyEdit {
    start: u16,
    length: u8,
    replacement: String,
}

fn edits(any: Vec<AnyEdit>) -> Vec<Edit> {
    let edit = |AnyEdit { start, length, replacement }: AnyEdit| {
        let start = usize::from(start);
        Edit { start, end: start + usize::from(length), replacement, confidence: 0.5 }
    };
    any.into_iter().map(edit).collect()
}

fuzz_target!(|input: (String, Vec<AnyEdit>, Vec<AnyEdit>)| {
    let (text, first, second) = (input.0, edits(input.1), edits(input.2));
    let middle = match apply_edits(&text, &first) {
        Ok(middle) => middle,
        Err(error) => return drop(error.to_string()),
    };
    let Ok(end) = apply_edits(&middle, &second) else { return };
    let composed = compose_edits(&middle, &first, &second);
    assert_eq!(apply_edits(&text, &composed).as_ref(), Ok(&end));
    assert_eq!(apply_edits(&text, &minimize_edits(&text, composed)).as_ref(), Ok(&end));
});
