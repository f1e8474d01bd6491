//! Matrices of 8 bits a weight in a checkpoint, in the layout of `compressed-tensors` (`int-quantized`, a scale a row), which
//! `transformers` reads: `NAME.weight` in int8 beside `NAME.weight_scale` `[out, 1]`.

use std::path::Path;
use std::str::FromStr;

use candle_core::{DType, Device, Tensor};
use safetensors::Dtype;
use serde_json::{Map, Value, json};

use crate::error::RestoreError;
use crate::quantized::{dequantize, quantize};
use crate::weights::{FileEntry, Weights};

/// Bits of a weight of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightBits {
    /// From −127 to 127.
    Eight,
}

impl FromStr for WeightBits {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "8" => Ok(Self::Eight),
            _ => Err("matrices have 8 bits a weight, or as many as --dtype says".to_owned()),
        }
    }
}

/// Key of `config.json`.
const KEY: &str = "quantization_config";
const METHOD: &str = "compressed-tensors";
/// Formats of it whose int8 matrices lie as they are.
const FORMATS: [&str; 2] = ["int-quantized", "naive-quantized"];
const WEIGHT: &str = ".weight";
const SCALE: &str = "_scale";

/// What stands in `config.json` beside matrices of 8 bits.
fn description() -> Value {
    json!({
        "quant_method": METHOD,
        "format": FORMATS[0],
        "quantization_status": "compressed",
        "config_groups": {
            "group_0": {
                "targets": ["Linear"],
                // Newer versions look here.
                "format": FORMATS[0],
                "weights": {
                    "num_bits": 8,
                    "type": "int",
                    "strategy": "channel",
                    "symmetric": true,
                    "dynamic": false,
                },
                "input_activations": null,
                "output_activations": null,
            },
        },
        "ignore": ["lm_head"],
    })
}

/// Whether a tensor is the matrix of a linear map inside the network: neither a table nor the output layer.
pub(crate) fn is_map(entry: &FileEntry) -> bool {
    const OTHERS: [&str; 4] = ["embed_tokens", "shared", "relative_attention_bias", "lm_head"];
    let module = entry.name.strip_suffix(WEIGHT).and_then(|path| path.rsplit('.').next());
    entry.shape.len() == 2 && module.is_some_and(|module| !OTHERS.contains(&module))
}

/// Turns the matrices among `entries`, which are float32, into 8 bits, and says so in `config`; the other entries stay.
pub(crate) fn shrink(entries: &mut Vec<FileEntry>, config: &mut Map<String, Value>) {
    let mut scales = Vec::new();
    for entry in entries.iter_mut().filter(|entry| is_map(entry) && entry.dtype == Dtype::F32) {
        let weights: Vec<f32> =
            entry.bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let (bytes, of_rows) = quantize(&weights, entry.shape[1].max(1));
        entry.dtype = Dtype::I8;
        entry.bytes = bytes.into_iter().map(i8::cast_unsigned).collect();
        scales.push(FileEntry {
            name: format!("{}{SCALE}", entry.name),
            dtype: Dtype::F32,
            shape: vec![of_rows.len(), 1],
            bytes: of_rows.iter().flat_map(|scale| scale.to_le_bytes()).collect(),
        });
    }
    entries.append(&mut scales);
    config.insert(KEY.to_owned(), description());
}

/// Takes what `config` says of quantized weights out of it, once it is known that [`tensor`] reads them; whether it said something.
///
/// # Errors
/// If the weights are of another method or format; `path` stands in the error.
pub(crate) fn take_description(config: &mut Map<String, Value>, path: &Path) -> Result<bool, RestoreError> {
    let Some(found) = config.remove(KEY).filter(|found| !found.is_null()) else { return Ok(false) };
    let name = |key: &str| found.get(key).and_then(Value::as_str).unwrap_or("none").to_owned();
    let (method, format) = (name("quant_method"), name("format"));
    if method == METHOD && FORMATS.contains(&format.as_str()) {
        return Ok(true);
    }
    let message = format!(
        "{KEY}: quant_method \"{method}\" of format \"{format}\" is not read; take the model's weights in float32, float16 or bfloat16, its GGUF file (finetune import), or \"{METHOD}\" of format \"{}\"",
        FORMATS[0]
    );
    Err(RestoreError::Format { path: path.to_owned(), message })
}

/// Whether a tensor only says how another is to be read.
pub(crate) fn is_scale(weights: &Weights, name: &str) -> bool {
    name.strip_suffix(SCALE).is_some_and(|matrix| matrix.ends_with(WEIGHT) && weights.shape(matrix).is_some())
}

/// The tensor `name`: as it lies in its file, or, where that is a matrix of 8 bits, in float32. `None` if there is no such tensor.
///
/// # Errors
/// If a matrix has no scales or they do not fit it.
pub(crate) fn tensor(weights: &Weights, name: &str) -> Option<Result<Tensor, RestoreError>> {
    let view = match weights.view(name)? {
        Ok(view) if view.dtype() == Dtype::I8 => view,
        _ => return Some(weights.get(name, &Device::Cpu)?.map_err(RestoreError::from)),
    };
    let scales = || -> Result<Vec<f32>, RestoreError> {
        let scale = format!("{name}{SCALE}");
        let path = weights.path(name).unwrap_or(Path::new("")).to_owned();
        let bad = |message: String| RestoreError::Format { path: path.clone(), message };
        let found = weights
            .get(&scale, &Device::Cpu)
            .ok_or_else(|| bad(format!("tensor `{name}` is of 8 bits, and `{scale}` is missing")))??;
        match *view.shape() {
            [rows, _] if [&[rows][..], &[rows, 1]].contains(&found.dims()) => {
                Ok(found.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?)
            }
            _ => Err(bad(format!(
                "tensor `{name}` is of 8 bits and of shape {:?}; `{scale}` {:?} gives no scale to each of its rows",
                view.shape(),
                found.dims()
            ))),
        }
    };
    Some(scales().and_then(|scales| {
        let width = view.shape()[1];
        let values = if width == 0 { Vec::new() } else { dequantize(view.data(), &scales, width) };
        Ok(Tensor::from_vec(values, view.shape(), &Device::Cpu)?)
    }))
}
