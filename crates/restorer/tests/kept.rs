//! The models that are kept beside the benchmarks do what their cards say.

use std::path::{Path, PathBuf};

use restorer::LoadOptions;
use restorer::lm::{LanguageModel, LmPrior};
use restorer::prior::bits;

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
