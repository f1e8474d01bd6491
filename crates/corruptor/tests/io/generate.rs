//! From documents to pairs: the same pairs whatever the threads and the files.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use corruptor::atomic::Existing;
use corruptor::corpus::CorpusSettings;
use corruptor::documents::SkipReason;
use corruptor::generate::{CerColumn, GenerateOptions, GenerateSummary, generate};
use corruptor::pairs::{PairMetadata, pair_files};
use corruptor::progress::unobserved;
use corruptor::{CorruptSettings, IoError, Pair, Split, invert, pair_id, replay, split_of};
use proptest::prelude::*;
use proptest::sample::Index;
use tempfile::tempdir;

use crate::helpers::{names, pairs_of, run, settings, texts, tree, write_texts};

/// Writes texts in consecutive files of several formats, cut at `cuts`.
fn write_cut(home: &Path, texts: &[String], cuts: &[usize]) -> Vec<PathBuf> {
    const NAMES: [&str; 5] = ["jsonl", "parquet", "csv.gz", "jsonl.zst", "parquet.zst"];
    fs::create_dir_all(home).unwrap();
    let bounds: Vec<_> = [&[0], cuts, &[texts.len()]].concat();
    let pieces = bounds.windows(2).enumerate().filter(|(_, cut)| cut[0] < cut[1]);
    pieces
        .map(|(i, cut)| {
            write_texts(&home.join(format!("{i}.{}", NAMES[i % NAMES.len()])), &texts[cut[0]..cut[1]])
        })
        .collect()
}

fn generated(home: &Path, name: &str, inputs: Vec<PathBuf>, threads: usize) -> (GenerateSummary, PathBuf) {
    let out = home.join(name);
    let options =
        GenerateOptions { threads: Some(threads), part_rows: 500, ..GenerateOptions::new(inputs, &out) };
    (run(&options).unwrap(), out)
}

fn by_id(pairs: Vec<Pair>) -> HashMap<u64, Pair> {
    let count = pairs.len();
    let map: HashMap<_, _> = pairs.into_iter().map(|pair| (pair.id, pair)).collect();
    assert_eq!(map.len(), count, "ids are unique");
    map
}

#[test]
fn threads_change_nothing() {
    let home = tempdir().unwrap();
    let inputs = write_cut(&home.path().join("in"), &texts(200), &[]);
    let (summary, one) = generated(home.path(), "one", inputs.clone(), 1);
    for threads in [2, 8] {
        let (other, out) = generated(home.path(), &threads.to_string(), inputs.clone(), threads);
        assert_eq!(summary, other);
        assert_eq!(tree(&one), tree(&out), "{threads} threads");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn any_split_into_files_gives_the_same_bytes_and_any_order_the_same_pairs(
        cuts in prop::collection::vec(any::<Index>(), 0..6),
        order in Just((0..7usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let home = tempdir().unwrap();
        let texts = texts(60);
        let (_, whole) = generated(home.path(), "whole", write_cut(&home.path().join("1"), &texts, &[]), 2);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(texts.len())).collect();
        cuts.sort_unstable();
        let files = write_cut(&home.path().join("2"), &texts, &cuts);
        let (_, cut) = generated(home.path(), "cut", files.clone(), 2);
        prop_assert_eq!(tree(&whole), tree(&cut));
        let shuffled = order.iter().filter_map(|i| files.get(*i)).cloned().collect();
        let (_, shuffled) = generated(home.path(), "shuffled", shuffled, 2);
        prop_assert_eq!(by_id(pairs_of(&whole)), by_id(pairs_of(&shuffled)));
    }
}

#[test]
fn every_pair_holds_and_stands_in_its_split() {
    let home = tempdir().unwrap();
    let all = texts(200);
    let (summary, out) =
        generated(home.path(), "pairs", write_cut(&home.path().join("in"), &all, &[70, 90]), 2);
    let (corpus, corrupt) = settings();
    let texts: HashMap<_, _> = all.iter().map(|text| (corruptor::document_id(text), text)).collect();
    let mut documents = HashSet::new();
    for (split, summary) in Split::ALL.into_iter().zip(summary.splits) {
        let copies = if split == Split::Train { corrupt.copies } else { corrupt.heldout_copies };
        let mut rows = 0;
        for pair in corruptor::pairs::read_pairs(&out.join(split.name())).unwrap() {
            let Pair { id, doc_id, source, start, copy, original, corrupted, events, cer, .. } =
                &pair.unwrap();
            let text = texts[doc_id];
            assert_eq!(split_of(text, corpus.shares()), split);
            assert_eq!(&text[*start as usize..][..original.len()], original);
            assert!(original.len() <= corpus.window_bytes && *copy < copies);
            assert_eq!(&replay(original, events).unwrap(), corrupted);
            assert_eq!(&invert(corrupted, events).unwrap(), original);
            assert!((cer - corruptor::cer(original, corrupted)).abs() < 1e-7);
            assert_eq!(
                *id,
                pair_id(&corruptor::Passage { source, doc_id, start: *start, text: original }, *copy)
            );
            documents.insert((split, doc_id.clone()));
            rows += 1;
        }
        assert_eq!((rows, u64::from(copies) * summary.passages), (summary.pairs, summary.pairs));
        assert!(summary.documents > 20 && summary.pairs > 200, "{split:?}: {summary:?}");
    }
    assert_eq!(documents.len(), 200);
}

#[test]
fn exact_duplicates_are_one_document() {
    let home = tempdir().unwrap();
    let once = write_cut(&home.path().join("1"), &texts(30), &[]);
    let twice = write_cut(&home.path().join("2"), &[texts(30), texts(30)].concat(), &[40]);
    let (_, first) = generated(home.path(), "once", once, 2);
    let (summary, second) = generated(home.path(), "twice", twice, 2);
    assert_eq!(summary.skips.count(SkipReason::Duplicate), 30);
    assert_eq!(tree(&first), tree(&second));
}

#[test]
fn parts_are_cut_by_rows_and_carry_the_resolved_recipe() {
    let home = tempdir().unwrap();
    let (summary, out) =
        generated(home.path(), "pairs", write_cut(&home.path().join("in"), &texts(200), &[]), 2);
    let files = pair_files(&out.join("train")).unwrap();
    assert_eq!(files.len() as u64, summary.splits[0].pairs.div_ceil(500));
    assert!(files[1].ends_with("part-00001.parquet"));
    let (corpus, corrupt) = settings();
    for file in files {
        let metadata = PairMetadata::read(&file).unwrap();
        assert_eq!(metadata, PairMetadata::of(&corpus, &corrupt).unwrap());
        assert_eq!((metadata.seed, metadata.version.as_str()), (Some(5), env!("CARGO_PKG_VERSION")));
        let recipe = metadata.recipe.unwrap();
        assert!(recipe.contains("[corrupt.deletion]") && recipe.contains("window_bytes = 120"));
        let bytes = fs::read(&file).unwrap();
        let home = home.path().to_str().unwrap().as_bytes();
        assert!(!bytes.windows(home.len()).any(|window| window == home), "no path in the data");
    }
}

#[test]
fn an_existing_output_stays_unless_it_may_be_replaced() {
    let home = tempdir().unwrap();
    let inputs = write_cut(&home.path().join("in"), &texts(30), &[]);
    let (_, out) = generated(home.path(), "pairs", inputs.clone(), 1);
    let before = tree(&out);
    let more = write_cut(&home.path().join("more"), &texts(50), &[]);
    let again = GenerateOptions { threads: Some(1), part_rows: 500, ..GenerateOptions::new(more, &out) };
    assert!(matches!(run(&again), Err(IoError::Exists { .. })));
    assert_eq!(tree(&out), before);
    run(&GenerateOptions { existing: Existing::Replace, ..again }).unwrap();
    assert_ne!(tree(&out), before);
    assert_eq!(names(home.path()), ["in", "more", "pairs"]);
}

#[test]
fn a_watcher_can_stop_the_work() {
    let home = tempdir().unwrap();
    let inputs = write_cut(&home.path().join("in"), &texts(30), &[]);
    let (corpus, corrupt) = settings();
    let options = GenerateOptions::new(inputs, home.path().join("pairs"));
    let stopped =
        corruptor::generate::generate(&corpus, &corrupt, &options, &mut |_| std::ops::ControlFlow::Break(()));
    assert!(matches!(stopped, Err(IoError::Stopped)));
    assert_eq!(names(home.path()), ["in"]);
}

#[test]
fn the_distance_can_be_left_out_and_nothing_else_changes() {
    let home = tempdir().unwrap();
    let inputs = write_cut(&home.path().join("in"), &texts(50), &[]);
    let (_, whole) = generated(home.path(), "whole", inputs.clone(), 2);
    let without = GenerateOptions::new(inputs, home.path().join("without"));
    run(&GenerateOptions { cer: CerColumn::NotMeasured, ..without.clone() }).unwrap();
    let (whole, without) = (pairs_of(&whole), pairs_of(&without.out));
    assert!(!whole.is_empty() && whole.len() == without.len());
    for (pair, other) in whole.into_iter().zip(without) {
        assert!(other.cer.is_nan());
        assert_eq!(Pair { cer: pair.cer, ..other }, pair);
    }
}

#[test]
fn documents_larger_than_what_is_read_ahead_are_made_too() {
    let home = tempdir().unwrap();
    let large =
        |number: usize| format!("Document {number}. {}", "It was a large document. ".repeat(1_500_000));
    let inputs = write_cut(&home.path().join("in"), &[large(1), texts(1)[0].clone(), large(2)], &[1]);
    let (corpus, corrupt) = settings();
    let corpus = CorpusSettings { window_bytes: 60_000, ..corpus };
    // The distance of passages as long as these is not what this is about.
    let options = GenerateOptions {
        cer: CerColumn::NotMeasured,
        ..GenerateOptions::new(inputs, home.path().join("pairs"))
    };
    let made = generate(
        &corpus,
        &CorruptSettings { copies: 1, heldout_copies: 1, ..corrupt },
        &options,
        &mut unobserved,
    );
    assert_eq!(made.unwrap().splits.iter().map(|split| split.documents).sum::<u64>(), 3);
}
