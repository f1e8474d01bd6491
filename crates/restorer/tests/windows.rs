//! A long text in windows is what it is as a whole.

use std::path::Path;

use corruptor::{Channel, CorruptSettings, Edit, RecordStream};
use restorer::{LoadOptions, Restoration, RestoreRequest, load};

/// Prose that is nowhere the same.
const TEXT: &str = include_str!("../../../LICENSE-APACHE");

fn restore(dir: &str, text: &str, window: Option<(usize, usize)>) -> Restoration {
    let options = LoadOptions {
        window_bytes: window.map(|(window, _)| window),
        overlap_bytes: window.map(|(_, overlap)| overlap),
        ..LoadOptions::default()
    };
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(dir);
    load(&dir, &options).unwrap().restore(&[RestoreRequest::new(text)]).unwrap().remove(0)
}

/// Characters of edits that only one of the two makes.
fn apart(one: &Restoration, other: &Restoration) -> usize {
    let missing = |of: &Restoration, from: &Restoration| {
        let is_there = |edit: &Edit| {
            from.edits.iter().any(|known| {
                (known.start, known.end, &known.replacement) == (edit.start, edit.end, &edit.replacement)
            })
        };
        let alone = of.edits.iter().filter(|edit| !is_there(edit));
        alone.map(|edit| (edit.end - edit.start).max(edit.replacement.len())).sum::<usize>()
    };
    missing(one, other) + missing(other, one)
}

/// Of a thousand characters, at most `per_mille` are others than with `reference` windows.
fn assert_agrees(dir: &str, reference: (usize, usize), per_mille: usize) {
    let channel = Channel::new(&CorruptSettings::default()).unwrap();
    let mut stream = RecordStream::for_purpose(3, "windows");
    let text = channel.corrupt(&TEXT[..9000], 1, &mut stream).text;
    let whole = restore(dir, &text, Some(reference));
    let found = restore(dir, &text, None);
    assert!(whole.edits.len() > 5, "{dir} changes nothing");
    let apart = apart(&found, &whole);
    assert!(apart * 1000 <= per_mille * text.len(), "{dir}: {apart} of {} characters differ", text.len());
}

/// It sees all of a window, and has learned from windows of this size: more context is the nearest to the whole.
#[test]
fn of_the_tagger() {
    assert_agrees("models/tagger", (512, 192), 8);
}

#[test]
fn of_channel_decoding() {
    assert_agrees("models/default", (1 << 16, 0), 2);
}
