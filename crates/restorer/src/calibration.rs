//! From what a model says of an edit to the probability that the edit is right.

use serde::{Deserialize, Serialize};

/// Log-odds of an edit being right as a line over the log-odds that the model gives it (Platt 1999; with one family of scores this is
/// temperature scaling with an offset), fitted on held-out pairs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Calibration {
    /// Factor of the log-odds.
    pub slope: f64,
    /// What is added to them.
    pub intercept: f64,
}

/// Probabilities nearer to 0 or 1 count as this near: models are surer than any held-out set can confirm.
const EDGE: f64 = 1e-6;

impl Calibration {
    /// Fits points of (probability as the model says, whether it was right), by Newton's method with shortened steps, drawn a little towards leaving
    /// probabilities as they are.
    pub fn fit(points: &[(f64, bool)]) -> Self {
        let (mut slope, mut intercept) = (1.0, 0.0);
        for _ in 0..50 {
            // The pull is that of a normal prior of variance 1 on both.
            let (mut gradient, mut hessian) = ([1.0 - slope, -intercept], [1.0, 0.0, 1.0]);
            for (said, is_right) in points {
                let x = log_odds(*said);
                let p = logistic(slope * x + intercept);
                let (error, weight) = (f64::from(u8::from(*is_right)) - p, p * (1.0 - p));
                gradient[0] += error * x;
                gradient[1] += error;
                hessian[0] += weight * x * x;
                hessian[1] += weight * x;
                hessian[2] += weight;
            }
            let determinant = hessian[0] * hessian[2] - hessian[1] * hessian[1];
            let by_slope = (gradient[0] * hessian[2] - gradient[1] * hessian[1]) / determinant;
            let by_intercept = (gradient[1] * hessian[0] - gradient[0] * hessian[1]) / determinant;
            // Far from the best line a whole step may lead away from it.
            let before = cost(points, slope, intercept);
            let shares = std::iter::successors(Some(1.0), |share| Some(share / 2.0)).take(30);
            let better = shares
                .map(|share| (slope + share * by_slope, intercept + share * by_intercept))
                .find(|(slope, intercept)| cost(points, *slope, *intercept) < before);
            let Some(better) = better else { break };
            (slope, intercept) = better;
        }
        // What the model is surer of is never less probable, whatever few points say.
        if slope.is_finite() && intercept.is_finite() && slope > 0.0 {
            Self { slope, intercept }
        } else {
            Self::default()
        }
    }

    /// The probability of what the model gives the probability `said`.
    pub fn probability(self, said: f64) -> f64 {
        if self == Self::default() {
            return said;
        }
        logistic(self.slope * log_odds(said) + self.intercept)
    }

    /// `probability` of the confidence of an edit or a text.
    pub fn confidence(self, said: f32) -> f32 {
        self.probability(f64::from(said)) as f32
    }

    /// What the model says of something that has this probability: the least that reaches it.
    pub fn said(self, probability: f64) -> f64 {
        if self == Self::default() || probability <= 0.0 || probability >= 1.0 {
            return probability;
        }
        logistic(((probability / (1.0 - probability)).ln() - self.intercept) / self.slope)
    }
}

impl Default for Calibration {
    fn default() -> Self {
        Self { slope: 1.0, intercept: 0.0 }
    }
}

/// What a line costs in nats: the points under it, and how far it is from leaving probabilities as they are.
fn cost(points: &[(f64, bool)], slope: f64, intercept: f64) -> f64 {
    let nats = |(said, is_right): &(f64, bool)| {
        let x = slope * log_odds(*said) + intercept;
        let against = if *is_right { -x } else { x };
        // ln(1 + eˣ) without overflow.
        against.max(0.0) + (-against.abs()).exp().ln_1p()
    };
    points.iter().map(nats).sum::<f64>() + 0.5 * ((slope - 1.0).powi(2) + intercept.powi(2))
}

fn log_odds(probability: f64) -> f64 {
    let probability = probability.clamp(EDGE, 1.0 - EDGE);
    (probability / (1.0 - probability)).ln()
}

fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_said_too_surely_is_said_less_surely() {
        // Of a hundred at each level, as many are right as a model that doubles its log-odds would not say.
        let truth = |said: f64| logistic(0.5 * log_odds(said) - 0.3);
        let points: Vec<(f64, bool)> = [0.6, 0.8, 0.9, 0.95, 0.99, 0.999]
            .into_iter()
            .flat_map(|said| (0..400).map(move |i| (said, f64::from(i) < 400.0 * truth(said))))
            .collect();
        let fitted = Calibration::fit(&points);
        for said in [0.6, 0.9, 0.999] {
            let (found, truth) = (fitted.probability(said), truth(said));
            assert!((found - truth).abs() < 0.01, "{said}: {found} against {truth}");
        }
    }

    #[test]
    fn no_points_change_nothing_and_wrong_ones_never_turn_the_order() {
        assert_eq!(Calibration::fit(&[]), Calibration::default());
        let absurd: Vec<(f64, bool)> = (0..100).map(|i| (f64::from(i) / 100.0, i < 50)).collect();
        assert!(Calibration::fit(&absurd).slope > 0.0);
    }

    proptest! {
        #[test]
        fn a_threshold_is_the_same_on_both_sides(
            slope in 0.1..5f64, intercept in -3.0..3f64, said in 0.0..=1f64, threshold in 0.01..0.99f64,
        ) {
            let calibration = Calibration { slope, intercept };
            let apart = (calibration.probability(said) - threshold).abs();
            prop_assume!(apart > 1e-9 && said > EDGE && said < 1.0 - EDGE);
            prop_assert_eq!(calibration.probability(said) > threshold, said > calibration.said(threshold));
        }
    }
}
