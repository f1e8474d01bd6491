//! Records that were passed over: counted, with the first places of each reason.

use std::fmt;

use serde::Serialize;

use super::Place;

/// Why a record gives no document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The text, or a file that should hold text, is empty.
    Empty,
    /// The text is null.
    Null,
    /// The bytes are not UTF-8; the place says from which byte on.
    InvalidUtf8,
    /// The same text came before.
    Duplicate,
}

impl SkipReason {
    /// All reasons, in the order of their discriminants.
    pub const ALL: [Self; 4] = [Self::Empty, Self::Null, Self::InvalidUtf8, Self::Duplicate];

    /// The reason in words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Null => "null",
            Self::InvalidUtf8 => "invalid UTF-8",
            Self::Duplicate => "exact duplicate",
        }
    }
}

/// A record that was passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// Where it stands.
    pub place: Place,
    /// Why.
    pub reason: SkipReason,
}

/// Counts of skips, with the first places of each reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skips {
    counts: [u64; SkipReason::ALL.len()],
    first: [Vec<Place>; SkipReason::ALL.len()],
}

impl Skips {
    /// Places kept for each reason.
    pub const PLACES_KEPT: usize = 5;

    /// Counts one skip.
    pub fn add(&mut self, skip: Skip) {
        let index = skip.reason as usize;
        self.counts[index] += 1;
        if self.first[index].len() < Self::PLACES_KEPT {
            self.first[index].push(skip.place);
        }
    }

    /// How many records were skipped for a reason.
    pub fn count(&self, reason: SkipReason) -> u64 {
        self.counts[reason as usize]
    }

    /// The first [`PLACES_KEPT`](Self::PLACES_KEPT) places of a reason.
    pub fn places(&self, reason: SkipReason) -> &[Place] {
        &self.first[reason as usize]
    }

    /// All skips.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds the skips of another input, which comes after this one.
    pub fn merge(&mut self, other: Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        for (places, more) in self.first.iter_mut().zip(other.first) {
            let room = Self::PLACES_KEPT - places.len();
            places.extend(more.into_iter().take(room));
        }
    }
}

impl fmt::Display for Skips {
    /// "nothing skipped", or the counts with the first place of each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.total() == 0 {
            return f.write_str("nothing skipped");
        }
        f.write_str("skipped ")?;
        let mut separator = "";
        for reason in SkipReason::ALL {
            let (count, places) = (self.count(reason), self.places(reason));
            if let Some(place) = places.first() {
                let first = if count > 1 { "first " } else { "" };
                write!(f, "{separator}{count} {} ({first}{place})", reason.name())?;
                separator = ", ";
            }
        }
        Ok(())
    }
}
