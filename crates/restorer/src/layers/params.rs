//! Named parameters: read from a checkpoint, or made for a new model.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use candle_core::{DType, Device, Tensor, Var};
use corruptor::RecordStream;

use super::adapter::Adapter;
use crate::error::RestoreError;
use crate::lora::LoraConfig;

/// How a new parameter begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All the same value.
    Constant(f32),
    /// Uniform with this standard deviation.
    Deviation(f32),
}

/// Where parameters come from.
#[derive(Debug)]
enum Origin {
    New { seed: u64 },
    File { path: PathBuf, family: &'static str, tensors: HashMap<String, Tensor> },
}

impl Origin {
    /// The parameter `name` of `shape`, float32, on `device`.
    fn get(
        &mut self,
        name: &str,
        shape: &[usize],
        init: Init,
        device: &Device,
    ) -> Result<Tensor, RestoreError> {
        let (path, family, tensors) = match self {
            Self::New { seed } => return Ok(initial(*seed, name, shape, init, device)?),
            Self::File { path, family, tensors } => (path, family, tensors),
        };
        let Some(tensor) = tensors.remove(name) else {
            let name = name.to_owned();
            return Err(RestoreError::MissingTensor { path: path.clone(), name, family });
        };
        if tensor.dims() != shape {
            let (name, found, wanted) = (name.to_owned(), tensor.dims().to_vec(), shape.to_vec());
            return Err(RestoreError::TensorShape { path: path.clone(), name, found, wanted });
        }
        Ok(tensor.to_dtype(DType::F32)?.to_device(device)?)
    }
}

/// The low-rank updates of a model under construction.
#[derive(Debug)]
struct Adapters {
    config: LoraConfig,
    origin: Origin,
    found: usize,
}

/// The parameters that a model was made of.
#[derive(Debug, Default)]
pub struct NamedParams {
    /// What learns, by the names of `model.safetensors`, or of `adapter_model.safetensors`.
    pub vars: BTreeMap<String, Var>,
    /// What stays as it is, by the names of `model.safetensors`.
    pub frozen: BTreeMap<String, Tensor>,
    /// How many weights are nowhere else than in maps of 8 bits.
    pub rounded: usize,
}

/// Hands out the parameters of a model under dotted names, each once, and keeps them.
#[derive(Debug)]
pub struct Params {
    origin: Origin,
    device: Device,
    prefix: Vec<String>,
    frozen_dtype: Option<DType>,
    int8: bool,
    adapters: Option<Adapters>,
    named: NamedParams,
}

impl Params {
    /// For a new model: every parameter drawn from its own stream of `seed`.
    pub fn random(seed: u64, device: &Device) -> Self {
        Self::of(Origin::New { seed }, device)
    }

    /// For a checkpoint's tensors; `path` and `family` stand in error messages.
    pub fn from_tensors(
        path: PathBuf,
        family: &'static str,
        tensors: HashMap<String, Tensor>,
        device: &Device,
    ) -> Self {
        Self::of(Origin::File { path, family, tensors }, device)
    }

    fn of(origin: Origin, device: &Device) -> Self {
        Self {
            origin,
            device: device.clone(),
            prefix: Vec::new(),
            frozen_dtype: None,
            int8: false,
            adapters: None,
            named: NamedParams::default(),
        }
    }

    /// The parameters handed out from now on do not learn, and are kept as `dtype`.
    #[must_use]
    pub fn frozen_as(self, dtype: DType) -> Self {
        Self { frozen_dtype: Some(dtype), ..self }
    }

    /// Linear maps keep their frozen weights in 8 bits, and compute with them on the CPU; the output layer does not.
    #[must_use]
    pub fn in_int8(self, int8: bool) -> Self {
        Self { int8, ..self }
    }

    /// Adds new low-rank updates (A random, B zero) to the maps that `config` names.
    #[must_use]
    pub fn with_new_adapters(self, config: LoraConfig, seed: u64) -> Self {
        Self { adapters: Some(Adapters { config, origin: Origin::New { seed }, found: 0 }), ..self }
    }

    /// Adds the low-rank updates of an adapter's file.
    #[must_use]
    pub fn with_adapters(self, config: LoraConfig, path: PathBuf, tensors: HashMap<String, Tensor>) -> Self {
        let origin = Origin::File { path, family: "LoRA", tensors };
        Self { adapters: Some(Adapters { config, origin, found: 0 }), ..self }
    }

    /// Whether what is handed out does not learn.
    pub fn is_frozen(&self) -> bool {
        self.frozen_dtype.is_some()
    }

    /// Whether the map under the current prefix keeps its weight in 8 bits.
    pub(super) fn rounds(&self) -> bool {
        self.int8 && self.is_frozen() && self.prefix.last().is_none_or(|module| module != "lm_head")
    }

    /// A frozen parameter is kept by whoever has asked for it.
    pub(super) fn release(&mut self, name: &str) {
        if let Some(tensor) = self.named.frozen.remove(&self.full_name(name)) {
            self.named.rounded += tensor.elem_count();
        }
    }

    fn full_name(&self, name: &str) -> String {
        self.prefix.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(".")
    }

    /// Calls `f` with `name` added to the prefix.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn scope<R>(
        &mut self,
        name: impl Into<String>,
        f: impl FnOnce(&mut Self) -> Result<R, RestoreError>,
    ) -> Result<R, RestoreError> {
        self.prefix.push(name.into());
        let result = f(self);
        self.prefix.pop();
        result
    }

    /// The parameter `name` under the current prefix, of `shape`, float32 unless it is frozen as another type.
    ///
    /// # Errors
    /// If a checkpoint lacks it or has it in another shape.
    pub fn get(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Tensor, RestoreError> {
        let name = self.full_name(name);
        let tensor = self.origin.get(&name, shape, init, &self.device)?;
        if let Some(dtype) = self.frozen_dtype {
            let tensor = tensor.to_dtype(dtype)?.detach();
            self.named.frozen.insert(name, tensor.clone());
            return Ok(tensor);
        }
        let var = Var::from_tensor(&tensor)?;
        let tensor = var.as_tensor().clone();
        self.named.vars.insert(name, var);
        Ok(tensor)
    }

    /// The low-rank update of the map under the current prefix, if it is to have one.
    pub(super) fn adapter(&mut self, input: usize, output: usize) -> Result<Option<Adapter>, RestoreError> {
        let Some(adapters) = &mut self.adapters else { return Ok(None) };
        let module = self.prefix.join(".");
        let Some(rank) = adapters.config.rank_of(&module) else { return Ok(None) };
        adapters.found += 1;
        // PEFT draws A as torch.nn.Linear does: uniform within ±1/√in, which is a deviation of 1/√(3 in).
        let deviation = Init::Deviation((3.0 * input as f32).sqrt().recip());
        let mut matrix = |half: &str, shape: &[usize], init: Init| -> Result<Tensor, RestoreError> {
            let name = format!("base_model.model.{module}.lora_{half}.weight");
            let var = Var::from_tensor(&adapters.origin.get(&name, shape, init, &self.device)?)?;
            let tensor = var.as_tensor().clone();
            self.named.vars.insert(name, var);
            Ok(tensor)
        };
        let a = matrix("A", &[rank, input], deviation)?;
        let b = matrix("B", &[output, rank], Init::Constant(0.0))?;
        let scale = adapters.config.scale_of(&module, rank);
        Ok(Some(Adapter { a, b, scale, dropout: adapters.config.lora_dropout }))
    }

    /// All parameters that were handed out.
    ///
    /// # Errors
    /// If a file holds tensors that the model has no place for: then it is another family's, or another base's.
    pub fn finish(self) -> Result<NamedParams, RestoreError> {
        if let Some(Adapters { config, found: 0, .. }) = &self.adapters {
            return Err(RestoreError::NoTargets { targets: config.target_modules.to_string() });
        }
        for origin in [Some(self.origin), self.adapters.map(|a| a.origin)].into_iter().flatten() {
            let Origin::File { path, family, tensors } = origin else { continue };
            let mut names: Vec<String> = tensors.into_keys().filter(|name| !is_redundant(name)).collect();
            names.sort_unstable();
            if !names.is_empty() {
                return Err(RestoreError::UnusedTensors { path, family, names });
            }
        }
        Ok(self.named)
    }
}

/// Tensors that some writers store although others imply them: tied embeddings, and tables of frequencies.
fn is_redundant(name: &str) -> bool {
    name.ends_with("embed_tokens.weight")
        || name.ends_with("rotary_emb.inv_freq")
        || name == "lm_head.weight"
        || name == "shared.weight"
}

fn initial(
    seed: u64,
    name: &str,
    shape: &[usize],
    init: Init,
    device: &Device,
) -> candle_core::Result<Tensor> {
    let count = shape.iter().product();
    let values: Vec<f32> = match init {
        Init::Constant(value) => vec![value; count],
        Init::Deviation(deviation) => {
            let mut stream = RecordStream::for_purpose(seed, name);
            let unit = |word: u64| (word >> 40) as f32 / 8_388_608.0 - 1.0;
            (0..count).map(|_| unit(stream.next_u64()) * deviation * 3f32.sqrt()).collect()
        }
    };
    Tensor::from_vec(values, shape, device)
}
