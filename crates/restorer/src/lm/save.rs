//! Checkpoints: the Hugging Face layout, or PEFT's where only updates of low rank have learned.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::Tensor;
use corruptor::UNICODE_VERSION;

use super::model::LanguageModel;
use super::settings::Learn;
use crate::checkpoint::{CONFIG, RESTORER, RESTORER_VERSION, RestorerJson, WEIGHTS, write_json, write_whole};
use crate::compute_type::ComputeType;
use crate::error::RestoreError;
use crate::load::LoadOptions;
use crate::lora::{ADAPTER_CONFIG, ADAPTER_WEIGHTS};
use crate::train::CheckpointMeta;
use crate::windows::WindowSize;

/// Adds an adapter into its model, and writes that as a checkpoint of its own into `out`, the weights last.
///
/// # Errors
/// If `adapter` holds no adapter, it or its model cannot be loaded, or a file cannot be written.
pub fn merge_adapter(adapter: &Path, out: &Path) -> Result<(), RestoreError> {
    let model = LanguageModel::load(
        adapter,
        &LoadOptions { compute_type: ComputeType::Float32, ..LoadOptions::default() },
    )?;
    if model.files.adapter.is_none() {
        let message = "is not there: this is no adapter, and there is nothing to merge".to_owned();
        return Err(RestoreError::Format { path: adapter.join(ADAPTER_CONFIG), message });
    }
    let known = model.files.restorer.clone();
    let meta = CheckpointMeta {
        recipe: known.as_ref().map(|known| known.recipe.clone()).unwrap_or_default(),
        calibration: known.as_ref().and_then(|known| known.calibration),
        text_calibration: known.as_ref().and_then(|known| known.text_calibration),
        profile: known.as_ref().and_then(|known| known.profile.clone()),
        metrics: known.map(|known| known.metrics).unwrap_or_default(),
        min_confidence: model.info.min_confidence,
        decoding: None,
    };
    save(&model, out, &meta)
}

/// Writes everything, the weights last.
pub(super) fn save(model: &LanguageModel, dir: &Path, meta: &CheckpointMeta) -> Result<(), RestoreError> {
    write_json(&dir.join(RESTORER), &restorer_json(model, meta))?;
    let learned = model.params.vars.iter().map(|(name, var)| (name.clone(), var.as_detached_tensor()));
    if let Some(lora) = &model.lora {
        write_json(&dir.join(ADAPTER_CONFIG), lora)?;
        return write_tensors(&dir.join(ADAPTER_WEIGHTS), &learned.collect());
    }
    let mut config = model.files.config.clone();
    // What was learned in float32 is kept in float32.
    for key in ["torch_dtype", "dtype"] {
        if config.contains_key(key) {
            config.insert(key.to_owned(), "float32".into());
        }
    }
    write_json(&dir.join(CONFIG), &config)?;
    for (name, bytes) in &model.files.companions {
        write_whole(&dir.join(name), bytes)?;
    }
    let frozen = model.params.frozen.iter().map(|(name, tensor)| (name.clone(), tensor.clone()));
    write_tensors(&dir.join(WEIGHTS), &learned.chain(frozen).collect())
}

fn restorer_json(model: &LanguageModel, meta: &CheckpointMeta) -> RestorerJson {
    if model.learn == Learn::Text {
        let WindowSize { window_bytes, overlap_bytes } = prior_window(model.restoring.size.window_bytes);
        return RestorerJson { window_bytes, overlap_bytes, ..RestorerJson::of_channel(meta, Vec::new()) };
    }
    RestorerJson {
        version: RESTORER_VERSION,
        task: "rewrite".to_owned(),
        window_bytes: model.restoring.size.window_bytes,
        overlap_bytes: model.restoring.size.overlap_bytes,
        normalization: "none".to_owned(),
        max_rounds: model.restoring.max_rounds,
        min_confidence: meta.min_confidence,
        calibration: meta.calibration,
        text_calibration: meta.text_calibration,
        profile: meta.profile.clone(),
        unicode: UNICODE_VERSION,
        recipe: meta.recipe.clone(),
        prompt: Some(model.template.clone()),
        base: model.lora.as_ref().and(model.base_digest.clone()),
        parts: Vec::new(),
        decoding: None,
        metrics: meta.metrics.clone(),
    }
}

/// The windows in which a channel is decoded under a decoder that has learned texts of `learned` bytes: with what stands
/// before a window, and what a hypothesis adds to it, it stays within them.
fn prior_window(learned: usize) -> WindowSize {
    WindowSize { window_bytes: learned * 5 / 8, overlap_bytes: learned / 8 }
}

/// Writes a safetensors file of float32 tensors, whole or not at all.
pub(crate) fn write_tensors(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<(), RestoreError> {
    let contiguous = |(name, tensor): (&String, &Tensor)| -> Result<(String, Tensor), RestoreError> {
        let tensor =
            tensor.to_dtype(candle_core::DType::F32)?.to_device(&candle_core::Device::Cpu)?.contiguous()?;
        Ok((name.clone(), tensor))
    };
    let tensors = tensors.iter().map(contiguous).collect::<Result<Vec<_>, _>>()?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(tensors.iter().map(|(name, tensor)| (name, tensor)), Some(metadata))
        .map_err(|e| RestoreError::Format { path: path.to_owned(), message: e.to_string() })?;
    write_whole(path, &bytes)
}
