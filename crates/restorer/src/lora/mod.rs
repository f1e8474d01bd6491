//! Low-rank adapters in PEFT's format.

mod config;

pub use config::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, LoraConfig, Targets};
