//! A checkpoint written again with smaller weights, to ship it.

use std::path::Path;

use candle_core::safetensors::Load as _;
use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use safetensors::tensor::{TensorView, View};
use serde_json::{Map, Value};

use crate::checkpoint::{COMPANIONS, CONFIG, RESTORER, WEIGHTS, write_json, write_whole};
use crate::directory::WholeDirectory;
use crate::error::RestoreError;
use crate::lm::Network;
use crate::lora::{ADAPTER_CONFIG, ADAPTER_WEIGHTS};
use crate::matrices::{self, WeightBits};
use crate::tagger::{self, TableBits};
use crate::weight_type::WeightType;
use crate::weights::{self, FileEntry, Weights, tensor_file};

/// The model card.
const CARD: &str = "README.md";

/// How a checkpoint is written again.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions {
    /// Type of the weights. What is no floating-point number stays as it is.
    pub dtype: WeightType,
    /// Bits of the matrices of an autoregressive model; the rest is as `dtype` says. `None`: all is.
    pub weight_bits: Option<WeightBits>,
    /// Bits of the n-gram table of a tagger; `None` leaves them.
    pub table_bits: Option<TableBits>,
    /// Replace a checkpoint that is at the place already.
    pub overwrite: bool,
}

/// Writes a checkpoint again, with its weights in another type: a model in the Hugging Face layout (of shards one file), an adapter,
/// or a tagger. All else is copied. The directory appears whole or not at all.
///
/// # Errors
/// If `model` is no such checkpoint or cannot be read, a weight is too large for the type, or `out` is there and may not be
/// replaced.
pub fn export(model: &Path, out: &Path, options: &ExportOptions) -> Result<(), RestoreError> {
    let is_adapter = model.join(ADAPTER_CONFIG).exists();
    let (config, file, source) = if is_adapter {
        (ADAPTER_CONFIG, ADAPTER_WEIGHTS, weights::open_file(&model.join(ADAPTER_WEIGHTS))?)
    } else {
        (CONFIG, WEIGHTS, weights::open(model)?)
    };
    let path = model.join(config);
    let format = |message: String| RestoreError::Format { path: path.clone(), message };
    let mut json: Map<String, Value> =
        serde_json::from_slice(&read(&path)?).map_err(|e| format(e.to_string()))?;
    let family = json.get("model_type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut entries = Vec::new();
    match options.table_bits {
        Some(bits) if family == tagger::MODEL_TYPE => entries.extend(tagger::table_with(&source, bits)?),
        Some(_) => return Err(format("has no n-gram table; --table-bits is for taggers".to_owned())),
        None => {}
    }
    if !is_adapter && family != tagger::MODEL_TYPE && !Network::model_types().any(|known| known == family) {
        return Err(format(format!(
            "model_type is \"{family}\", whose weights have one form; autoregressive models, adapters and taggers have several"
        )));
    }
    if options.weight_bits.is_some() && (is_adapter || family == tagger::MODEL_TYPE) {
        let message = "has no matrices to keep in 8 bits; --weight-bits is for whole autoregressive models";
        return Err(format(message.to_owned()));
    }
    let is_model = !is_adapter && family != tagger::MODEL_TYPE;
    if is_model {
        matrices::take_description(&mut json, &path)?;
    }
    let is_done = |entries: &[FileEntry], name: &str| entries.iter().any(|done| done.name == name);
    for name in source.names() {
        if is_done(&entries, name) || is_model && matrices::is_scale(&source, name) {
            continue;
        }
        entries.push(entry(&source, name, is_model)?);
    }
    for entry in &mut entries {
        let is_shrunk = options.weight_bits.is_some() && matrices::is_map(entry);
        convert(entry, if is_shrunk { WeightType::Float32 } else { options.dtype }).map_err(&format)?;
    }
    if options.weight_bits.is_some() {
        matrices::shrink(&mut entries, &mut json);
    }
    let directory = WholeDirectory::create(out, options.overwrite)?;
    let place = |name: &str| directory.path().join(name);
    for key in ["torch_dtype", "dtype"] {
        if json.contains_key(key) {
            json.insert(key.to_owned(), options.dtype.name().into());
        }
    }
    write_json(&place(config), &json)?;
    for name in COMPANIONS.into_iter().chain([RESTORER, CARD]) {
        if model.join(name).exists() {
            write_whole(&place(name), &read(&model.join(name))?)?;
        }
    }
    write_whole(&place(file), &tensor_file(&entries).map_err(format)?)?;
    directory.commit()
}

fn read(path: &Path) -> Result<Vec<u8>, RestoreError> {
    std::fs::read(path).map_err(|source| RestoreError::Io { path: path.to_owned(), source })
}

/// A tensor as its file has it; of a model, a matrix of 8 bits in float32.
fn entry(source: &Weights, name: &str, is_model: bool) -> Result<FileEntry, RestoreError> {
    let missing = || candle_core::Error::Msg(format!("tensor `{name}` is gone"));
    let view = source.view(name).ok_or_else(missing)??;
    if is_model && view.dtype() == Dtype::I8 {
        let tensor = matrices::tensor(source, name).ok_or_else(missing)??;
        let bytes = View::data(&&tensor).into_owned();
        let (dtype, shape) = (View::dtype(&&tensor), tensor.dims().to_vec());
        return Ok(FileEntry { name: name.to_owned(), dtype, shape, bytes });
    }
    let (dtype, shape, bytes) = (view.dtype(), view.shape().to_vec(), view.data().to_vec());
    Ok(FileEntry { name: name.to_owned(), dtype, shape, bytes })
}

/// Another type, where the tensor holds floating-point numbers.
fn convert(entry: &mut FileEntry, to: WeightType) -> Result<(), String> {
    if !matches!(entry.dtype, Dtype::F64 | Dtype::F32 | Dtype::BF16 | Dtype::F16) {
        return Ok(());
    }
    let of = |error: candle_core::Error| error.to_string();
    let view = TensorView::new(entry.dtype, entry.shape.clone(), &entry.bytes).map_err(|e| e.to_string())?;
    let tensor = view.load(&Device::Cpu).map_err(of)?;
    let written = tensor.to_dtype(to.dtype()).map_err(of)?;
    let overflows = |tensor: &Tensor| -> candle_core::Result<bool> {
        let values: Vec<f32> = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        Ok(values.iter().any(|value| value.is_infinite()))
    };
    if overflows(&written).map_err(of)? && !overflows(&tensor).map_err(of)? {
        return Err(format!("tensor `{}` has weights too large for {to}; take bfloat16", entry.name));
    }
    entry.dtype = View::dtype(&&written);
    entry.bytes = View::data(&&written).into_owned();
    Ok(())
}
