//! The operations of the channel, and what an event can be.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::EventError;

/// An operation of the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// A span is left out.
    Deletion,
    /// Each grapheme of a span is replaced by another symbol.
    Substitution,
    /// Symbols are put in.
    Insertion,
    /// A span is emitted twice, in tandem.
    Duplication,
    /// A span is emitted backwards, grapheme by grapheme.
    Reversal,
}

impl Op {
    /// All operations, in the order of their discriminants.
    pub const ALL: [Self; 5] =
        [Self::Deletion, Self::Substitution, Self::Insertion, Self::Duplication, Self::Reversal];

    /// The name used in recipes and in the pair schema.
    pub fn name(self) -> &'static str {
        match self {
            Self::Deletion => "deletion",
            Self::Substitution => "substitution",
            Self::Insertion => "insertion",
            Self::Duplication => "duplication",
            Self::Reversal => "reversal",
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an event is: one of the channel's operations, or a difference whose cause nobody saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventOp {
    /// The channel did it.
    Channel(Op),
    /// A difference between the texts of a real pair: `replacement` stands where `removed` stood.
    Edit,
}

impl EventOp {
    /// Everything an event can be, the channel's operations first.
    pub const ALL: [Self; 6] = [
        Self::Channel(Op::Deletion),
        Self::Channel(Op::Substitution),
        Self::Channel(Op::Insertion),
        Self::Channel(Op::Duplication),
        Self::Channel(Op::Reversal),
        Self::Edit,
    ];

    /// The name used in the pair schema.
    pub fn name(self) -> &'static str {
        match self {
            Self::Channel(op) => op.name(),
            Self::Edit => "edit",
        }
    }
}

impl From<Op> for EventOp {
    fn from(op: Op) -> Self {
        Self::Channel(op)
    }
}

impl PartialEq<Op> for EventOp {
    fn eq(&self, other: &Op) -> bool {
        *self == Self::Channel(*other)
    }
}

impl fmt::Display for EventOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EventOp {
    type Err = EventError;

    fn from_str(name: &str) -> Result<Self, EventError> {
        let found = Self::ALL.into_iter().find(|op| op.name() == name);
        found.ok_or_else(|| EventError::UnknownOp(name.to_owned()))
    }
}

impl Serialize for EventOp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for EventOp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for op in EventOp::ALL {
            assert_eq!(op.name().parse::<EventOp>().unwrap(), op);
        }
        assert!("Edit".parse::<EventOp>().unwrap_err().to_string().contains("unknown operation \"Edit\""));
    }
}
