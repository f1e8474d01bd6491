//! A second model weighs what the first holds possible.

use std::path::{Path, PathBuf};

use corruptor::apply_edits;
use restorer::{
    LoadOptions, Reranking, Restoration, RestoreError, RestoreOptions, RestoreRequest, Restorer, load,
};

const TEXTS: [&str; 4] = [
    "The Presidnet shall from tiime to time give to the Congrqess information of the state of the Union.",
    "Call me Ishmael.",
    "It is a ttruth universally acknowlged, that a single man in posession of a good fortune.",
    "",
];

fn repository(dir: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(dir)
}

fn model(dir: &str, rerank: Option<(&str, f64)>) -> Result<Box<dyn Restorer>, RestoreError> {
    let rerank = rerank.map(|(judge, weight)| Reranking { judge: repository(judge), weight, candidates: 6 });
    load(&repository(dir), &LoadOptions { rerank, ..LoadOptions::default() })
}

fn restore(model: &dyn Restorer, min_confidence: f32) -> Vec<Restoration> {
    let options =
        RestoreOptions { min_confidence: Some(min_confidence), alternatives: 3, ..RestoreOptions::default() };
    let requests: Vec<_> =
        TEXTS.iter().map(|text| RestoreRequest::new(*text).with_options(options)).collect();
    model.restore(&requests).unwrap()
}

/// All that is said of a restoration holds of one that another model has weighed.
fn assert_sound(found: &[Restoration]) {
    for (text, restored) in TEXTS.iter().zip(found) {
        assert_eq!(apply_edits(text, &restored.edits).unwrap(), restored.text);
        assert!(restored.alternatives.len() <= 3);
        assert!(restored.alternatives.iter().all(|other| other.text != restored.text));
        assert!(restored.alternatives.windows(2).all(|two| two[0].probability >= two[1].probability));
        let all: f32 = restored.alternatives.iter().map(|other| other.probability).sum();
        assert!(all + restored.confidence < 1.0 + 1e-5, "{restored:?}");
        assert!(!restored.calibrated && !restored.text_calibrated);
    }
}

#[test]
fn without_weight_the_judge_changes_nothing() {
    for dir in ["models/tagger", "bench/models/llama"] {
        let own = restore(model(dir, None).unwrap().as_ref(), 0.0);
        let judged = restore(model(dir, Some(("models/default", 0.0))).unwrap().as_ref(), 0.0);
        assert_sound(&judged);
        for (own, judged) in own.iter().zip(&judged) {
            // The model writes edits that are right more often than not, one by one; together they can be less probable than without one.
            let best = own.alternatives.first().map(|other| &other.text);
            assert!(judged.text == own.text || Some(&judged.text) == best, "{own:?}\n{judged:?}");
        }
    }
}

#[test]
fn a_judge_with_much_weight_takes_what_it_finds_most_probable() {
    let judge = model("models/default", None).unwrap();
    let judged = model("models/tagger", Some(("models/default", 5.0))).unwrap();
    assert_ne!(judged.info().digest, model("models/tagger", None).unwrap().info().digest);
    assert!(judged.tokens(TEXTS[0]) > judge.tokens(TEXTS[0]));
    let found = restore(judged.as_ref(), 0.0);
    assert_sound(&found);
    assert!(found[0].text.contains("President") || found[0].text.contains("time to time"), "{:?}", found[0]);
    assert_eq!(found[1].text, TEXTS[1]);
    // Under a threshold that nothing reaches, the text is what it was.
    for (text, restored) in TEXTS.iter().zip(restore(judged.as_ref(), 1.1)) {
        assert_eq!((restored.text.as_str(), restored.edits.len()), (*text, 0));
    }
}

#[test]
fn what_cannot_weigh_says_so() {
    for (judge, weight, words) in [
        ("models/tagger", 0.5, "cannot weigh texts"),
        ("models/default", f64::NAN, "rerank weight"),
        ("models/nowhere", 0.5, "nowhere"),
    ] {
        let error = model("models/tagger", Some((judge, weight))).err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
    }
    let rerank = Some(Reranking { judge: repository("models/default"), weight: 0.5, candidates: 1 });
    let error = load(&repository("models/tagger"), &LoadOptions { rerank, ..LoadOptions::default() });
    assert!(error.err().unwrap().to_string().contains("from 2 to 64"));
}
