//! Decoder-only models in the Hugging Face layout: `llama`, `qwen2` and `qwen3`, one network with a few switches.

mod config;
mod frequencies;
mod network;

pub use config::{DecoderConfig, MODEL_TYPES};
pub use network::{Decoder, DecoderCache};
