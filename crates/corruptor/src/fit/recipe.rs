//! A fitted channel as a recipe.

use super::run::Fit;
use crate::op::Op;
use crate::recipe::{Recipe, RecipeError};

/// Significant digits of what was estimated.
const DIGITS: usize = 6;

impl Fit {
    /// `base` with the fitted channel as its `[corrupt]` table; rates, means and the clean share have six significant digits.
    ///
    /// # Errors
    /// If the table cannot be written as TOML.
    pub fn recipe(&self, base: Recipe) -> Result<Recipe, RecipeError> {
        let mut settings = self.settings.clone();
        settings.clean_share = rounded(settings.clean_share);
        for op in Op::ALL {
            let of = settings.op_mut(op);
            (of.rate, of.mean) = (rounded(of.rate), rounded(of.mean));
        }
        let fitted = Recipe::of_corrupt(&settings)?;
        base.with_table_of("corrupt", &fitted)
    }
}

fn rounded(number: f64) -> f64 {
    format!("{number:.*e}", DIGITS - 1).parse().unwrap_or(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_six_digits() {
        for (number, expected) in
            [(0.0, 0.0), (0.001_234_567_8, 0.001_234_57), (1.0, 1.0), (1_234.567_8, 1_234.57)]
        {
            assert!((rounded(number) - expected).abs() < 1e-12, "{number}: {}", rounded(number));
        }
    }
}
