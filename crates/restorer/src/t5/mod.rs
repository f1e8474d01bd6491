//! Encoder–decoder models in the Hugging Face layout: `t5`, with T5 v1.1, mT5's shape, Flan-T5 and `ByT5`.

mod bias;
mod config;
mod layers;
mod network;

pub use config::{MODEL_TYPE, T5Config};
pub use network::{T5, T5Cache};
