//! Settings that depend on the corpus become numbers, which make the same pairs.

use corruptor::corpus::CorpusSettings;
use corruptor::generate::{GenerateOptions, generate};
use corruptor::inspect::{InspectOptions, SplitStatistics, inspect};
use corruptor::pairs::PairMetadata;
use corruptor::progress::unobserved;
use corruptor::{AlphabetChoice, CorruptSettings, Recipe};
use tempfile::tempdir;

use crate::helpers::{texts, tree, write_texts};

#[test]
fn a_target_error_rate_and_the_corpus_own_alphabet_are_resolved_first() {
    let home = tempdir().unwrap();
    let input = write_texts(&home.path().join("in.jsonl"), &texts(60));
    let settings = CorruptSettings {
        target_cer: Some(0.08),
        alphabet: AlphabetChoice::Corpus,
        copies: 3,
        ..CorruptSettings::default()
    };
    let options = GenerateOptions::new(vec![input], home.path().join("pairs"));
    generate(&CorpusSettings::default(), &settings, &options, &mut unobserved).unwrap();
    let inspection = inspect(&options.out, &InspectOptions::default(), &mut unobserved).unwrap();
    assert_eq!(inspection.bad_rows, 0, "{inspection}");
    let sum =
        |of: &dyn Fn(&SplitStatistics) -> f64| inspection.splits.iter().map(|(_, s)| of(s)).sum::<f64>();
    let cer = sum(&|s| s.cer * s.graphemes as f64) / sum(&|s| s.graphemes as f64);
    assert!((cer - 0.08).abs() < 0.001, "{cer}");
    let metadata = PairMetadata::read(&options.out.join("train/part-00000.parquet")).unwrap();
    let resolved: CorruptSettings =
        Recipe::parse(&metadata.recipe.unwrap(), "metadata").unwrap().table("corrupt").unwrap();
    assert!(resolved.is_resolved());
    // The resolved recipe makes the same pairs again.
    let again = GenerateOptions { out: home.path().join("again"), ..options.clone() };
    generate(&CorpusSettings::default(), &resolved, &again, &mut unobserved).unwrap();
    assert_eq!(tree(&again.out), tree(&options.out));
}
