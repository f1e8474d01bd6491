//! What a cell of the dynamic program holds: sums of probabilities, the best of them, or whether there is any.

use std::fmt::Debug;

/// A semiring with the probabilities in it.
pub(crate) trait Mass: Copy + PartialEq + Debug {
    /// Nothing: neutral to [`plus`](Self::plus), annihilates [`times`](Self::times).
    const ZERO: Self;

    /// A probability, or another number from 0 on.
    fn of(p: f64) -> Self;

    /// e to the power of `ln`.
    fn exp(ln: f64) -> Self {
        Self::of(ln.exp())
    }

    fn plus(self, other: Self) -> Self;

    fn times(self, other: Self) -> Self;

    /// The natural logarithm; −∞ for nothing.
    fn ln(self) -> f64;

    /// The probability itself, where a double can hold it.
    fn value(self) -> f64 {
        self.ln().exp()
    }
}

impl Mass for f64 {
    const ZERO: Self = 0.0;

    fn of(p: f64) -> Self {
        p
    }

    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn times(self, other: Self) -> Self {
        self * other
    }

    fn ln(self) -> f64 {
        Self::ln(self)
    }

    fn value(self) -> f64 {
        self
    }
}

/// A sum of probabilities of any smallness: `digits · 2^(256 · power)`, `digits` from 2^-128 to under 2^128, or 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Wide {
    digits: f64,
    power: i64,
}

/// 2^128.
const HALF_STEP: f64 = (1u128 << 127) as f64 * 2.0;
/// 2^256.
const STEP: f64 = HALF_STEP * HALF_STEP;

impl Wide {
    fn settled(mut self) -> Self {
        if self.digits < 1.0 / HALF_STEP {
            if self.digits == 0.0 {
                return Self::ZERO;
            }
            self.digits *= STEP;
            self.power -= 1;
        } else if self.digits >= HALF_STEP {
            self.digits /= STEP;
            self.power += 1;
        }
        self
    }
}

impl Mass for Wide {
    const ZERO: Self = Self { digits: 0.0, power: i64::MIN / 4 };

    fn of(p: f64) -> Self {
        // Any f64 is within four steps of the range.
        (0..4).fold(Self { digits: p, power: 0 }, |wide, _| wide.settled())
    }

    fn exp(ln: f64) -> Self {
        if ln == f64::NEG_INFINITY {
            return Self::ZERO;
        }
        let step = 256.0 * std::f64::consts::LN_2;
        let power = (ln / step).round();
        Self { digits: (ln - power * step).exp(), power: power as i64 }.settled()
    }

    fn plus(self, other: Self) -> Self {
        let (large, small) = if self.power >= other.power { (self, other) } else { (other, self) };
        match large.power - small.power {
            0 => Self { digits: large.digits + small.digits, ..large }.settled(),
            1 => Self { digits: large.digits + small.digits / STEP, ..large }.settled(),
            _ => large,
        }
    }

    fn times(self, other: Self) -> Self {
        Self { digits: self.digits * other.digits, power: self.power + other.power }.settled()
    }

    fn ln(self) -> f64 {
        if self.digits == 0.0 {
            return f64::NEG_INFINITY;
        }
        self.digits.ln() + self.power as f64 * 256.0 * std::f64::consts::LN_2
    }
}

/// The logarithm of the greatest probability.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Best(pub(crate) f64);

impl Mass for Best {
    const ZERO: Self = Self(f64::NEG_INFINITY);

    fn of(p: f64) -> Self {
        Self(p.ln())
    }

    fn plus(self, other: Self) -> Self {
        if other.0 > self.0 { other } else { self }
    }

    fn times(self, other: Self) -> Self {
        Self(self.0 + other.0)
    }

    fn ln(self) -> f64 {
        self.0
    }
}

/// Whether there is any way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Possible(pub(crate) bool);

impl Mass for Possible {
    const ZERO: Self = Self(false);

    fn of(p: f64) -> Self {
        Self(p > 0.0)
    }

    fn plus(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn times(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    fn ln(self) -> f64 {
        if self.0 { 0.0 } else { f64::NEG_INFINITY }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn wide_numbers_compute_as_logarithms_do(a in -3000.0f64..3000.0, b in -3000.0f64..3000.0) {
            let (x, y) = (Wide::exp(a), Wide::exp(b));
            prop_assert!((x.ln() - a).abs() < 1e-9);
            prop_assert!((x.times(y).ln() - (a + b)).abs() < 1e-9);
            let sum = a.max(b) + (-(a - b).abs()).exp().ln_1p();
            prop_assert!((x.plus(y).ln() - sum).abs() < 1e-9);
            prop_assert_eq!(x.plus(Wide::ZERO), x);
            prop_assert_eq!(x.times(Wide::ZERO), Wide::ZERO);
        }
    }

    #[test]
    fn every_number_becomes_wide() {
        for p in [0.0, f64::MIN_POSITIVE, 1e-100, 1.0, 1e300] {
            let ratio = Wide::of(p).ln().exp() / p;
            assert!(if p > 0.0 { (ratio - 1.0).abs() < 1e-9 } else { Wide::of(p) == Wide::ZERO }, "{p}");
        }
    }
}
