//! The models that are kept beside the benchmarks do what their cards say.

use std::path::{Path, PathBuf};

use corruptor::apply_edits;
use restorer::lm::{LanguageModel, LmPrior};
use restorer::prior::bits;
use restorer::{LoadOptions, RestoreOptions, RestoreRequest, Restorer as _};

const TEXT: &str =
    "The President shall from time to time give to the Congress information of the state of the Union.";

fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../bench/models").join(name)
}

#[test]
fn the_prior_prefers_prose() {
    let prior = LmPrior::new(LanguageModel::load(&kept("prior"), &LoadOptions::default()).unwrap()).unwrap();
    let reversed: String = TEXT.chars().rev().collect();
    let cost = |text: &str| bits(&prior, text) / text.len() as f64;
    assert!(cost(TEXT) < 2.0, "{} bits a byte", cost(TEXT));
    assert!(cost(&reversed) > 3.0, "{} bits a byte backwards", cost(&reversed));
}

#[test]
fn the_restorer_repairs_and_its_drafts_change_nothing() {
    let texts = [
        "The Presidet shall from time to time give to the Congresss information of the state of the Union.",
        "It is the duty of the governmnet to proteect the liberty of its citizens, at home and aboard.",
        TEXT,
    ];
    let requests = |min_confidence| {
        let options = RestoreOptions { min_confidence, ..RestoreOptions::default() };
        texts.map(|text| RestoreRequest::new(text).with_options(options))
    };
    let load = |no_drafts| {
        let options = LoadOptions { no_drafts, ..LoadOptions::default() };
        LanguageModel::load(&kept("llama"), &options).unwrap()
    };
    let (drafts, plain) = (load(false), load(true));
    let own = drafts.restore(&requests(None)).unwrap();
    assert!(own[0].calibrated);
    assert!(own[0].text.contains("Congress information"), "{:?}", own[0]);
    assert_eq!(own[2].text, TEXT);
    let repaired =
        "It is the duty of the government to protect the liberty of its citizens, at home and aboard.";
    let (all, one_by_one) =
        (drafts.restore(&requests(Some(0.0))).unwrap(), plain.restore(&requests(Some(0.0))).unwrap());
    assert_eq!(all[1].text, repaired);
    for ((found, expected), text) in all.iter().zip(&one_by_one).zip(texts) {
        assert_eq!(apply_edits(text, &found.edits).unwrap(), found.text);
        assert_eq!(found.text, expected.text);
        assert!(3 * found.passes < expected.passes, "{} passes of {}", found.passes, expected.passes);
    }
}
