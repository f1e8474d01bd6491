//! The files of a model in the Hugging Face layout, with or without an adapter.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::codec::Codec;
use super::network::Network;
use crate::checkpoint::{CHANNEL_TASK, COMPANIONS, CONFIG, RESTORER, RestorerJson};
use crate::error::RestoreError;
use crate::lora::{ADAPTER_CONFIG, ADAPTER_WEIGHTS, LoraConfig};
use crate::matrices;
use crate::source::ModelName;
use crate::weights;

/// A tokenizer's own file.
const TOKENIZER: &str = "tokenizer.json";

/// The family of the autoregressive model in a directory, if it holds one: a model, or an adapter of one.
///
/// # Errors
/// If its configuration cannot be read.
pub(crate) fn family_of(dir: &Path) -> Result<Option<&'static str>, RestoreError> {
    let base = if dir.join(ADAPTER_CONFIG).exists() {
        find_base(dir, &json(&dir.join(ADAPTER_CONFIG))?)?
    } else {
        dir.to_owned()
    };
    let config: Map<String, Value> = json(&base.join(CONFIG))?;
    let named = config.get("model_type").and_then(Value::as_str);
    Ok(Network::model_types().find(|known| Some(*known) == named))
}

/// Whether a directory holds a decoder that has learned texts alone.
///
/// # Errors
/// If its `restorer.json` cannot be read.
pub(crate) fn is_prior(dir: &Path) -> Result<bool, RestoreError> {
    let path = dir.join(RESTORER);
    Ok(path.exists() && json::<RestorerJson>(&path)?.task == CHANNEL_TASK)
}

/// Everything but the weights.
#[derive(Clone, Debug)]
pub(super) struct ModelFiles {
    /// Where the base's files are; none for a new model.
    pub(super) base: Option<PathBuf>,
    /// `config.json`.
    pub(super) config: Map<String, Value>,
    /// What lies beside it, by name.
    pub(super) companions: Vec<(String, Vec<u8>)>,
    /// What restoration needs, if someone has restored with this model before.
    pub(super) restorer: Option<RestorerJson>,
    /// Whether its matrices are of 8 bits.
    pub(super) int8: bool,
    /// The adapter on top.
    pub(super) adapter: Option<AdapterFiles>,
}

/// An adapter's files.
#[derive(Clone, Debug)]
pub(super) struct AdapterFiles {
    pub(super) config: LoraConfig,
    pub(super) path: PathBuf,
}

impl ModelFiles {
    /// Of a new model.
    pub(super) fn new(config: Map<String, Value>, companions: Vec<(String, Vec<u8>)>) -> Self {
        Self { base: None, config, companions, restorer: None, int8: false, adapter: None }
    }

    /// Reads a directory: a model, or an adapter whose `adapter_config.json` names its model.
    ///
    /// # Errors
    /// If a file is missing or has another form, or an adapter's model cannot be found.
    pub(super) fn read(dir: &Path) -> Result<Self, RestoreError> {
        let restorer = if dir.join(RESTORER).exists() { Some(json(&dir.join(RESTORER))?) } else { None };
        if !dir.join(ADAPTER_CONFIG).exists() {
            return Self::read_base(dir, restorer);
        }
        let config: LoraConfig = json(&dir.join(ADAPTER_CONFIG))?;
        config.validate()?;
        let base = find_base(dir, &config)?;
        let adapter = Some(AdapterFiles { config, path: dir.join(ADAPTER_WEIGHTS) });
        Ok(Self { adapter, ..Self::read_base(&base, restorer)? })
    }

    fn read_base(dir: &Path, restorer: Option<RestorerJson>) -> Result<Self, RestoreError> {
        let mut companions = Vec::new();
        for name in COMPANIONS {
            let path = dir.join(name);
            match std::fs::read(&path) {
                Ok(bytes) => companions.push((name.to_owned(), bytes)),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(RestoreError::Io { path, source }),
            }
        }
        let mut config = json(&dir.join(CONFIG))?;
        let int8 = matrices::take_description(&mut config, &dir.join(CONFIG))?;
        Ok(Self { base: Some(dir.to_owned()), config, companions, restorer, int8, adapter: None })
    }

    /// A companion parsed as JSON; `None` where it is missing.
    fn companion(&self, name: &str) -> Option<Map<String, Value>> {
        let (_, bytes) = self.companions.iter().find(|(companion, _)| companion == name)?;
        serde_json::from_slice(bytes).ok()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.base.clone().unwrap_or_default().join(name)
    }

    /// How the model reads texts.
    ///
    /// # Errors
    /// If its tokenizer is in a form that cannot be read.
    pub(super) fn codec(&self) -> Result<Codec, RestoreError> {
        if let Some((_, bytes)) = self.companions.iter().find(|(name, _)| name == TOKENIZER) {
            return Codec::parse(&self.path(TOKENIZER), bytes);
        }
        let class = self.companion("tokenizer_config.json");
        let class = class.as_ref().and_then(|config| config.get("tokenizer_class")).and_then(Value::as_str);
        if class.is_some_and(|class| class.starts_with("ByT5")) {
            return Ok(Codec::Bytes);
        }
        Err(RestoreError::Format {
            path: self.path(TOKENIZER),
            message: "is missing; Python's `AutoTokenizer.from_pretrained(…).save_pretrained(…)` writes it from older forms"
                .to_owned(),
        })
    }

    /// The tokens that end a text.
    ///
    /// # Errors
    /// If the files name none.
    pub(super) fn ends(&self) -> Result<Vec<u32>, RestoreError> {
        let generation = self.companion("generation_config.json").unwrap_or_default();
        let named = [&generation, &self.config].into_iter().filter_map(|json| json.get("eos_token_id"));
        let tokens = |value: &Value| -> Vec<u32> {
            let all = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
            all.iter().filter_map(Value::as_u64).filter_map(|token| u32::try_from(token).ok()).collect()
        };
        named.map(tokens).find(|tokens| !tokens.is_empty()).ok_or_else(|| RestoreError::Format {
            path: self.path(CONFIG),
            message: "names no eos_token_id: nobody could tell where a restored text ends".to_owned(),
        })
    }

    /// A token that the configuration names.
    pub(super) fn token(&self, key: &str) -> Option<u32> {
        self.config.get(key).and_then(Value::as_u64).and_then(|token| u32::try_from(token).ok())
    }

    /// The tensors of the model, without the adapter.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) fn tensors(&self) -> Result<HashMap<String, Tensor>, RestoreError> {
        match &self.base {
            Some(dir) => all_tensors(&weights::open(dir)?),
            None => Ok(HashMap::new()),
        }
    }

    /// BLAKE3 of configuration, tokenizer and weights of the model, in hexadecimal; the adapter does not count.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) fn base_digest(&self) -> Result<Option<String>, RestoreError> {
        let Some(dir) = &self.base else { return Ok(None) };
        let mut hasher = blake3::Hasher::new();
        hasher.update(&serde_json::to_vec(&self.config).unwrap_or_default());
        for (name, bytes) in &self.companions {
            hasher.update(name.as_bytes()).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        }
        hasher.update(&weights::open(dir)?.digest());
        Ok(Some(hasher.finalize().to_hex().to_string()))
    }
}

impl AdapterFiles {
    /// The adapter's tensors.
    ///
    /// # Errors
    /// If they cannot be read.
    pub(super) fn tensors(&self) -> Result<HashMap<String, Tensor>, RestoreError> {
        all_tensors(&weights::open_file(&self.path)?)
    }
}

fn all_tensors(weights: &weights::Weights) -> Result<HashMap<String, Tensor>, RestoreError> {
    let tensor = |name: &str| {
        let tensor = matrices::tensor(weights, name)?;
        Some(tensor.map(|tensor| (name.to_owned(), tensor)))
    };
    weights.names().filter(|name| !matrices::is_scale(weights, name)).filter_map(tensor).collect()
}

/// The directory of an adapter's model: as it is named, beside the adapter, a hub's or a registry's.
fn find_base(dir: &Path, config: &LoraConfig) -> Result<PathBuf, RestoreError> {
    let path = dir.join(ADAPTER_CONFIG);
    let Some(name) = config.base_model_name_or_path.as_deref().filter(|name| !name.is_empty()) else {
        let message = "names no base_model_name_or_path".to_owned();
        return Err(RestoreError::Format { path, message });
    };
    let beside = dir.parent().unwrap_or(Path::new("..")).join(name);
    if let Some(base) = [PathBuf::from(name), beside].into_iter().find(|base| base.join(CONFIG).exists()) {
        return Ok(base);
    }
    match ModelName::parse(name) {
        ModelName::Hub { repo, revision } => {
            let revision = revision.or_else(|| config.revision.clone());
            return ModelName::Hub { repo, revision }.resolve();
        }
        registered @ ModelName::Registered { .. } => return registered.resolve(),
        ModelName::Directory(_) | ModelName::Versions { .. } => {}
    }
    let message = format!(
        "the adapter's model `{name}` is no directory with a {CONFIG}, here or beside the adapter, no hub id and no registry's model; \
         put it there"
    );
    Err(RestoreError::Format { path, message })
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, RestoreError> {
    let bytes = std::fs::read(path).map_err(|source| RestoreError::Io { path: path.to_owned(), source })?;
    serde_json::from_slice(&bytes)
        .map_err(|e| RestoreError::Format { path: path.to_owned(), message: e.to_string() })
}
