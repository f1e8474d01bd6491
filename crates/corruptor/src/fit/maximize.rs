//! The maximization step: the channel under which the expected counts are most probable.

use super::symbols::Symbols;
use crate::likelihood::ExpectedCounts;
use crate::op::Op;
use crate::settings::CorruptSettings;

/// Largest share of the visited positions that may have an attempt, at the highest level: something must be copied.
const MAX_TOTAL_RATE: f64 = 1.0 - 1e-9;
/// An operation of which less is expected is off.
const NEGLIGIBLE_ATTEMPTS: f64 = 1e-6;
/// Least probability that a span ends, where its length is geometric.
const MIN_STOP: f64 = 1e-6;

/// `settings` with the rates, mean lengths, clean share and symbols that maximize the expected log-likelihood; noise grid, longest
/// lengths, tails, escape and confusion table stay as they are.
pub(super) fn maximize(
    settings: &CorruptSettings,
    counts: &ExpectedCounts,
    symbols: &Symbols,
) -> CorruptSettings {
    let mut new = settings.clone();
    new.clean_share = (counts.clean / counts.pairs.max(1) as f64).clamp(0.0, 1.0);
    let total = total_rate(&settings.levels, counts);
    let all: f64 = Op::ALL.into_iter().map(|op| counts.attempted(op)).sum();
    for op in Op::ALL {
        let (spans, fitted) = (counts.spans[op as usize], new.op_mut(op));
        let attempted = counts.attempted(op);
        if attempted < NEGLIGIBLE_ATTEMPTS {
            fitted.rate = 0.0;
            continue;
        }
        fitted.rate = total * attempted / all;
        if spans.stopped + spans.went_on > 0.0 {
            let stop = spans.stopped / (spans.stopped + spans.went_on);
            // A reversal draws its length less 1.
            fitted.mean = f64::from(u8::from(op == Op::Reversal)) + 1.0 / stop.clamp(MIN_STOP, 1.0);
        }
    }
    if let Some(alphabet) = symbols.alphabet(counts) {
        new.alphabet = alphabet;
    }
    new
}

/// The sum of all rates at level 1.
///
/// With A attempts in all and N(λ) copies at level λ, the log-likelihood has A ln R + Σ N(λ) ln(1 − λR); its derivative vanishes
/// where R · Σ λ N(λ) / (1 − λR) = A. The left side rises with R, so there is one root.
fn total_rate(levels: &[f64], counts: &ExpectedCounts) -> f64 {
    let attempted: f64 = Op::ALL.into_iter().map(|op| counts.attempted(op)).sum();
    let copies = |level: usize| {
        let counts = &counts.levels[level];
        (counts.visited - counts.attempted.iter().sum::<f64>()).max(0.0)
    };
    let excess = |total: f64| {
        let at = |(index, level): (usize, &f64)| total * level * copies(index) / (1.0 - level * total);
        levels.iter().enumerate().map(at).sum::<f64>() - attempted
    };
    let (mut low, mut high) = (0.0, MAX_TOTAL_RATE / levels.iter().copied().fold(0.0, f64::max));
    for _ in 0..200 {
        let middle = f64::midpoint(low, high);
        *(if excess(middle) < 0.0 { &mut low } else { &mut high }) = middle;
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::likelihood::{LevelCounts, SpanCounts};

    fn counts() -> ExpectedCounts {
        ExpectedCounts {
            pairs: 10,
            clean: 2.0,
            levels: vec![
                LevelCounts { visited: 1_000.0, attempted: [2.0, 4.0, 1.0, 0.0, 3.0] },
                LevelCounts { visited: 900.0, attempted: [5.0, 6.0, 3.0, 0.0, 5.0] },
            ],
            spans: [SpanCounts { went_on: 3.0, stopped: 6.0 }; 5],
            ..ExpectedCounts::default()
        }
    }

    /// The part of the expected log-likelihood that depends on the rates.
    fn of_rates(settings: &CorruptSettings, counts: &ExpectedCounts) -> f64 {
        let of_level = |(level, counts): (&f64, &LevelCounts)| {
            let of_op = |op: Op| counts.attempted[op as usize] * (level * settings.op(op).rate).ln();
            let attempted: f64 = counts.attempted.iter().sum();
            let copies = counts.visited - attempted;
            Op::ALL.into_iter().filter(|op| counts.attempted[*op as usize] > 0.0).map(of_op).sum::<f64>()
                + copies * (1.0 - level * settings.total_rate()).ln()
        };
        settings.levels.iter().zip(&counts.levels).map(of_level).sum()
    }

    #[test]
    fn no_other_rates_are_better() {
        let settings = CorruptSettings { levels: vec![0.5, 2.0], ..CorruptSettings::default() };
        let best = maximize(&settings, &counts(), &Symbols::default());
        assert!((best.clean_share - 0.2).abs() < 1e-12);
        assert!(best.duplication.rate == 0.0 && best.substitution.rate > best.deletion.rate);
        for op in Op::ALL.into_iter().filter(|op| *op != Op::Duplication) {
            for factor in [0.999, 1.001] {
                let mut other = best.clone();
                other.op_mut(op).rate *= factor;
                assert!(of_rates(&other, &counts()) < of_rates(&best, &counts()), "{op} {factor}");
            }
        }
    }

    #[test]
    fn lengths_are_geometric_and_reversals_one_longer() {
        let best = maximize(
            &CorruptSettings { levels: vec![1.0; 2], ..CorruptSettings::default() },
            &counts(),
            &Symbols::default(),
        );
        assert!((best.deletion.mean - 1.5).abs() < 1e-12);
        assert!((best.reversal.mean - 2.5).abs() < 1e-12);
    }

    #[test]
    fn where_nothing_is_copied_something_still_is() {
        let mut counts = counts();
        for level in &mut counts.levels {
            level.visited = level.attempted.iter().sum();
        }
        let settings = CorruptSettings { levels: vec![0.5, 2.0], ..CorruptSettings::default() };
        let best = maximize(&settings, &counts, &Symbols::default());
        best.validate().unwrap();
        assert!(best.total_rate() > 0.49);
    }
}
