//! What no model expects: every text comes back, whole, with edits that replay.

use std::path::Path;

use corruptor::{apply_edits, is_grapheme_boundary};
use proptest::prelude::*;
use restorer::{LoadOptions, Restoration, RestoreOptions, RestoreRequest, Restorer, load};

const MODELS: [&str; 3] = ["models/tagger", "models/default", "bench/models/llama"];

fn model(dir: &str) -> Box<dyn Restorer> {
    load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(dir), &LoadOptions::default()).unwrap()
}

fn restore(model: &dyn Restorer, text: &str, min_confidence: f32) -> Restoration {
    let options = RestoreOptions {
        min_confidence: Some(min_confidence),
        alternatives: usize::from(text.len() < 40),
        ..RestoreOptions::default()
    };
    model.restore(&[RestoreRequest::new(text).with_options(options)]).unwrap().remove(0)
}

/// All that is promised of edits: sorted, apart, between graphemes, and the way from the input to the output.
fn assert_sound(text: &str, restored: &Restoration) {
    assert_eq!(apply_edits(text, &restored.edits).unwrap(), restored.text, "{text:?}");
    for edit in &restored.edits {
        let is_whole = is_grapheme_boundary(text, edit.start) && is_grapheme_boundary(text, edit.end);
        assert!(is_whole, "{edit:?} cuts a grapheme of {text:?}");
        assert!((0.0..=1.0).contains(&edit.confidence), "{edit:?}");
    }
    assert!(restored.edits.windows(2).all(|two| two[0].end <= two[1].start), "{:?}", restored.edits);
    assert!((0.0..=1.0).contains(&restored.confidence), "{text:?}: {}", restored.confidence);
    for other in &restored.alternatives {
        assert!((0.0..=1.0).contains(&other.probability), "{other:?}");
    }
}

#[test]
fn empty_blank_foreign_and_strange() {
    let spaces = " \t".repeat(300);
    let marks = format!("e{}", "\u{301}".repeat(400));
    let texts = [
        "",
        "a",
        "👩‍👩‍👧",
        "\u{301}",
        "   ",
        "\r\n\r\n",
        "\u{feff}\0\u{7f}\u{fffd}",
        "日本語のテキスト、誤りはない。",
        "Ελληνικά κείμενα και русский текст",
        "नमस्ते दुनिया",
        "line one\r\nline two  \n\ttabbed, with trailing spaces   ",
        &spaces,
        &marks,
    ];
    for dir in MODELS {
        let model = model(dir);
        for text in texts {
            assert_sound(text, &restore(model.as_ref(), text, 0.0));
            // With a threshold that nothing reaches, it is the same to the byte.
            let kept = restore(model.as_ref(), text, 1.5);
            assert_eq!((kept.text.as_str(), kept.edits.len()), (text, 0), "{dir}");
        }
    }
}

#[test]
fn much_text_without_a_space() {
    // Windows end between graphemes where there is no white space; nobody looks at all of it at once.
    for (dir, bytes) in
        [("models/tagger", 300_000), ("models/default", 20_000), ("bench/models/llama", 2_000)]
    {
        let text = "anequallylongword".repeat(bytes / 17);
        let restored = restore(model(dir).as_ref(), &text, 0.9);
        assert_sound(&text, &restored);
    }
}

#[test]
fn spans_that_overlap_or_lie_outside_are_kept_as_far_as_they_go() {
    let text = "tthe staate of thhe unionn";
    let options = RestoreOptions { min_confidence: Some(0.0), alternatives: 3, ..RestoreOptions::default() };
    for dir in MODELS {
        let request = RestoreRequest {
            protected: vec![0..11, 5..12, 90..100, 20..99, 7..7],
            ..RestoreRequest::new(text).with_options(options)
        };
        let restored = model(dir).restore(&[request]).unwrap().remove(0);
        assert_sound(text, &restored);
        for edit in &restored.edits {
            assert!(edit.start >= 12 && edit.end <= 20, "{dir}: {edit:?}");
        }
        for other in &restored.alternatives {
            let keeps = other.text.starts_with(&text[..12]) && other.text.ends_with(&text[20..]);
            assert!(keeps, "{dir}: {other:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn edits_of_arbitrary_texts_replay(
        text in "(\\PC|[a-z ]{1,9}|[\u{301}\u{200d}\r\n]|👩|🇩|가|ᄀ|ᅡ){0,60}",
        min_confidence in 0.0f32..1.0,
    ) {
        thread_local! {
            static TAGGER: Box<dyn Restorer> = model("models/tagger");
        }
        TAGGER.with(|model| assert_sound(&text, &restore(model.as_ref(), &text, min_confidence)));
    }
}
