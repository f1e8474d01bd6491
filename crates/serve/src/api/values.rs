//! The values of options: checked where they come in, on the command line and in JSON alike.

use std::str::FromStr;

use corruptor::OffsetUnit;
use restorer::{Decoding, Priority};
use serde::Deserialize;
use serde_json::Number;
use utoipa::ToSchema;

/// Most rounds that a request may ask for; a model stops by itself as soon as nothing changes.
pub const MAX_ROUNDS: usize = 16;
/// Most other originals that a request may ask for.
pub const MAX_ALTERNATIVES: usize = 16;
/// Most hypotheses that a request may ask for.
pub const MAX_BEAMS: usize = 256;
/// Longest deadline, in milliseconds: a day.
pub const MAX_DEADLINE_MS: u64 = 86_400_000;

/// A value that no option takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not a probability.
    #[error("{0} is no probability: a number from 0 to 1")]
    Probability(String),
    /// Not a rate of noise.
    #[error("{0} is no rate of noise: a number from 0 to 0.5")]
    Rate(String),
    /// Not a count in its range.
    #[error("{given} is not a whole number from {least} to {most}")]
    Count {
        /// What was given.
        given: String,
        /// The least that is taken.
        least: u64,
        /// The most.
        most: u64,
    },
}

/// A probability.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, ToSchema)]
#[serde(try_from = "f64")]
#[schema(value_type = f64, minimum = 0, maximum = 1)]
pub struct Probability(pub f32);

impl TryFrom<f64> for Probability {
    type Error = ValueError;

    fn try_from(value: f64) -> Result<Self, ValueError> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value as f32))
        } else {
            Err(ValueError::Probability(value.to_string()))
        }
    }
}

impl FromStr for Probability {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let value: Result<f64, _> = text.trim().parse();
        value.map_err(|_| ValueError::Probability(format!("`{text}`"))).and_then(Self::try_from)
    }
}

/// A whole number from `LEAST` to `MOST`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Number")]
pub struct Count<const LEAST: u64, const MOST: u64>(pub u64);

impl<const LEAST: u64, const MOST: u64> Count<LEAST, MOST> {
    /// The number.
    pub fn get(self) -> usize {
        // Bounds fit every machine that this runs on.
        self.0 as usize
    }

    fn error(given: String) -> ValueError {
        ValueError::Count { given, least: LEAST, most: MOST }
    }
}

impl<const LEAST: u64, const MOST: u64> TryFrom<u64> for Count<LEAST, MOST> {
    type Error = ValueError;

    fn try_from(value: u64) -> Result<Self, ValueError> {
        if (LEAST..=MOST).contains(&value) { Ok(Self(value)) } else { Err(Self::error(value.to_string())) }
    }
}

/// JSON has one kind of number: 2.0 is a whole one.
impl<const LEAST: u64, const MOST: u64> TryFrom<Number> for Count<LEAST, MOST> {
    type Error = ValueError;

    fn try_from(value: Number) -> Result<Self, ValueError> {
        whole(&value).ok_or_else(|| Self::error(value.to_string())).and_then(Self::try_from)
    }
}

/// The whole number that a JSON number is.
pub(crate) fn whole(value: &Number) -> Option<u64> {
    let float = || value.as_f64().filter(|value| value.fract() == 0.0 && (0.0..9e15).contains(value));
    value.as_u64().or_else(|| float().map(|value| value as u64))
}

impl<const LEAST: u64, const MOST: u64> FromStr for Count<LEAST, MOST> {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let value: Result<u64, _> = text.trim().parse();
        value.map_err(|_| Self::error(format!("`{text}`"))).and_then(Self::try_from)
    }
}

/// Rounds over a text.
pub type Rounds = Count<1, { MAX_ROUNDS as u64 }>;
/// Other originals.
pub type Alternatives = Count<0, { MAX_ALTERNATIVES as u64 }>;
/// Hypotheses of a search.
pub type Beams = Count<1, { MAX_BEAMS as u64 }>;
/// Milliseconds until an answer is of no use any more.
pub type DeadlineMs = Count<1, MAX_DEADLINE_MS>;
/// Seed of noise.
pub type Seed = Count<0, { u32::MAX as u64 }>;
/// Exactly one.
pub type One = Count<1, 1>;

/// What offsets count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Offsets {
    /// Bytes of UTF-8: Rust, Go.
    #[default]
    Byte,
    /// Code units of UTF-16: JavaScript, Java, .NET, the Language Server Protocol.
    Utf16,
    /// Code points: Python.
    Codepoint,
}

impl From<Offsets> for OffsetUnit {
    fn from(offsets: Offsets) -> Self {
        match offsets {
            Offsets::Byte => Self::Byte,
            Offsets::Utf16 => Self::Utf16,
            Offsets::Codepoint => Self::CodePoint,
        }
    }
}

/// How a model finds what it makes of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// It says of each byte what becomes of it: taggers.
    Edits,
    /// It writes the text anew, at each step the most probable token: encoder–decoders and decoders.
    Greedy,
    /// It writes several at once and takes the most probable: the same.
    Beam,
    /// It searches for the original that prior and channel hold most probable together: priors.
    Channel,
}

impl From<Method> for Decoding {
    fn from(method: Method) -> Self {
        match method {
            Method::Edits => Self::Edits,
            Method::Greedy => Self::Greedy,
            Method::Beam => Self::Beam,
            Method::Channel => Self::Channel,
        }
    }
}

/// How urgent a text is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Urgency {
    /// Somebody waits for it.
    #[default]
    Interactive,
    /// It can wait until there is room.
    Bulk,
}

impl From<Urgency> for Priority {
    fn from(urgency: Urgency) -> Self {
        match urgency {
            Urgency::Interactive => Self::Interactive,
            Urgency::Bulk => Self::Bulk,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_line_and_json_check_alike() {
        assert_eq!("0.25".parse(), Ok(Probability(0.25)));
        assert_eq!(serde_json::from_str::<Probability>("0.25").unwrap(), Probability(0.25));
        for bad in ["NaN", "often", "-0.1", "1.5"] {
            let error = bad.parse::<Probability>().unwrap_err().to_string();
            assert!(error.contains(bad) && error.contains("from 0 to 1"), "{error}");
        }
        assert_eq!("3".parse::<Rounds>().unwrap().get(), 3);
        assert_eq!(serde_json::from_str::<Rounds>("2.0").unwrap().get(), 2);
        for bad in ["0", "17", "-1", "2.5", "1e300", "many"] {
            let error = bad.parse::<Rounds>().unwrap_err().to_string();
            assert!(error.contains(bad) && error.contains("from 1 to 16"), "{error}");
            assert!(serde_json::from_str::<Rounds>(bad).is_err());
        }
    }
}
