//! The exact likelihood of a corrupted text, by dynamic programming over the channel's transitions.
//!
//! A state is a position in the original (in graphemes) and one in the corrupted text (in bytes: emitted graphemes may join).
//! All probabilities are those of [`ChannelLaw`]. `docs/likelihood.md` has the mathematics.

mod backward;
mod band;
mod bound;
mod counts;
mod emissions;
#[cfg(test)]
mod enumeration;
mod expect;
mod explain;
mod forward;
#[cfg(test)]
mod gradient;
mod impossible;
mod lattice;
mod mass;
#[cfg(feature = "parquet")]
mod output;
#[cfg(feature = "parquet")]
mod rows;
#[cfg(feature = "parquet")]
mod run;
mod strip;
#[cfg(test)]
mod tests;

use crate::law::ChannelLaw;
use crate::settings::{CorruptSettings, SettingsError};

use band::{Band, band};
use bound::Bound;
use emissions::AsciiEmissions;
use forward::{Forward, Guard, Pass, Tables};
use lattice::Lattice;
use mass::{Mass, Wide};

pub use counts::{ExpectedCounts, LevelCounts, SpanCounts};
pub use explain::Explanation;
#[cfg(feature = "parquet")]
pub use output::ScoreWriter;
#[cfg(feature = "parquet")]
pub use rows::RowChoice;
#[cfg(feature = "parquet")]
pub(crate) use rows::Rows;
#[cfg(feature = "parquet")]
pub use run::{ImpossiblePair, PairScore, ScoreOptions, ScoreSummary, score_pairs};

/// What a band may leave out, relative to what it holds.
pub const TOLERANCE: f64 = 1e-12;
/// Half-width of the first band, in bytes.
const FIRST_HALF_WIDTH: usize = 16;
/// Spans of duplications and reversals that are looked for at first, in graphemes.
const FIRST_LONGEST_MOVE: usize = 64;
/// Probabilities below it are computed with numbers of a wider range.
const SMALLEST_LN: f64 = -640.0;

/// How probable a corrupted text is, given its original.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// Natural logarithm of the probability (nats); −∞ if the channel cannot make it.
    pub ln_probability: f64,
    /// Probability that the record was kept clean, given both texts; 0 where there is no way at all.
    pub clean: f64,
    /// Probability of each noise level of the recipe, in its order, given both texts.
    pub levels: Vec<f64>,
    /// Half-width of the band that was computed, in bytes around the straight line from start to end. What lies outside has less
    /// than [`TOLERANCE`] of the probability, which is certified.
    pub half_width: usize,
    /// Where the channel cannot make the text: the byte offset at which its longest prefix ends with which an output can begin;
    /// its length if it cannot end there.
    pub first_impossible: Option<usize>,
}

/// The likelihood under the channel of one recipe.
#[derive(Clone, Debug)]
pub struct Likelihood {
    law: ChannelLaw,
    ascii: AsciiEmissions,
}

/// What a band holds at one level: ln of the probability, a bound of what lies outside, and the farthest cell.
pub(crate) struct Found {
    ln: f64,
    lost: Wide,
    half_width: usize,
    extents: Band,
}

/// A pair, computed within a band that is certified.
pub(crate) struct Certified<'t> {
    pub(crate) lattice: Lattice<'t>,
    pub(crate) band: Band,
    /// The largest distance from the straight line at which a cell was not negligible, in bytes.
    pub(crate) farthest: usize,
    /// ln of the probability at each level, without its weight.
    pub(crate) levels: Vec<f64>,
    /// Where the cells of each level are that are not negligible.
    pub(crate) extents: Vec<Band>,
    /// ln of the whole probability, clean records included.
    pub(crate) ln: f64,
    /// ln of an upper bound of what the band leaves out.
    pub(crate) ln_lost: f64,
}

impl Likelihood {
    /// Prepares the channel of `settings`; an escape symbol is allowed.
    ///
    /// # Errors
    /// As [`ChannelLaw::new`]: if a value is out of range or not resolved.
    pub fn new(settings: &CorruptSettings) -> Result<Self, SettingsError> {
        let law = ChannelLaw::new(settings)?;
        Ok(Self { ascii: AsciiEmissions::new(&law), law })
    }

    /// The channel's transitions and their probabilities.
    pub fn law(&self) -> &ChannelLaw {
        &self.law
    }

    /// The probability of `corrupted` given `original`, the noise grid and the clean share summed out.
    pub fn score(&self, original: &str, corrupted: &str) -> Score {
        let levels = self.law.settings().levels.len();
        let Some(certified) = self.certified(original, corrupted, TOLERANCE.ln()) else {
            return Score {
                ln_probability: f64::NEG_INFINITY,
                clean: 0.0,
                levels: vec![0.0; levels],
                half_width: original.len().max(corrupted.len()),
                first_impossible: Some(impossible::first_impossible(self, original, corrupted)),
            };
        };
        let share = |ln: f64| (ln - certified.ln).exp();
        Score {
            ln_probability: certified.ln,
            clean: share(self.ln_clean(original, corrupted)),
            levels: certified.levels.iter().map(|ln| share(ln + self.ln_level())).collect(),
            half_width: certified.farthest,
            first_impossible: None,
        }
    }

    /// ln of the weight of one noise level.
    pub(crate) fn ln_level(&self) -> f64 {
        let settings = self.law.settings();
        ((1.0 - settings.clean_share) / settings.levels.len() as f64).ln()
    }

    /// ln of the probability of the pair as a clean record.
    pub(crate) fn ln_clean(&self, original: &str, corrupted: &str) -> f64 {
        if original == corrupted { self.law.settings().clean_share.ln() } else { f64::NEG_INFINITY }
    }

    /// Widens the band until what it leaves out is less than e^`ln_tolerance` of what it holds; `None` if the pair is impossible.
    pub(crate) fn certified<'t>(
        &self,
        original: &'t str,
        corrupted: &'t str,
        ln_tolerance: f64,
    ) -> Option<Certified<'t>> {
        let mut half_width = FIRST_HALF_WIDTH;
        let mut longest_move = FIRST_LONGEST_MOVE;
        let mut lattice = Lattice::new(&self.law, &self.ascii, original, corrupted, longest_move);
        let mut bounds = self.bounds(&lattice);
        // Known to be less than the probability, once there is one.
        let mut floor = f64::NEG_INFINITY;
        let mut is_wide = false;
        let mut is_known_possible = false;
        let (ln_level, ln_clean) = (self.ln_level(), self.ln_clean(original, corrupted));
        let ends = 8.0 * ((lattice.count() + 1) * self.law.settings().levels.len()) as f64;
        loop {
            let band = band(&lattice, half_width);
            let covers_all = band.iter().all(|range| *range == (0, corrupted.len() + 1));
            let is_weighed = ln_level > f64::NEG_INFINITY;
            let ln_allowed =
                if is_weighed { floor + ln_tolerance - ln_level - ends.ln() } else { f64::NEG_INFINITY };
            let found = if is_wide {
                self.passes::<Wide>(&lattice, &band, &bounds, ln_allowed)
            } else {
                self.passes::<f64>(&lattice, &band, &bounds, ln_allowed)
            };
            let (mut sum, mut lost) = (Wide::exp(ln_clean), Wide::ZERO);
            for of_level in &found {
                sum = sum.plus(Wide::exp(of_level.ln + ln_level));
                lost = lost.plus(of_level.lost.times(Wide::exp(ln_level)));
            }
            let (ln, ln_lost) = (sum.ln(), lost.ln());
            let is_exact = is_wide || ln > SMALLEST_LN;
            if is_exact && ln > f64::NEG_INFINITY && ln_lost <= ln + ln_tolerance {
                let levels = found.iter().map(|of_level| of_level.ln).collect();
                let farthest = found.iter().map(|of_level| of_level.half_width).max().unwrap_or(0);
                let extents = found.into_iter().map(|of_level| of_level.extents).collect();
                return Some(Certified { lattice, band, farthest, levels, extents, ln, ln_lost });
            }
            floor = ln;
            if !is_exact {
                is_wide = true;
                continue;
            }
            if ln == f64::NEG_INFINITY {
                let is_hopeless = covers_all && !lattice.is_cut();
                if is_hopeless || !is_known_possible && !impossible::is_possible(self, &lattice) {
                    return None;
                }
                is_known_possible = true;
            }
            if lattice.is_cut() {
                longest_move = longest_move.saturating_mul(4);
                lattice = Lattice::new(&self.law, &self.ascii, original, corrupted, longest_move);
                bounds = self.bounds(&lattice);
            }
            half_width = if covers_all { half_width } else { half_width.saturating_mul(8) };
        }
    }

    fn bounds(&self, lattice: &Lattice<'_>) -> Vec<Bound> {
        let levels = self.law.settings().levels.iter();
        levels.map(|level| Bound::new(lattice, &self.law, &self.law.at_level(*level))).collect()
    }

    /// What the band holds of each level.
    fn passes<W: Mass>(
        &self,
        lattice: &Lattice<'_>,
        band: &Band,
        bounds: &[Bound],
        ln_allowed: f64,
    ) -> Vec<Found> {
        let tables = Tables::<W>::new(lattice);
        let levels = self.law.settings().levels.iter();
        let pass = |(level, bound): (&f64, &Bound)| {
            let level = self.law.at_level(*level);
            let guard = Guard { bound, ln_allowed };
            let Pass { total, lost, half_width, extents, .. } =
                Forward::new(lattice, &self.law, level, &tables, band).guarded(guard).run(None);
            Found { ln: total.ln(), lost, half_width, extents }
        };
        levels.zip(bounds).map(pass).collect()
    }
}
