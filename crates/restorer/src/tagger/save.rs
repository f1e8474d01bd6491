//! The tagger's checkpoint files.

use std::collections::HashMap;
use std::path::Path;

use candle_core::safetensors::Load as _;
use candle_core::{DType, Device, Tensor};
use corruptor::UNICODE_VERSION;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::config::{MODEL_TYPE, TaggerConfig};
use super::model::{BYTE_TABLE_NAME, NGRAM_TABLE_NAME};
use super::{Tagger, features};
use crate::checkpoint::{
    CONFIG, CheckpointFiles, RESTORER, RESTORER_VERSION, RestorerJson, WEIGHTS, write_json, write_whole,
};
use crate::error::RestoreError;
use crate::quantized::{TableBits, dequantize, dequantize_4, quantize, quantize_4};
use crate::table::RowTable;
use crate::train::{CheckpointMeta, Trainable as _};
use crate::weights::{FileEntry, Weights, tensor_file};

const NGRAM_SCALE_NAME: &str = "model.ngrams.scale";

/// Writes `config.json`, `restorer.json` and, last, `model.safetensors`.
pub(super) fn save(model: &Tagger, dir: &Path, meta: &CheckpointMeta) -> Result<(), RestoreError> {
    let weights = weights(model)?;
    write_json(&dir.join(CONFIG), &config_json(model.config()))?;
    write_json(&dir.join(RESTORER), &restorer_json(model.config(), meta))?;
    write_whole(&dir.join(WEIGHTS), &weights)
}

fn config_json(config: &TaggerConfig) -> serde_json::Value {
    let mut value = serde_json::json!(config);
    value["model_type"] = MODEL_TYPE.into();
    value["architectures"] = serde_json::json!(["RevertantTagger"]);
    value
}

pub(super) fn restorer_json(config: &TaggerConfig, meta: &CheckpointMeta) -> RestorerJson {
    RestorerJson {
        version: RESTORER_VERSION,
        task: "edit".into(),
        window_bytes: config.window_bytes,
        overlap_bytes: config.overlap_bytes,
        normalization: "none".into(),
        max_rounds: config.max_rounds,
        min_confidence: meta.min_confidence,
        calibration: meta.calibration,
        text_calibration: meta.text_calibration,
        profile: meta.profile.clone(),
        unicode: UNICODE_VERSION,
        recipe: meta.recipe.clone(),
        prompt: None,
        base: None,
        parts: Vec::new(),
        decoding: None,
        metrics: meta.metrics.clone(),
    }
}

/// Dense weights and the byte table in float32, the n-gram table in 8 bits with a scale a row.
fn weights(model: &Tagger) -> Result<Vec<u8>, RestoreError> {
    let floats = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let mut entries: Vec<FileEntry> = Vec::new();
    let mut add = |name: &str, dtype, shape, bytes| {
        entries.push(FileEntry { name: name.to_owned(), dtype, shape, bytes });
    };
    for (name, var) in model.parameters() {
        let values: Vec<f32> = var.flatten_all()?.to_vec1()?;
        add(&name, Dtype::F32, var.dims().to_vec(), floats(&values));
    }
    for table in model.row_tables() {
        let shape = vec![table.rows(), table.dim()];
        if table.name() == NGRAM_TABLE_NAME {
            let (bytes, scales) = table.read(|weights| quantize(weights, table.dim()));
            add(table.name(), Dtype::I8, shape, bytes.into_iter().map(|b| b as u8).collect());
            add(NGRAM_SCALE_NAME, Dtype::F32, vec![table.rows()], floats(&scales));
        } else {
            add(table.name(), Dtype::F32, shape, table.read(floats));
        }
    }
    tensor_file(&entries).map_err(|message| RestoreError::Format { path: WEIGHTS.into(), message })
}

/// What a checkpoint holds.
pub(super) struct Loaded {
    pub(super) config: TaggerConfig,
    pub(super) restorer: RestorerJson,
    pub(super) tables: Vec<RowTable>,
    pub(super) dense: HashMap<String, Tensor>,
}

/// Reads the files of a checkpoint and checks them against each other.
pub(super) fn read(files: &CheckpointFiles) -> Result<Loaded, RestoreError> {
    let config = read_config(files)?;
    let restorer: RestorerJson = files.json(RESTORER)?;
    if restorer.version != RESTORER_VERSION {
        let message = format!("version {}; this program reads version {RESTORER_VERSION}", restorer.version);
        return Err(RestoreError::Format { path: files.path(RESTORER), message });
    }
    let path = files.path(WEIGHTS);
    let format = |message: String| RestoreError::Format { path: path.clone(), message };
    let tensors = SafeTensors::deserialize(files.bytes(WEIGHTS)?).map_err(|e| format(e.to_string()))?;
    let get = |name: &str, shape: &[usize]| {
        let missing =
            |_| RestoreError::MissingTensor { path: path.clone(), name: name.into(), family: MODEL_TYPE };
        let view = tensors.tensor(name).map_err(missing)?;
        if view.shape() != shape {
            let (found, wanted) = (view.shape().to_vec(), shape.to_vec());
            return Err(RestoreError::TensorShape { path: path.clone(), name: name.into(), found, wanted });
        }
        Ok(view)
    };
    let (rows, dim) = (config.table_rows, config.table_dim);
    let bytes = values(&get(BYTE_TABLE_NAME, &[features::BYTE_ROWS, dim])?)?;
    let scales = values(&get(NGRAM_SCALE_NAME, &[rows])?)?;
    let halves = tensors.tensor(NGRAM_TABLE_NAME).is_ok_and(|table| table.dtype() == Dtype::U8);
    let table = get(NGRAM_TABLE_NAME, &[rows, if halves { dim / 2 } else { dim }])?;
    let (width, ngrams) = table_weights(&table, &scales).map_err(&format)?;
    if width != dim {
        return Err(format(format!(
            "tensor `{NGRAM_TABLE_NAME}` has rows of {width} weights, table_dim is {dim}"
        )));
    }
    let tables =
        vec![RowTable::new(BYTE_TABLE_NAME, dim, bytes), RowTable::new(NGRAM_TABLE_NAME, dim, ngrams)];
    let mut dense = HashMap::new();
    for (name, view) in tensors.tensors() {
        if ![BYTE_TABLE_NAME, NGRAM_TABLE_NAME, NGRAM_SCALE_NAME].contains(&name.as_str()) {
            dense.insert(name, view.load(&Device::Cpu)?);
        }
    }
    Ok(Loaded { config, restorer, tables, dense })
}

fn read_config(files: &CheckpointFiles) -> Result<TaggerConfig, RestoreError> {
    let mut value: serde_json::Map<String, serde_json::Value> = files.json(CONFIG)?;
    let model_type = value.remove("model_type");
    if model_type.as_ref().and_then(|m| m.as_str()) != Some(MODEL_TYPE) {
        let found = model_type.unwrap_or_default();
        let hint = if found == crate::ngram::MODEL_TYPE {
            "; a prior says how probable a text is, and restores nothing by itself"
        } else {
            ""
        };
        let message = format!("model_type is {found}; this version restores with \"{MODEL_TYPE}\"{hint}");
        return Err(RestoreError::Format { path: files.path(CONFIG), message });
    }
    value.remove("architectures");
    let config: TaggerConfig = serde_json::from_value(value.into())
        .map_err(|e| RestoreError::Format { path: files.path(CONFIG), message: e.to_string() })?;
    config.validate()?;
    Ok(config)
}

/// The values of a tensor of floating-point numbers.
fn values(view: &TensorView<'_>) -> candle_core::Result<Vec<f32>> {
    view.load(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
}

/// The width of rows of the n-gram table, and its weights; the error says what does not fit.
fn table_weights(table: &TensorView<'_>, scales: &[f32]) -> Result<(usize, Vec<f32>), String> {
    match (table.dtype(), table.shape()) {
        (Dtype::I8, &[rows, dim]) if rows == scales.len() => Ok((dim, dequantize(table.data(), scales, dim))),
        (Dtype::U8, &[rows, half]) if rows == scales.len() => {
            Ok((2 * half, dequantize_4(table.data(), scales, 2 * half)))
        }
        (dtype, shape) => Err(format!(
            "tensor `{NGRAM_TABLE_NAME}` is {dtype:?} {shape:?}, expected rows of I8, or of U8 with two weights a byte, as many as scales"
        )),
    }
}

/// The n-gram table of a tagger's checkpoint, and its scales, with so many bits a weight: entries of a safetensors file.
pub(crate) fn table_with(weights: &Weights, bits: TableBits) -> Result<[FileEntry; 2], RestoreError> {
    let missing = |name: &str| RestoreError::MissingTensor {
        path: WEIGHTS.into(),
        name: name.to_owned(),
        family: MODEL_TYPE,
    };
    let get = |name: &str| weights.view(name).ok_or_else(|| missing(name));
    let (table, scales) = (get(NGRAM_TABLE_NAME)??, values(&get(NGRAM_SCALE_NAME)??)?);
    let format = |message: String| RestoreError::Format {
        path: weights.path(NGRAM_TABLE_NAME).unwrap_or(Path::new(WEIGHTS)).to_owned(),
        message,
    };
    let (dim, known) = table_weights(&table, &scales).map_err(&format)?;
    let rows = scales.len();
    let (dtype, width, bytes, scales) = match bits {
        TableBits::Eight => {
            let (bytes, scales) = quantize(&known, dim);
            (Dtype::I8, dim, bytes.into_iter().map(|b| b as u8).collect(), scales)
        }
        TableBits::Four if dim.is_multiple_of(2) => {
            let (bytes, scales) = quantize_4(&known, dim);
            (Dtype::U8, dim / 2, bytes, scales)
        }
        TableBits::Four => return Err(format(format!("rows of {dim} weights do not fit into bytes of two"))),
    };
    let scales = scales.iter().flat_map(|scale| scale.to_le_bytes()).collect();
    Ok([
        FileEntry { name: NGRAM_TABLE_NAME.to_owned(), dtype, shape: vec![rows, width], bytes },
        FileEntry { name: NGRAM_SCALE_NAME.to_owned(), dtype: Dtype::F32, shape: vec![rows], bytes: scales },
    ])
}
