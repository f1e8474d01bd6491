//! Probabilities in a byte, back-off weights in two.

/// Steps of ln(p / (1 − p)) for each code.
const STEPS: f64 = 8.0;
/// The code of p = ½.
const MIDDLE: f64 = 128.0;
/// Steps of a back-off weight's ln for each code.
const WEIGHT_STEPS: f64 = 2048.0;
/// The code of a weight of 1.
const WEIGHT_ONE: f64 = 49_152.0;

/// The code of a probability: its log-odds in steps of an eighth, so that what is nearly certain stays so.
pub(super) fn code(p: f64) -> u8 {
    if p <= 0.0 {
        return 0;
    }
    let odds = (p.min(1.0 - 1e-12) / (1.0 - p.min(1.0 - 1e-12))).ln();
    (odds * STEPS + MIDDLE).round().clamp(1.0, 255.0) as u8
}

/// The probability of a code; 0 for code 0.
pub(super) fn probability(code: u8) -> f64 {
    if code == 0 {
        return 0.0;
    }
    1.0 / (1.0 + (-(f64::from(code) - MIDDLE) / STEPS).exp())
}

/// The code of a back-off weight, from e^−24 to e^8.
pub(super) fn weight_code(weight: f64) -> u16 {
    (weight.ln() * WEIGHT_STEPS + WEIGHT_ONE).round().clamp(0.0, 65_535.0) as u16
}

/// ln of the weight of a code.
pub(super) fn ln_weight(code: u16) -> f64 {
    (f64::from(code) - WEIGHT_ONE) / WEIGHT_STEPS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_near_and_ascend() {
        let mut before = 0.0;
        for code in 1..=255 {
            let p = probability(code);
            assert!(p > before && p < 1.0);
            assert_eq!(super::code(p), code);
            before = p;
        }
        for p in [1e-6, 1e-3, 0.2, 0.5, 0.9, 0.999, 0.999_999] {
            let found = probability(code(p));
            let odds = |p: f64| (p / (1.0 - p)).ln();
            assert!((odds(found) - odds(p)).abs() <= 0.5 / STEPS + 1e-9, "{p}: {found}");
        }
        assert!(code(0.0) == 0 && probability(0) == 0.0);
        for weight in [1e-9, 0.01, 1.0, 40.0] {
            assert!((ln_weight(weight_code(weight)) - f64::ln(weight)).abs() < 3e-4, "{weight}");
        }
        assert!(ln_weight(weight_code(0.0)) < -20.0);
    }
}
