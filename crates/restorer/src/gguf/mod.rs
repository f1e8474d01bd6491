//! GGUF files as checkpoints in the Hugging Face layout.
//!
//! [`import`] dequantizes every tensor, gives it the name and the order of rows that transformers has, translates the metadata
//! into `config.json` and `generation_config.json`, and takes or rebuilds the tokenizer.

mod config;
mod file;
mod pre_tokenizer;
mod rope;
mod shape;
mod tensors;
mod tokenizer;

use std::path::{Path, PathBuf};

use self::file::GgufFile;
use self::shape::Shape;
use crate::checkpoint::{CONFIG, WEIGHTS, write_json, write_whole};
use crate::directory::WholeDirectory;
use crate::error::RestoreError;
use crate::weight_type::WeightType;

/// The tokenizer, in the form of the `tokenizers` library.
pub const TOKENIZER: &str = "tokenizer.json";
/// Special tokens by role, and the chat template.
pub const TOKENIZER_CONFIG: &str = "tokenizer_config.json";
/// Where a text begins and ends.
pub const GENERATION_CONFIG: &str = "generation_config.json";

/// How a GGUF file is imported.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// A `tokenizer.json`; `None` takes the one beside the GGUF file, else rebuilds it from the metadata.
    pub tokenizer: Option<PathBuf>,
    /// Type of the weights; float32 says exactly what the GGUF file says.
    pub dtype: WeightType,
    /// Replace a checkpoint that is at the place already.
    pub overwrite: bool,
}

/// Where an imported tokenizer comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenizerOrigin {
    /// A file.
    File(PathBuf),
    /// Rebuilt from the metadata, with this pre-tokenizer.
    Metadata {
        /// `tokenizer.ggml.pre`; `None` where it is missing or "default", and GPT-2's was assumed.
        pre_tokenizer: Option<String>,
    },
}

/// What was imported.
#[derive(Clone, Debug)]
pub struct Imported {
    /// `general.architecture`, which is `model_type` of the checkpoint.
    pub architecture: &'static str,
    /// Number of tensors.
    pub tensors: usize,
    /// Number of weights.
    pub parameters: usize,
    /// Where the tokenizer comes from.
    pub tokenizer: TokenizerOrigin,
}

/// Writes the model of a GGUF file (architectures `llama`, `qwen2` and `qwen3`) as a checkpoint in the Hugging Face layout:
/// `config.json`, `generation_config.json`, `tokenizer.json`, `tokenizer_config.json` and `model.safetensors`.
///
/// The directory appears whole or not at all. One tensor at a time is in memory.
///
/// # Errors
/// If the file is no GGUF file, is cut short, is of another architecture, lacks metadata or a tensor (the error names it), or has
/// something that the layout cannot say; if its tokenizer cannot be rebuilt; if `out` is there and may not be replaced.
pub fn import(model: &Path, out: &Path, options: &ImportOptions) -> Result<Imported, RestoreError> {
    let mut file = GgufFile::open(model)?;
    let shape = Shape::read(&file)?;
    let plan = tensors::plan(&file, &shape)?;
    let rope = rope::scaling(&mut file, &shape)?;
    let special = tokenizer::SpecialIds::read(&file, &shape)?;
    let (tokenizer, origin) = tokenizer::tokenizer_json(&file, &shape, options.tokenizer.as_deref())?;

    let directory = WholeDirectory::create(out, options.overwrite)?;
    let path = |name: &str| directory.path().join(name);
    write_json(&path(CONFIG), &config::config_json(&shape, &rope, special, options.dtype))?;
    write_json(&path(GENERATION_CONFIG), &config::generation_config_json(special))?;
    write_json(&path(TOKENIZER_CONFIG), &tokenizer::config_json(&file, &shape, special)?)?;
    write_whole(&path(TOKENIZER), &tokenizer)?;
    let parameters = tensors::write(&mut file, &plan, options.dtype.dtype(), &path(WEIGHTS))?;
    directory.commit()?;
    Ok(Imported {
        architecture: shape.architecture.name(),
        tensors: plan.len(),
        parameters,
        tokenizer: origin,
    })
}
