//! Low-rank adapters in PEFT's format.

mod config;
mod merge;

pub use config::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, LoraConfig, Targets};
pub use merge::merge;
