//! What becomes of a text does not depend on what else is restored with it, in which order, or on how many threads.

use std::path::Path;

use corruptor::{Channel, CorruptSettings, RecordStream};
use restorer::{LoadOptions, Restoration, RestoreOptions, RestoreRequest, Restorer, load};

const SENTENCES: [&str; 8] = [
    "The President shall from time to time give to the Congress information of the state of the Union.",
    "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife.",
    "Call me Ishmael.",
    "A transaction begins with BEGIN and ends with COMMIT; between them nobody else sees what was changed.",
    "He that dwelleth in the secret place of the most High shall abide under the shadow of the Almighty.",
    "If a value is borrowed, it cannot be moved while the borrow lasts.\nThe compiler says where it ends.",
    "Naïve façade, coöperation: 12 €, ½ of 24.",
    "I have the honour to report that the receipts of the year exceeded the expenditure by nine millions.",
];

/// Noisy texts, from a few bytes to several windows.
fn texts(count: usize) -> Vec<String> {
    let channel = Channel::new(&CorruptSettings::default()).unwrap();
    let mut stream = RecordStream::for_purpose(7, "invariance");
    (0..count)
        .map(|i| {
            let length = if i % 7 == 3 { 9 } else { 1 + i % 3 };
            let sentences: Vec<&str> = (0..length).map(|j| SENTENCES[(i + j) % SENTENCES.len()]).collect();
            channel.corrupt(&sentences.join(" "), i % 3, &mut stream).text
        })
        .collect()
}

fn model(dir: &str, threads: usize) -> Box<dyn Restorer> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(dir);
    load(&dir, &LoadOptions { threads: Some(threads), ..LoadOptions::default() }).unwrap()
}

fn restore(model: &dyn Restorer, texts: &[String]) -> Vec<Restoration> {
    let options = RestoreOptions { min_confidence: Some(0.2), ..RestoreOptions::default() };
    let requests: Vec<_> = texts.iter().map(|text| RestoreRequest::new(text).with_options(options)).collect();
    model.restore(&requests).unwrap()
}

/// All figures but the number of passes, which says what the work was shared with.
fn said(restoration: &Restoration) -> Restoration {
    Restoration { passes: 0, ..restoration.clone() }
}

fn assert_invariant(dir: &str, count: usize) {
    let texts = texts(count);
    let (one, two) = (model(dir, 1), model(dir, 2));
    let together = restore(one.as_ref(), &texts);
    assert!(together.iter().any(|restoration| !restoration.edits.is_empty()), "{dir} changes nothing");
    let assert_same = |found: &[Restoration], how: &str| {
        for (found, expected) in found.iter().zip(&together) {
            assert_eq!(said(found), said(expected), "{dir}, {how}");
        }
    };
    assert_same(&restore(two.as_ref(), &texts), "on two threads");
    let alone: Vec<_> =
        texts.iter().map(|text| restore(two.as_ref(), std::slice::from_ref(text)).remove(0)).collect();
    assert_same(&alone, "alone");
    let reversed: Vec<String> = texts.iter().rev().cloned().collect();
    let reversed: Vec<_> = restore(two.as_ref(), &reversed).into_iter().rev().collect();
    assert_same(&reversed, "in the other order");
}

#[test]
fn of_the_tagger() {
    assert_invariant("models/tagger", 64);
}

#[test]
fn of_channel_decoding() {
    assert_invariant("models/default", 64);
}

/// What a network is asked together with changes the last digits of its answers at most: texts and edits stay.
#[test]
fn of_channel_decoding_under_a_network() {
    let texts: Vec<String> =
        ["Call mee Ishmael.", "a good fortnue", "Whaat of the othhers?"].map(str::to_owned).into();
    let (one, two) = (model("bench/models/prior", 1), model("bench/models/prior", 2));
    let alone: Vec<_> =
        texts.iter().map(|text| restore(one.as_ref(), std::slice::from_ref(text)).remove(0)).collect();
    let together = restore(two.as_ref(), &texts);
    assert!(together.iter().any(|restoration| !restoration.edits.is_empty()));
    for (alone, together) in alone.iter().zip(&together) {
        assert_eq!(alone.text, together.text);
        assert!((alone.confidence - together.confidence).abs() < 1e-5);
        for (alone, together) in alone.edits.iter().zip(&together.edits) {
            assert_eq!(
                (alone.start, alone.end, &alone.replacement),
                (together.start, together.end, &together.replacement)
            );
            assert!((alone.confidence - together.confidence).abs() < 1e-5);
        }
    }
}

#[test]
fn of_an_autoregressive_model() {
    assert_invariant("bench/models/llama", 12);
}
