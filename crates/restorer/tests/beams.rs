//! How wide a model searches, with the models of this repository.

use std::path::Path;

use restorer::{Decoding, LoadOptions, Restoration, RestoreOptions, RestoreRequest, Restorer, load};

const TEXTS: [&str; 6] = [
    "The Presdent of the Untied States",
    "It was the bset of times",
    "whose wohle heart",
    "Cal me Ishmael.",
    "peace and and good will",
    "nothing is worng here",
];

fn model(dir: &str) -> Box<dyn Restorer> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(dir);
    load(&dir, &LoadOptions::default()).unwrap()
}

fn restored(model: &dyn Restorer, num_beams: Option<usize>, alternatives: usize) -> Vec<Restoration> {
    let options =
        RestoreOptions { min_confidence: Some(0.0), num_beams, alternatives, ..RestoreOptions::default() };
    let requests: Vec<_> = TEXTS.map(|text| RestoreRequest::new(text).with_options(options)).into();
    model.restore(&requests).unwrap()
}

fn texts(restored: &[Restoration]) -> Vec<&str> {
    restored.iter().map(|one| one.text.as_str()).collect()
}

#[test]
fn a_decoder_takes_the_most_probable_of_what_it_found() {
    let model = model("bench/models/llama");
    assert_eq!(model.info().decodings, [Decoding::Greedy, Decoding::Beam]);
    let greedy = restored(model.as_ref(), None, 0);
    assert_eq!(texts(&greedy), texts(&restored(model.as_ref(), Some(1), 0)));
    let wide = restored(model.as_ref(), Some(4), 3);
    for (found, input) in wide.iter().zip(TEXTS) {
        // What is left of the probability is the text's own.
        let own = 1.0 - found.alternatives.iter().map(|other| other.probability).sum::<f32>();
        assert!(!found.alternatives.is_empty(), "{input}");
        for other in &found.alternatives {
            assert!(own >= other.probability - 1e-4, "{input}: {own} {found:?}");
        }
    }
    // Naming others changes nothing about the text.
    assert_eq!(texts(&wide), texts(&restored(model.as_ref(), Some(4), 0)));
    let passes = |restored: &[Restoration]| restored.iter().map(|one| one.passes).sum::<usize>();
    assert!(passes(&wide) > passes(&greedy));
}

#[test]
fn a_prior_finds_less_in_a_narrow_search_and_a_tagger_does_not_search() {
    let prior = model("models/default");
    assert_eq!(prior.info().decodings, [Decoding::Channel]);
    let own = restored(prior.as_ref(), None, 0);
    assert_ne!(texts(&own), texts(&restored(prior.as_ref(), Some(1), 0)));
    assert_eq!(texts(&own), texts(&restored(prior.as_ref(), Some(256), 0)));
    let tagger = model("models/tagger");
    assert_eq!(tagger.info().decodings, [Decoding::Edits]);
    assert_eq!(restored(tagger.as_ref(), Some(9), 0), restored(tagger.as_ref(), None, 0));
}
