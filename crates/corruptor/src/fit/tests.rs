//! What a fit must do: get better, find what there is, ignore the number of threads.

use std::path::Path;

use proptest::prelude::*;
use tempfile::tempdir;

use super::{Fit, FitOptions, fit_pairs};
use crate::alphabet::{AlphabetChoice, WeightedAlphabet};
use crate::channel::{AttemptCounts, Channel};
use crate::op::Op;
use crate::pair::{Pair, Passage};
use crate::pairs::{PairMetadata, PairWriter};
use crate::passage::passages;
use crate::progress::unobserved;
use crate::settings::{CorruptSettings, OpSettings};

const TEXT: &str = include_str!("../../benches/english.txt");

/// Corruptions of passages of English, as many as asked for, and what was tried.
fn pairs(settings: &CorruptSettings, count: usize) -> (Vec<Pair>, AttemptCounts) {
    let channel = Channel::new(settings).unwrap();
    let mut counts = AttemptCounts::default();
    let ranges: Vec<_> = passages(TEXT, 256, 16).collect();
    let pairs = (0..count).map(|k| {
        let range = ranges[k % ranges.len()].clone();
        let passage = Passage { source: "test", doc_id: "d", start: range.start as u64, text: &TEXT[range] };
        channel.pair_counted(&passage, (k / ranges.len()) as u32, &mut counts)
    });
    (pairs.collect(), counts)
}

fn write(directory: &Path, pairs: Vec<Pair>) {
    let mut writer = PairWriter::create(directory, &PairMetadata::imported("{}".to_owned())).unwrap();
    pairs.into_iter().try_for_each(|pair| writer.write(pair)).unwrap();
    writer.finish().unwrap();
}

fn fit(pairs: Vec<Pair>, settings: &CorruptSettings, options: &FitOptions) -> Fit {
    let home = tempdir().unwrap();
    write(home.path(), pairs);
    fit_pairs(home.path(), settings, options, &mut unobserved).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn the_likelihood_never_falls(
        rates in prop::array::uniform5(0.0f64..0.06),
        clean_share in 0.01f64..0.5,
        tail in 0.0f64..0.3,
        keyboard in any::<bool>(),
    ) {
        let mut start = CorruptSettings { clean_share, ..CorruptSettings::default() };
        if keyboard {
            start.alphabet = crate::KeyboardLayout::load("qwerty", Path::new("")).unwrap().alphabet();
        }
        let made = pairs(&CorruptSettings::default().with_total_rate(0.05), 60).0;
        for (op, rate) in Op::ALL.into_iter().zip(rates) {
            *start.op_mut(op) = OpSettings { rate: rate + 0.001, mean: 3.0, max: 5, tail };
        }
        let options = FitOptions { smoothing: 0.0, iterations: 8, ..FitOptions::default() };
        let nats = fit(made, &start, &options).nats_per_grapheme;
        for step in nats.windows(2) {
            // Weights are whole numbers.
            prop_assert!(step[1] <= step[0] + 1e-7, "{nats:?}");
        }
    }
}

#[test]
fn what_pairs_were_made_with_is_found_again() {
    let mut truth = CorruptSettings::default();
    let ops = [(0.012, 2.0), (0.02, 1.3), (0.016, 1.6), (0.006, 4.0), (0.009, 3.5)];
    for (op, (rate, mean)) in Op::ALL.into_iter().zip(ops) {
        *truth.op_mut(op) = OpSettings::new(rate, mean, 8);
    }
    truth.clean_share = 0.2;
    let symbols = [("e", 4), ("t", 2), ("é", 1), (" ", 3)].map(|(s, w)| (s.to_owned(), w)).into();
    let rows =
        [("a", "e"), ("o", "é")].map(|(from, to)| (from.to_owned(), [(to.to_owned(), 9)].into())).into();
    truth.alphabet = AlphabetChoice::Weighted(WeightedAlphabet { symbols, backoff: 1, rows });
    let (made, tried) = pairs(&truth, 600);
    let clean = made.iter().filter(|pair| pair.noise == Some(0.0)).count() as f64 / made.len() as f64;
    let options = FitOptions { tolerance: 1e-5, ..FitOptions::default() };
    let found = fit(made, &CorruptSettings::default(), &options);
    assert!(found.converged && found.impossible == 0);
    for op in Op::ALL {
        // What was drawn, not what it was drawn with: its scatter is not the estimate's.
        let i = op as usize;
        let drawn = tried.attempted[i] as f64;
        let expected = found.counts.attempted(op);
        assert!((expected / drawn - 1.0).abs() < 0.05, "{op}: {expected} of {drawn}");
        let (rate, of) = (found.settings.op(op).rate, truth.op(op));
        assert!(
            (rate / of.rate - 1.0).abs() < 4.0 / drawn.sqrt() + 0.02,
            "{op}: rate {rate}, not {}",
            of.rate
        );
        let mean = found.settings.op(op).mean;
        assert!((mean / of.mean - 1.0).abs() < 0.15, "{op}: mean {mean}, not {}", of.mean);
    }
    assert!((found.settings.clean_share - clean).abs() < 0.01, "{} not {clean}", found.settings.clean_share);
    let alphabet = crate::Alphabet::new(&found.settings.alphabet).unwrap();
    for (symbol, p) in [("e", 0.4), ("t", 0.2), ("é", 0.1), (" ", 0.3)] {
        assert!(
            (alphabet.probability(symbol) - p).abs() < 0.05,
            "{symbol}: {}",
            alphabet.probability(symbol)
        );
    }
    assert!(alphabet.probability_unlike("é", "o") > 0.75 && alphabet.probability_unlike("e", "a") > 0.75);
}

#[test]
fn threads_do_not_matter_and_an_operation_may_be_off() {
    let (made, _) = pairs(&CorruptSettings::default(), 40);
    let mut start = CorruptSettings::default();
    start.reversal.rate = 0.0;
    let on = |threads| {
        fit(
            made.clone(),
            &start,
            &FitOptions { iterations: 3, threads: Some(threads), ..FitOptions::default() },
        )
    };
    let alone = on(1);
    assert_eq!(on(2), alone);
    assert!(alone.settings.reversal.rate == 0.0 && alone.settings.deletion.rate > 0.0);
    assert!(alone.settings.escape > 0.0 && alone.settings.insertion.tail > 0.0);
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let (made, _) = pairs(&CorruptSettings::default().at_level(1.0), 20);
    let refused = |pairs: Vec<Pair>, settings: &CorruptSettings| {
        let home = tempdir().unwrap();
        write(home.path(), pairs);
        fit_pairs(home.path(), settings, &FitOptions::default(), &mut unobserved).unwrap_err().to_string()
    };
    let same = made.iter().map(|pair| Pair { corrupted: pair.original.clone(), ..pair.clone() }).collect();
    assert!(refused(same, &CorruptSettings::default()).contains("no pair whose texts differ"));
    assert!(refused(Vec::new(), &CorruptSettings::default()).contains("no pair whose texts differ"));
    let mut only_deletes = CorruptSettings::default().only(Op::Deletion);
    only_deletes.levels = vec![1.0];
    let longer =
        made.iter().map(|pair| Pair { corrupted: format!("{}x", pair.original), ..pair.clone() }).collect();
    assert!(refused(longer, &only_deletes).contains("possible with the operations"));
    let bad = CorruptSettings { levels: Vec::new(), ..CorruptSettings::default() };
    assert!(refused(made, &bad).contains("corrupt.levels"));
}
