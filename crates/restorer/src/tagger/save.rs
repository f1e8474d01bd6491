//! The tagger's checkpoint files.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use corruptor::UNICODE_VERSION;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::config::{MODEL_TYPE, TaggerConfig};
use super::model::{BYTE_TABLE_NAME, NGRAM_TABLE_NAME};
use super::quantized::{dequantize, quantize};
use super::{Tagger, features};
use crate::checkpoint::{
    CONFIG, CheckpointFiles, RESTORER, RESTORER_VERSION, RestorerJson, WEIGHTS, write_json, write_whole,
};
use crate::error::RestoreError;
use crate::table::RowTable;
use crate::train::{CheckpointMeta, Trainable as _};

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
    let mut entries: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, var) in model.parameters() {
        let values: Vec<f32> = var.flatten_all()?.to_vec1()?;
        entries.push((name, Dtype::F32, var.dims().to_vec(), floats(&values)));
    }
    for table in model.row_tables() {
        let shape = vec![table.rows(), table.dim()];
        if table.name() == NGRAM_TABLE_NAME {
            let (bytes, scales) = table.read(|weights| quantize(weights, table.dim()));
            entries.push((
                table.name().into(),
                Dtype::I8,
                shape,
                bytes.into_iter().map(|b| b as u8).collect(),
            ));
            entries.push((NGRAM_SCALE_NAME.into(), Dtype::F32, vec![table.rows()], floats(&scales)));
        } else {
            entries.push((table.name().into(), Dtype::F32, shape, table.read(floats)));
        }
    }
    let failed = |e: safetensors::SafeTensorError| RestoreError::Format {
        path: WEIGHTS.into(),
        message: e.to_string(),
    };
    let views = entries
        .iter()
        .map(|(name, dtype, shape, bytes)| {
            TensorView::new(*dtype, shape.clone(), bytes).map(|view| (name, view)).map_err(failed)
        })
        .collect::<Result<Vec<_>, _>>()?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(metadata)).map_err(failed)
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
    let get = |name: &str, dtype: Dtype, shape: &[usize]| {
        let missing =
            |_| RestoreError::MissingTensor { path: path.clone(), name: name.into(), family: MODEL_TYPE };
        let view = tensors.tensor(name).map_err(missing)?;
        if view.shape() != shape {
            let (found, wanted) = (view.shape().to_vec(), shape.to_vec());
            return Err(RestoreError::TensorShape { path: path.clone(), name: name.into(), found, wanted });
        }
        if view.dtype() != dtype {
            return Err(format(format!("tensor `{name}` is {:?}, expected {dtype:?}", view.dtype())));
        }
        Ok(view)
    };
    let (rows, dim) = (config.table_rows, config.table_dim);
    let bytes = floats(get(BYTE_TABLE_NAME, Dtype::F32, &[features::BYTE_ROWS, dim])?.data());
    let scales = floats(get(NGRAM_SCALE_NAME, Dtype::F32, &[rows])?.data());
    let ngrams = dequantize(get(NGRAM_TABLE_NAME, Dtype::I8, &[rows, dim])?.data(), &scales, dim);
    let tables =
        vec![RowTable::new(BYTE_TABLE_NAME, dim, bytes), RowTable::new(NGRAM_TABLE_NAME, dim, ngrams)];
    let mut dense = HashMap::new();
    for (name, view) in tensors.tensors() {
        if view.dtype() == Dtype::F32 && ![BYTE_TABLE_NAME, NGRAM_SCALE_NAME].contains(&name.as_str()) {
            let tensor = Tensor::from_vec(floats(view.data()), view.shape(), &Device::Cpu)?;
            dense.insert(name, tensor);
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

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}
