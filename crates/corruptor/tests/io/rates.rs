//! What was tried follows the recipe, within three standard errors.

use corruptor::corpus::CorpusSettings;
use corruptor::generate::{GenerateOptions, generate};
use corruptor::progress::unobserved;
use corruptor::{CorruptSettings, Op, OpSettings};
use tempfile::tempdir;

use crate::helpers::{texts, write_texts};

#[test]
fn rates_and_span_lengths_are_the_recipes_within_three_standard_errors() {
    const LEVEL: f64 = 1.5;
    let home = tempdir().unwrap();
    let input = write_texts(&home.path().join("in.jsonl"), &texts(400));
    let settings = CorruptSettings {
        seed: 11,
        copies: 8,
        heldout_copies: 8,
        deletion: OpSettings::new(0.004, 1.5, 8),
        substitution: OpSettings::new(0.008, 1.0, 1),
        insertion: OpSettings::new(0.006, 3.0, 4),
        duplication: OpSettings::new(0.005, 2.0, 6),
        reversal: OpSettings::new(0.003, 4.0, 7),
        ..CorruptSettings::default().at_level(LEVEL)
    };
    let options = GenerateOptions::new(vec![input], home.path().join("pairs"));
    let summary = generate(&CorpusSettings::default(), &settings, &options, &mut unobserved).unwrap();
    for op in Op::ALL {
        let (of, i) = (settings.op(op), op as usize);
        let visited = summary.attempts.visited[i] as f64;
        let attempted = summary.attempts.attempted[i] as f64;
        assert!(visited > 1e6, "a large sample: {visited}");
        let rate = of.rate * LEVEL;
        let error = (visited * rate * (1.0 - rate)).sqrt();
        assert!((attempted - visited * rate).abs() <= 3.0 * error, "{op}: {attempted} attempts at {visited}");
        let (mean, deviation) = span_law(op, of);
        let found = summary.attempts.span_graphemes[i] as f64 / attempted;
        let error = deviation / attempted.sqrt();
        assert!((found - mean).abs() <= 3.0 * error + 1e-12, "{op}: spans of {found}, not {mean}");
    }
}

/// Mean and standard deviation of min(geometric, max); a reversal draws all but its first grapheme.
fn span_law(op: Op, of: OpSettings) -> (f64, f64) {
    let offset = usize::from(op == Op::Reversal);
    let (stop, longest) = (1.0 / (of.mean - offset as f64), of.max - offset);
    let mut survives = 1.0;
    let (mut first, mut second) = (0.0, 0.0);
    for drawn in 1..=longest {
        let probability = if drawn == longest { survives } else { survives * stop };
        survives *= 1.0 - stop;
        let span = (drawn + offset) as f64;
        first += probability * span;
        second += probability * span * span;
    }
    (first, (second - first * first).max(0.0).sqrt())
}
