//! Named parameters: read from a checkpoint, or made for a new model.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use candle_core::{Device, Tensor, Var};
use corruptor::RecordStream;

use crate::error::RestoreError;

/// How a new parameter begins.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Init {
    /// All the same value.
    Constant(f32),
    /// Uniform with this standard deviation.
    Deviation(f32),
}

#[derive(Debug)]
enum Origin {
    New { seed: u64 },
    File { path: PathBuf, family: &'static str, tensors: HashMap<String, Tensor> },
}

/// Hands out the parameters of a model under dotted names, each once, and keeps them.
#[derive(Debug)]
pub struct Params {
    origin: Origin,
    device: Device,
    prefix: Vec<String>,
    vars: BTreeMap<String, Var>,
}

impl Params {
    /// For a new model: every parameter drawn from its own stream of `seed`.
    pub fn random(seed: u64, device: &Device) -> Self {
        Self {
            origin: Origin::New { seed },
            device: device.clone(),
            prefix: Vec::new(),
            vars: BTreeMap::new(),
        }
    }

    /// For a checkpoint's tensors; `path` and `family` stand in error messages.
    pub fn from_tensors(
        path: PathBuf,
        family: &'static str,
        tensors: HashMap<String, Tensor>,
        device: &Device,
    ) -> Self {
        let origin = Origin::File { path, family, tensors };
        Self { origin, device: device.clone(), prefix: Vec::new(), vars: BTreeMap::new() }
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

    /// The parameter `name` under the current prefix, of `shape`, float32.
    ///
    /// # Errors
    /// If a checkpoint lacks it or has it in another shape.
    pub fn get(&mut self, name: &str, shape: &[usize], init: Init) -> Result<Tensor, RestoreError> {
        let name = self.prefix.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(".");
        let tensor = match &self.origin {
            Origin::New { seed } => initial(*seed, &name, shape, init, &self.device)?,
            Origin::File { path, family, tensors } => {
                let Some(tensor) = tensors.get(&name) else {
                    return Err(RestoreError::MissingTensor { path: path.clone(), name, family });
                };
                if tensor.dims() != shape {
                    let (found, wanted) = (tensor.dims().to_vec(), shape.to_vec());
                    return Err(RestoreError::TensorShape { path: path.clone(), name, found, wanted });
                }
                tensor.to_dtype(candle_core::DType::F32)?.to_device(&self.device)?
            }
        };
        let var = Var::from_tensor(&tensor)?;
        let tensor = var.as_tensor().clone();
        self.vars.insert(name, var);
        Ok(tensor)
    }

    /// All parameters that were handed out, by name.
    pub fn into_vars(self) -> BTreeMap<String, Var> {
        self.vars
    }
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
