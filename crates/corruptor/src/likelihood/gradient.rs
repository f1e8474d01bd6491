//! Expected counts, held against the slope of the likelihood.
//!
//! Fisher's identity: the derivative of ln P by a parameter is the expected derivative of the log-likelihood of everything that was
//! drawn. The left side knows nothing of the backward pass.

use proptest::prelude::*;

use super::counts::ExpectedCounts;
use super::enumeration::{cases, outputs};
use super::mass::Wide;
use super::{Certified, Likelihood};
use crate::alphabet::{Alphabet, AlphabetChoice, WeightedAlphabet};
use crate::channel::Channel;
use crate::op::Op;
use crate::pair::Passage;
use crate::settings::CorruptSettings;

/// A relative step: the error of a central difference is about its square.
const STEP: f64 = 1e-5;
/// Weights have this factor, so that a step changes them.
const WEIGHT: u32 = 10_000_000;

fn scaled(mut settings: CorruptSettings) -> CorruptSettings {
    if let AlphabetChoice::Weighted(alphabet) = &mut settings.alphabet {
        let rows = alphabet.rows.values_mut().flat_map(|row| row.values_mut());
        rows.chain(alphabet.symbols.values_mut()).for_each(|weight| *weight *= WEIGHT);
        alphabet.backoff *= WEIGHT;
    }
    settings
}

/// The slope of the function at 1.
fn slope(at: impl Fn(f64) -> f64) -> f64 {
    (at(1.0 + STEP) - at(1.0 - STEP)) / (2.0 * STEP)
}

/// A pair, the channel that made it, and what is expected to have happened.
struct Case<'a> {
    settings: &'a CorruptSettings,
    original: &'a str,
    corrupted: &'a str,
    counts: ExpectedCounts,
}

impl<'a> Case<'a> {
    fn new(settings: &'a CorruptSettings, original: &'a str, corrupted: &'a str) -> Self {
        let counts = Likelihood::new(settings).unwrap().expect(original, corrupted).unwrap();
        Self { settings, original, corrupted, counts }
    }

    /// The slope of ln P as `change` multiplies a parameter.
    fn slope(&self, change: impl Fn(&mut CorruptSettings, f64)) -> f64 {
        slope(|factor| {
            let mut settings = self.settings.clone();
            change(&mut settings, factor);
            Likelihood::new(&settings).unwrap().score(self.original, self.corrupted).ln_probability
        })
    }

    fn assert_is(&self, what: &str, found: f64, slope: f64) {
        let Self { original, corrupted, counts, .. } = self;
        let error = (found - slope).abs();
        assert!(
            error < 1e-6 * (1.0 + slope.abs()),
            "{what}: {found}, not {slope}, for {original:?} → {corrupted:?}: {counts:?}"
        );
    }

    fn check(&self) {
        self.check_rates();
        self.check_lengths();
        let (clean, share) = (self.counts.clean, self.settings.clean_share);
        let expected = clean - (1.0 - clean) * share / (1.0 - share);
        self.assert_is("clean share", expected, self.slope(|s, factor| s.clean_share *= factor));
        if matches!(self.settings.alphabet, AlphabetChoice::Weighted(_)) {
            self.check_symbols();
        }
    }

    fn check_rates(&self) {
        let total = self.settings.total_rate();
        for op in Op::ALL.into_iter().filter(|op| self.settings.op(*op).rate > 0.0) {
            let rate = self.settings.op(op).rate;
            let of_level = |(counts, level): (&super::LevelCounts, &f64)| {
                let copies = counts.visited - counts.attempted.iter().sum::<f64>();
                counts.attempted[op as usize] - copies * level * rate / (1.0 - level * total)
            };
            let expected = self.counts.levels.iter().zip(&self.settings.levels).map(of_level).sum();
            let slope = self.slope(|s, factor| s.op_mut(op).rate *= factor);
            self.assert_is(&format!("rate of {op}"), expected, slope);
        }
    }

    fn check_lengths(&self) {
        for op in Op::ALL {
            let spans = self.counts.spans[op as usize];
            let offset = f64::from(u8::from(op == Op::Reversal));
            let stop = 1.0 / (self.settings.op(op).mean - offset);
            let slope = self.slope(|s, factor| s.op_mut(op).mean = 1.0 / (stop * factor) + offset);
            let expected = spans.stopped - spans.went_on * stop / (1.0 - stop);
            self.assert_is(&format!("length of {op}"), expected, slope);
        }
    }

    fn check_symbols(&self) {
        let AlphabetChoice::Weighted(alphabet) = &self.settings.alphabet else { return };
        let tables = std::iter::once(None).chain(alphabet.rows.keys().map(Some));
        for table in tables {
            let symbols = |alphabet: &WeightedAlphabet| match table {
                None => alphabet.symbols.clone(),
                Some(row) => alphabet.rows[row].clone(),
            };
            for symbol in symbols(alphabet).keys() {
                let change = |factor: f64| {
                    let mut alphabet = alphabet.clone();
                    let table = match table {
                        None => &mut alphabet.symbols,
                        Some(row) => alphabet.rows.get_mut(row).unwrap(),
                    };
                    let weight = table.get_mut(symbol).unwrap();
                    *weight = (f64::from(*weight) * factor).round() as u32;
                    AlphabetChoice::Weighted(alphabet)
                };
                let expected = slope(|factor| self.ln_symbols(&Alphabet::new(&change(factor)).unwrap()));
                let slope = self.slope(|settings, factor| settings.alphabet = change(factor));
                self.assert_is(&format!("symbol {symbol:?} of {table:?}"), expected, slope);
            }
        }
    }

    /// Expected ln probability of the symbols that were drawn.
    fn ln_symbols(&self, alphabet: &Alphabet) -> f64 {
        let inserted = self.counts.inserted.iter();
        let substituted =
            self.counts.substituted.iter().flat_map(|(own, row)| row.iter().map(move |r| (own, r)));
        inserted.map(|(symbol, count)| count * alphabet.probability(symbol).ln()).sum::<f64>()
            + substituted
                .map(|(own, (symbol, count))| count * alphabet.probability_unlike(symbol, own).ln())
                .sum::<f64>()
    }
}

#[test]
fn counts_are_the_slope_of_the_likelihood_for_every_kind_of_channel() {
    // Where nothing is copied there is no room for a step.
    for (name, settings, text) in cases().into_iter().filter(|(name, ..)| !name.starts_with("nothing")) {
        let settings = scaled(settings);
        let outputs = outputs(&settings, text);
        assert!(!outputs.is_empty(), "{name}");
        for output in outputs.iter().step_by(1 + outputs.len() / 25) {
            Case::new(&settings, text, output).check();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn counts_are_the_slope_of_the_likelihood_of_texts(
        text in "(the |of |an|e|é|ß|🇩🇪| ){0,30}",
        rate in 0.01f64..0.3,
        tail in prop_oneof![Just(0.0), 0.01f64..0.5],
        escape in prop_oneof![Just(0.0), 1e-4f64..0.1],
        copy in 0u32..1_000,
    ) {
        let mut settings = CorruptSettings::default().with_total_rate(rate);
        for op in Op::ALL {
            let of = settings.op_mut(op);
            (of.tail, of.max) = (tail, 3);
        }
        let passage = Passage { source: "test", doc_id: "d", start: 0, text: &text };
        let corrupted = Channel::new(&settings).unwrap().pair(&passage, copy).corrupted;
        settings.escape = escape;
        let case = Case::new(&settings, &text, &corrupted);
        case.check();
        let visited: f64 = case.counts.levels.iter().map(|level| level.visited).sum();
        let noisy = 1.0 - case.counts.clean;
        prop_assert!(visited >= noisy * (1.0 - 1e-6), "{visited}: a noisy record visits its end at least");
        prop_assert!(visited <= case.counts.graphemes as f64 + 1e-6);
    }
}

#[test]
fn wide_numbers_count_alike() {
    let text = "It is of no use, he said, and went on. ".repeat(4);
    let settings = CorruptSettings::default().with_total_rate(0.1);
    let passage = Passage { source: "test", doc_id: "d", start: 0, text: &text };
    let corrupted = Channel::new(&settings).unwrap().pair(&passage, 1).corrupted;
    let likelihood = Likelihood::new(&settings).unwrap();
    let certified: Certified<'_> = likelihood.certified(&text, &corrupted, f64::ln(1e-9)).unwrap();
    let mut found = [ExpectedCounts::none(3), ExpectedCounts::none(3)];
    likelihood.expect_in::<f64>(&certified, &mut found[0]);
    likelihood.expect_in::<Wide>(&certified, &mut found[1]);
    for (plain, wide) in found[0].levels.iter().zip(&found[1].levels) {
        assert!((plain.visited - wide.visited).abs() < 1e-8, "{plain:?} {wide:?}");
        for (plain, wide) in plain.attempted.iter().zip(&wide.attempted) {
            assert!((plain - wide).abs() < 1e-8, "{plain:?} {wide:?}");
        }
    }
    for (symbol, count) in &found[0].inserted {
        assert!((count - found[1].inserted[symbol]).abs() < 1e-8, "{symbol}");
    }
}
