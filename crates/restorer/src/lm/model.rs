//! An autoregressive model with everything that restoring and training need.

use std::path::Path;

use candle_core::{DType, Device};
use serde_json::{Map, Value};

use super::codec::{Codec, UNKNOWN};
use super::examples::Beginnings;
use super::files::ModelFiles;
use super::network::Network;
use super::new;
use super::prompt::Prompt;
use super::settings::{Learn, LmSettings, WINDOWS, default_prompt};
use crate::checkpoint::RESTORER_VERSION;
use crate::compute_type::ComputeType;
use crate::device::DeviceChoice;
use crate::engine::DocumentSettings;
use crate::error::RestoreError;
use crate::layers::{NamedParams, Operands, Params};
use crate::load::LoadOptions;
use crate::lora::{self, LoraConfig};
use crate::restorer::{Decoding, ModelInfo};
use crate::t5;
use crate::weights;
use crate::windows::WindowSize;

/// An autoregressive model that restores.
#[derive(Debug)]
pub struct LanguageModel {
    pub(super) network: Network,
    pub(super) params: NamedParams,
    pub(super) files: ModelFiles,
    /// The updates that learn, where the rest is frozen.
    pub(super) lora: Option<LoraConfig>,
    pub(super) codec: Codec,
    pub(super) template: String,
    pub(super) prompt: Prompt,
    pub(super) ends: Vec<u32>,
    pub(super) restoring: DocumentSettings,
    pub(super) learn: Learn,
    pub(super) info: ModelInfo,
    pub(super) base_digest: Option<String>,
    pub(super) operands: Operands,
    /// Whether its input is the draft of what it writes.
    pub(super) drafts: bool,
    pub(super) pool: Option<rayon::ThreadPool>,
}

/// What a model computes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compute {
    /// Type of the activations.
    pub dtype: DType,
    /// What products on a CPU round their operands to while training.
    pub operands: Operands,
}

impl Default for Compute {
    fn default() -> Self {
        Self { dtype: DType::F32, operands: Operands::Float32 }
    }
}

/// Confidence under which an edit is not applied, where nobody has chosen a threshold.
const MIN_CONFIDENCE: f32 = 0.5;

impl LanguageModel {
    /// Loads a directory to restore with: nothing of it learns, and an adapter is added into its model.
    ///
    /// # Errors
    /// If a file or a tensor is missing or has another form than the configuration says (the error names it).
    pub fn load(dir: &Path, options: &LoadOptions) -> Result<Self, RestoreError> {
        let files = ModelFiles::read(dir)?;
        let device = options.device.open()?;
        let mut tensors = files.tensors()?;
        if let Some(adapter) = &files.adapter {
            lora::merge(&mut tensors, &adapter.config, &adapter.path, adapter.tensors()?)?;
        }
        let params = Params::from_tensors(weights_path(&files), "the model", tensors, &device);
        let params = params.in_int8(computes_in_int8(files.int8, options)?);
        let prompt = options.prompt.clone();
        let settings = LmSettings { family: family(&files), prompt, ..LmSettings::default() };
        Self::assemble(params.frozen_as(DType::F32), files, None, &settings, Compute::default(), options)
    }

    /// A new model of random weights, to be trained.
    ///
    /// # Errors
    /// If the settings cannot be used or the device is not there.
    pub fn random(
        settings: &LmSettings,
        compute: Compute,
        options: &LoadOptions,
    ) -> Result<Self, RestoreError> {
        settings.validate()?;
        if settings.lora.is_some() {
            let message = "updates of low rank need a model to update; name one with --init".to_owned();
            return Err(RestoreError::Config { key: "lora", message });
        }
        let files = new::files(settings)?;
        let params = Params::random(settings.seed, &options.device.open()?);
        Self::assemble(params, files, None, settings, compute, options)
    }

    /// A model to be trained further. With `lora` in the settings, or where `dir` holds an adapter, only updates of low rank learn.
    /// What learns is float32, whatever it computes in.
    ///
    /// # Errors
    /// As [`Self::load`]; and if the directory holds another family than the settings name.
    pub fn to_train(
        dir: &Path,
        settings: &LmSettings,
        compute: Compute,
        options: &LoadOptions,
    ) -> Result<Self, RestoreError> {
        settings.validate()?;
        let mut files = ModelFiles::read(dir)?;
        if family(&files) != settings.family {
            let message = format!(
                "the recipe trains \"{}\", but {} holds \"{}\"",
                settings.family,
                dir.display(),
                family(&files)
            );
            return Err(RestoreError::Config { key: "family", message });
        }
        if let Some(rate) = settings.dropout {
            for key in ["dropout_rate", "attention_dropout"] {
                if files.config.contains_key(key) {
                    files.config.insert(key.to_owned(), f64::from(rate).into());
                }
            }
        }
        let device = options.device.open()?;
        let params = Params::from_tensors(weights_path(&files), "the model", files.tensors()?, &device);
        let (params, lora) = match (&files.adapter, &settings.lora) {
            (Some(adapter), _) => {
                let config = adapter.config.clone();
                let tensors = adapter.tensors()?;
                let params = params.frozen_as(compute.dtype);
                (params.with_adapters(config.clone(), adapter.path.clone(), tensors), Some(config))
            }
            (None, Some(lora)) => {
                let config = lora.config(&settings.family, dir, options.name.as_ref());
                config.validate()?;
                (
                    params.frozen_as(compute.dtype).with_new_adapters(config.clone(), settings.seed),
                    Some(config),
                )
            }
            (None, None) => (params, None),
        };
        Self::assemble(params, files, lora, settings, compute, options)
    }

    fn assemble(
        mut params: Params,
        files: ModelFiles,
        lora: Option<LoraConfig>,
        settings: &LmSettings,
        compute: Compute,
        options: &LoadOptions,
    ) -> Result<Self, RestoreError> {
        if options.device == DeviceChoice::Cpu {
            // Work is parallel over windows and micro-batches; a matrix product inside one stays on its thread.
            gemm::set_threading_threshold(usize::MAX);
        }
        let network = Network::new(&mut params, &files.config, compute.dtype)?;
        let params = params.finish()?;
        let codec = files.codec()?;
        let ends = files.ends()?;
        let known = files.restorer.as_ref();
        if let Some(found) = known.map(|known| known.version).filter(|version| *version != RESTORER_VERSION) {
            let message = format!("{found}; this program reads version {RESTORER_VERSION}");
            return Err(RestoreError::Config { key: "version", message });
        }
        let base_digest = files.base_digest()?;
        if let (Some(_), Some(wanted), Some(found)) =
            (&files.adapter, known.and_then(|known| known.base.as_ref()), &base_digest)
            && wanted != found
        {
            return Err(RestoreError::OtherBase {
                path: weights_path(&files),
                found: found.chars().take(16).collect(),
                wanted: wanted.chars().take(16).collect(),
            });
        }
        let template = settings
            .prompt
            .clone()
            .or_else(|| known.and_then(|known| known.prompt.clone()))
            .unwrap_or_else(|| default_prompt(network.family()).to_owned());
        let is_t5 = network.family() == t5::MODEL_TYPE;
        // A tokenizer's own file says what stands before a text; bytes have no such file.
        let start: Vec<u32> = match codec {
            Codec::Bytes if !is_t5 => files.token("bos_token_id").into_iter().collect(),
            _ => Vec::new(),
        };
        let end: &[u32] = if is_t5 { &ends[..1] } else { &[] };
        let prompt = Prompt::new(&template, &codec, &start, end)?;
        let count = |shape: &[usize]| shape.iter().product::<usize>();
        let learned: usize = params.vars.values().map(|var| count(var.dims())).sum();
        let frozen: usize = params.frozen.values().map(|tensor| count(tensor.dims())).sum();
        let size = options.size(settings.size(known.map_or(WINDOWS, |known| WindowSize {
            window_bytes: known.window_bytes,
            overlap_bytes: known.overlap_bytes,
        })))?;
        let min_confidence = known.map_or(MIN_CONFIDENCE, |known| known.min_confidence);
        let calibration = known.and_then(|known| known.calibration).filter(|_| !options.raw_confidence);
        let text_calibration = options.of_texts(known.and_then(|known| known.text_calibration));
        let info = ModelInfo {
            family: network.family().to_owned(),
            digest: digest(base_digest.as_deref(), files.adapter.as_ref().map(|a| a.path.as_path()))?,
            decodings: vec![Decoding::Greedy, Decoding::Beam],
            parameters: learned + frozen + params.rounded,
            window_bytes: size.window_bytes,
            min_confidence,
            calibrated: calibration.is_some(),
            text_calibrated: text_calibration.is_some(),
            profile: known.and_then(|known| known.profile.clone()),
        };
        let restoring = DocumentSettings {
            size,
            max_rounds: 1,
            looks_once: false,
            remembered_bytes: 0,
            min_confidence,
            calibration,
            text_calibration,
            is_calibrated: calibration.is_some(),
        };
        let pool = options.thread_pool()?;
        Ok(Self {
            network,
            params,
            files,
            lora,
            codec,
            template,
            prompt,
            ends,
            restoring,
            learn: settings.learn,
            info,
            base_digest,
            operands: compute.operands,
            drafts: !options.no_drafts,
            pool,
        })
    }

    /// What stands before texts that it learns by themselves.
    pub(super) fn beginnings(&self) -> Beginnings {
        let end = self.ends[0];
        match self.codec {
            Codec::Bytes => {
                Beginnings { text: self.files.token("bos_token_id").unwrap_or(end), middle: UNKNOWN }
            }
            // What such a model has always seen there: its token for beginnings, or the end of another text.
            Codec::File(_) => {
                let text = self.codec.encode_template("", true).first().copied().unwrap_or(end);
                Beginnings { text, middle: text }
            }
        }
    }

    /// The network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// How it reads texts.
    pub fn codec(&self) -> &Codec {
        &self.codec
    }

    /// `config.json`.
    pub fn config(&self) -> &Map<String, Value> {
        &self.files.config
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        self.network.device()
    }
}

/// Whether linear maps compute in 8 bits; `stored` says whether the checkpoint's matrices have 8.
fn computes_in_int8(stored: bool, options: &LoadOptions) -> Result<bool, RestoreError> {
    let on_cpu = options.device == DeviceChoice::Cpu;
    match options.compute_type {
        ComputeType::Auto => Ok(stored && on_cpu),
        ComputeType::Float32 => Ok(false),
        ComputeType::Int8 if on_cpu => Ok(true),
        ComputeType::Int8 => Err(RestoreError::Device {
            device: options.device.to_string(),
            message: "int8 is computed on the CPU only; use `cpu`, or float32".to_owned(),
        }),
    }
}

/// `model_type` of the configuration.
fn family(files: &ModelFiles) -> String {
    files.config.get("model_type").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Where the weights are, for messages.
fn weights_path(files: &ModelFiles) -> std::path::PathBuf {
    files.base.clone().unwrap_or_default().join(crate::checkpoint::WEIGHTS)
}

/// BLAKE3 of the model and its adapter, in hexadecimal.
fn digest(base: Option<&str>, adapter: Option<&Path>) -> Result<String, RestoreError> {
    let Some(base) = base else { return Ok("new".to_owned()) };
    let Some(path) = adapter else { return Ok(base.to_owned()) };
    let mut hasher = blake3::Hasher::new();
    hasher.update(base.as_bytes());
    hasher.update(&weights::open_file(path)?.digest());
    Ok(hasher.finalize().to_hex().to_string())
}
