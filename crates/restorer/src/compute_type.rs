//! In what an autoregressive model computes when it restores.

use std::fmt;
use std::str::FromStr;

/// What the linear maps of an autoregressive model compute in when it restores on a CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ComputeType {
    /// 8 bits where the checkpoint's matrices have 8 bits, else float32.
    #[default]
    Auto,
    /// float32, whatever the checkpoint's matrices are in.
    Float32,
    /// Weights and what is multiplied with them in 8 bits: a quarter of the memory, and faster; what it writes may differ a little.
    Int8,
}

impl ComputeType {
    /// The names, as command lines take them.
    pub const NAMES: [&str; 3] = ["auto", "float32", "int8"];

    fn name(self) -> &'static str {
        let [auto, float32, int8] = Self::NAMES;
        match self {
            Self::Auto => auto,
            Self::Float32 => float32,
            Self::Int8 => int8,
        }
    }
}

impl fmt::Display for ComputeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ComputeType {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        [Self::Auto, Self::Float32, Self::Int8]
            .into_iter()
            .find(|known| known.name() == name)
            .ok_or_else(|| format!("known are {}", Self::NAMES.join(", ")))
    }
}
