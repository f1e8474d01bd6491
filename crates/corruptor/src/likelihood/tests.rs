//! Texts of real size: bands against the whole table, long texts, and what the bound says.

use proptest::prelude::*;

use super::band::band;
use super::lattice::Lattice;
use super::mass::{Mass, Wide};
use super::{Likelihood, TOLERANCE};
use crate::channel::Channel;
use crate::event::replay;
use crate::pair::Passage;
use crate::settings::{CorruptSettings, OpSettings};

const TEXT: &str = include_str!("../../benches/english.txt");

/// A passage of about `bytes` bytes of English.
fn passage(from: usize, bytes: usize) -> &'static str {
    let start = TEXT.ceil_char_boundary(from % (TEXT.len() / 2));
    &TEXT[start..TEXT.ceil_char_boundary((start + bytes).min(TEXT.len()))]
}

fn corrupted(settings: &CorruptSettings, text: &str, copy: u32) -> String {
    let passage = Passage { source: "test", doc_id: "d", start: 0, text };
    Channel::new(settings).unwrap().pair(&passage, copy).corrupted
}

/// ln of the probability without a band, in the numbers `W`.
fn whole<W: Mass>(likelihood: &Likelihood, original: &str, corrupted: &str) -> f64 {
    let lattice = Lattice::new(&likelihood.law, &likelihood.ascii, original, corrupted, usize::MAX);
    let everywhere = band(&lattice, usize::MAX / 2);
    let bounds = likelihood.bounds(&lattice);
    let mut sum = Wide::exp(likelihood.ln_clean(original, corrupted));
    for found in likelihood.passes::<W>(&lattice, &everywhere, &bounds, f64::NEG_INFINITY) {
        assert_eq!(found.lost, Wide::ZERO, "nothing lies outside of the whole table");
        sum = sum.plus(Wide::exp(found.ln + likelihood.ln_level()));
    }
    sum.ln()
}

fn with_rate(rate: f64) -> CorruptSettings {
    CorruptSettings::default().with_total_rate(rate)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn a_band_loses_no_more_than_it_says(
        from in 0usize..6_000, bytes in 0usize..260, rate in 0.001f64..0.3, copy in 0u32..1_000, tail in 0.0f64..0.4
    ) {
        let mut settings = with_rate(rate);
        for op in crate::op::Op::ALL {
            settings.op_mut(op).tail = tail;
        }
        let text = passage(from, bytes);
        let damaged = corrupted(&settings, text, copy);
        let likelihood = Likelihood::new(&settings).unwrap();
        let score = likelihood.score(text, &damaged);
        let expected = whole::<f64>(&likelihood, text, &damaged);
        prop_assert!((score.ln_probability - expected).abs() < 2.0 * TOLERANCE + 1e-12 * expected.abs(),
            "{} not {expected}, half-width {}", score.ln_probability, score.half_width);
        let explanation = likelihood.explain(text, &damaged).unwrap();
        prop_assert!(explanation.ln_probability <= score.ln_probability + 1e-9);
        prop_assert_eq!(replay(text, &explanation.events).unwrap(), damaged);
    }
}

#[test]
fn a_band_is_narrow_where_little_happened() {
    let settings = with_rate(0.02);
    let text = passage(0, 1_000);
    let score = Likelihood::new(&settings).unwrap().score(text, &corrupted(&settings, text, 3));
    assert!(score.half_width <= 128, "{}", score.half_width);
}

#[test]
fn wide_and_plain_numbers_agree() {
    let settings = with_rate(0.1);
    let likelihood = Likelihood::new(&settings).unwrap();
    let text = passage(100, 120);
    for copy in 0..5 {
        let damaged = corrupted(&settings, text, copy);
        let (plain, wide) =
            (whole::<f64>(&likelihood, text, &damaged), whole::<Wide>(&likelihood, text, &damaged));
        assert!((plain - wide).abs() < 1e-11, "{plain} {wide}");
    }
}

#[test]
fn long_texts_neither_underflow_nor_overflow() {
    let settings = with_rate(0.004).at_level(1.0);
    let likelihood = Likelihood::new(&settings).unwrap();
    let text = TEXT[..TEXT.floor_char_boundary(10_000)].repeat(2);
    let damaged = corrupted(&settings, &text, 1);
    let score = likelihood.score(&text, &damaged);
    // Far below what a double can hold, and about what its halves have together.
    assert!(score.ln_probability < -750.0 && score.ln_probability.is_finite(), "{score:?}");
    let silent = likelihood.score(&text, &text).ln_probability;
    let copies = likelihood.law().copy(1.0).ln() * crate::grapheme_count(&text) as f64;
    assert!(silent > copies - 0.1 && silent < 0.0, "{silent} {copies}");
}

#[test]
fn a_long_difference_widens_the_band() {
    let mut settings = with_rate(0.02);
    settings.deletion = OpSettings { rate: 0.004, mean: 1.5, max: 8, tail: 0.9 };
    let likelihood = Likelihood::new(&settings).unwrap();
    let text = passage(0, 600);
    let damaged = format!("{}{}", &text[..100], &text[400..]);
    let score = likelihood.score(text, &damaged);
    assert!((score.ln_probability - whole::<f64>(&likelihood, text, &damaged)).abs() < 1e-10);
    let explanation = likelihood.explain(text, &damaged).unwrap();
    assert_eq!(explanation.events.len(), 1, "{explanation:?}");
    assert_eq!(explanation.events[0].length, 300);
}
