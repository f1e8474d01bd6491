//! Where tensors live.

use std::fmt;
use std::str::FromStr;

use candle_core::Device;

use crate::error::RestoreError;

/// A device as the user names it: `cpu` or `cuda:0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The processor.
    #[default]
    Cpu,
    /// An NVIDIA GPU, by ordinal; needs a build with the feature `cuda`.
    Cuda(usize),
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// If the GPU is not there, or this build cannot use one.
    pub fn open(self) -> Result<Device, RestoreError> {
        match self {
            Self::Cpu => Ok(Device::Cpu),
            Self::Cuda(ordinal) if cfg!(feature = "cuda") => Device::new_cuda(ordinal)
                .map_err(|e| self.error(format!("{e}; `nvidia-smi` lists the GPUs there are"))),
            Self::Cuda(_) => {
                Err(self
                    .error("this build has no GPU support; build it with `--features cuda`, or use `cpu`"))
            }
        }
    }

    /// Of several processes on one machine, each of which has a GPU of its own, that of number `index`.
    #[must_use]
    pub fn after(self, index: usize) -> Self {
        match self {
            Self::Cpu => Self::Cpu,
            Self::Cuda(ordinal) => Self::Cuda(ordinal + index),
        }
    }

    fn error(self, message: impl Into<String>) -> RestoreError {
        RestoreError::Device { device: self.to_string(), message: message.into() }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = RestoreError;

    fn from_str(name: &str) -> Result<Self, RestoreError> {
        let ordinal = |n: &str| n.parse().ok().map(Self::Cuda);
        match name {
            "cpu" => Some(Self::Cpu),
            "cuda" => Some(Self::Cuda(0)),
            _ => name.strip_prefix("cuda:").and_then(ordinal),
        }
        .ok_or_else(|| RestoreError::Device {
            device: name.to_owned(),
            message: "unknown; use `cpu` or `cuda:N`".into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        assert_eq!("cuda:1".parse::<DeviceChoice>().unwrap(), DeviceChoice::Cuda(1));
        assert_eq!(DeviceChoice::Cuda(1).to_string(), "cuda:1");
        assert_eq!(DeviceChoice::Cuda(1).after(2), DeviceChoice::Cuda(3));
        assert_eq!(DeviceChoice::Cpu.after(2), DeviceChoice::Cpu);
        assert!("gpu".parse::<DeviceChoice>().unwrap_err().to_string().contains("cuda:N"));
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_cpu_build_says_so() {
        assert!(DeviceChoice::Cuda(0).open().unwrap_err().to_string().contains("--features cuda"));
    }
}
