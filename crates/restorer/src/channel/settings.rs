//! How much a search looks at, and what it is weighed by.

use corruptor::SettingsError;
use serde::{Deserialize, Serialize};

use crate::calibration::Calibration;

/// How a channel is decoded: `decoding` in `restorer.json`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Decoding {
    /// What the prior and the events weigh.
    pub weights: Weights,
    /// Least probability that a drawn symbol is none of the alphabet's, so that every input is possible.
    pub escape: f64,
    /// How far a search looks.
    pub beam: Beam,
    /// How far the probabilities of edits are worked out.
    pub posterior: Posterior,
    /// From shares of the weighted score to probabilities.
    pub calibration: Calibration,
}

impl Decoding {
    /// Checks every range.
    ///
    /// # Errors
    /// The first key that is out of range, and what it should be.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let Self { weights, escape, beam, posterior, calibration } = self;
        let ranges = [
            ("weights.prior", weights.prior > 0.0 && weights.prior.is_finite(), "a number above 0"),
            (
                "weights.event_penalty",
                (0.0..f64::INFINITY).contains(&weights.event_penalty),
                "nats, from 0 on",
            ),
            ("weights.clean", weights.clean.is_finite(), "a number of nats"),
            ("weights.suspicion", (0.0..f64::INFINITY).contains(&weights.suspicion), "a number from 0 on"),
            ("escape", (0.0..1.0).contains(escape), "a probability under 1"),
            ("beam.width", beam.width > 0, "a number from 1 on"),
            ("beam.margin", beam.margin > 0.0, "nats, above 0"),
            ("beam.credit", (0.0..f64::INFINITY).contains(&beam.credit), "nats, from 0 on"),
            ("beam.surprise", !beam.surprise.is_nan(), "a number of nats"),
            ("beam.proposals", beam.proposals > 0, "a number from 1 on"),
            ("posterior.margin", posterior.margin > 0.0, "nats, above 0"),
            ("posterior.others", (0.0..1.0).contains(&posterior.others), "a share under 1"),
            (
                "calibration.slope",
                calibration.slope > 0.0 && calibration.slope.is_finite(),
                "a number above 0",
            ),
            ("calibration.intercept", calibration.intercept.is_finite(), "a number"),
        ];
        match ranges.into_iter().find(|(_, fits, _)| !fits) {
            Some((key, _, expected)) => {
                Err(SettingsError::new(format!("decoding.{key}"), format!("out of range; give {expected}")))
            }
            None => Ok(()),
        }
    }
}

impl Default for Decoding {
    fn default() -> Self {
        Self {
            calibration: Calibration::default(),
            weights: Weights::default(),
            escape: 1e-3,
            beam: Beam::default(),
            posterior: Posterior::default(),
        }
    }
}

/// How far a search looks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Beam {
    /// Most hypotheses that are followed at a byte of the input, and as many after each grapheme that is missing there.
    pub width: usize,
    /// Hypotheses whose weight is this far below the best one's are not followed, in nats.
    pub margin: f64,
    /// By how many nats more a hypothesis may be below while it has only paid for what is lost: what that explains is yet to come.
    pub credit: f64,
    /// Nats of a byte that the prior is surprised at: events start only near one that is at least so improbable.
    pub surprise: f64,
    /// Most graphemes that the prior proposes for one that is lost.
    pub proposals: usize,
    /// Most graphemes that are missing at one place.
    pub longest_gap: usize,
    /// Most graphemes of an insertion, a duplication or a reversal that is looked for.
    pub longest_span: usize,
}

impl Beam {
    /// Everything that can have happened, with at most `longest_gap` graphemes missing at a place: for texts of a few bytes.
    pub fn unbounded(longest_gap: usize) -> Self {
        Self {
            width: usize::MAX,
            margin: f64::INFINITY,
            credit: 0.0,
            surprise: 0.0,
            proposals: usize::MAX,
            longest_gap,
            longest_span: usize::MAX,
        }
    }
}

impl Default for Beam {
    fn default() -> Self {
        Self {
            width: 128,
            margin: 8.0,
            credit: 2.0,
            surprise: 3.0,
            proposals: 12,
            longest_gap: 8,
            longest_span: 64,
        }
    }
}

/// What the parts of a hypothesis weigh: `prior` · ln P(original) + ln P(level, events, corrupted | original)
/// − `event_penalty` · events, and `clean` more where the level is clean.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Weights {
    /// Factor of the prior's log-probabilities, above 0.
    pub prior: f64,
    /// What each event costs beyond its probability, in nats.
    pub event_penalty: f64,
    /// What a text is given for being clean, in nats: how much all of its events together must explain.
    pub clean: f64,
    /// How much less that is for each nat of suspicion that a tagger has of the text; it is never under 0 for that.
    pub suspicion: f64,
}

impl Weights {
    /// What a text is given for being clean where a tagger suspects it so much, in nats.
    pub fn clean_under(&self, suspicion: f64) -> f64 {
        if self.suspicion == 0.0 {
            self.clean
        } else {
            (self.clean - self.suspicion * suspicion).max(self.clean.min(0.0))
        }
    }
}

impl Default for Weights {
    fn default() -> Self {
        Self { prior: 1.0, event_penalty: 0.5, clean: 0.0, suspicion: 0.0 }
    }
}

/// How far the probabilities of edits are worked out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Posterior {
    /// Hypotheses whose best path is this far below the best of all do not count, in nats.
    pub margin: f64,
    /// Graphemes that every hypothesis copies on both sides of where a text is cut into parts.
    pub quiet: usize,
    /// Most originals of a part that are told apart.
    pub originals: usize,
    /// Most prefixes of originals of a part that are looked at.
    pub prefixes: usize,
    /// Share of the weight that may be left out.
    pub others: f64,
}

impl Posterior {
    /// All originals that were found.
    pub fn unbounded() -> Self {
        Self {
            margin: f64::INFINITY,
            quiet: usize::MAX,
            originals: usize::MAX,
            prefixes: usize::MAX,
            others: 0.0,
        }
    }
}

impl Default for Posterior {
    fn default() -> Self {
        Self { margin: 9.0, quiet: 4, originals: 64, prefixes: 4096, others: 0.002 }
    }
}
