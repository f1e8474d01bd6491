//! Types in which the weights of a checkpoint are written.

use std::fmt;
use std::str::FromStr;

use candle_core::DType;

/// Type of written weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WeightType {
    /// 4 bytes a weight.
    #[default]
    Float32,
    /// 2 bytes a weight, with the range of float32.
    Bfloat16,
    /// 2 bytes a weight, up to 65,504.
    Float16,
}

impl WeightType {
    /// Its name in `config.json` and on command lines.
    pub fn name(self) -> &'static str {
        match self {
            Self::Float32 => "float32",
            Self::Bfloat16 => "bfloat16",
            Self::Float16 => "float16",
        }
    }

    pub(crate) fn dtype(self) -> DType {
        match self {
            Self::Float32 => DType::F32,
            Self::Bfloat16 => DType::BF16,
            Self::Float16 => DType::F16,
        }
    }
}

impl fmt::Display for WeightType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for WeightType {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "float32" | "f32" => Ok(Self::Float32),
            "bfloat16" | "bf16" => Ok(Self::Bfloat16),
            "float16" | "f16" => Ok(Self::Float16),
            _ => Err("known are float32, bfloat16 and float16".to_owned()),
        }
    }
}
