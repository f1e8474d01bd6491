//! Adapters added into the weights they adapt.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::path::Path;

use candle_core::{DType, Tensor};

use super::config::LoraConfig;
use crate::error::RestoreError;

/// Adds every update of an adapter to the weight it belongs to: W + s B A, in float32.
///
/// # Errors
/// If a weight or half of an update is missing, or their shapes do not fit: then the adapter is another model's.
pub fn merge<S: BuildHasher>(
    tensors: &mut HashMap<String, Tensor, S>,
    config: &LoraConfig,
    path: &Path,
    mut updates: HashMap<String, Tensor, S>,
) -> Result<(), RestoreError> {
    const HALF: &str = ".lora_A.weight";
    let mut modules: Vec<String> =
        updates.keys().filter_map(|name| name.strip_suffix(HALF)).map(str::to_owned).collect();
    modules.sort_unstable();
    if modules.is_empty() {
        return Err(RestoreError::NoTargets { targets: config.target_modules.to_string() });
    }
    for module in modules {
        let mut half = |half: &str| {
            let name = format!("{module}.lora_{half}.weight");
            updates.remove(&name).ok_or_else(|| RestoreError::MissingTensor {
                path: path.to_owned(),
                name,
                family: "LoRA",
            })
        };
        let (a, b) = (half("A")?.to_dtype(DType::F32)?, half("B")?.to_dtype(DType::F32)?);
        let target = module.strip_prefix("base_model.model.").unwrap_or(&module);
        let weight = tensors.get_mut(&format!("{target}.weight")).ok_or_else(|| other_base(path, &module))?;
        let rank = a.dim(0)?;
        let fits = weight.dims() == [b.dim(0)?, a.dim(1)?] && b.dim(1)? == rank;
        if !fits {
            return Err(RestoreError::TensorShape {
                path: path.to_owned(),
                name: module.clone(),
                found: vec![b.dim(0)?, a.dim(1)?],
                wanted: weight.dims().to_vec(),
            });
        }
        let update = (b.matmul(&a)? * config.scale_of(target, rank))?;
        *weight = (weight.to_dtype(DType::F32)? + update)?;
    }
    let mut names: Vec<String> = updates.into_keys().collect();
    names.sort_unstable();
    if names.is_empty() {
        return Ok(());
    }
    Err(RestoreError::UnusedTensors { path: path.to_owned(), family: "LoRA", names })
}

fn other_base(path: &Path, module: &str) -> RestoreError {
    RestoreError::UnusedTensors {
        path: path.to_owned(),
        family: "the adapter's model",
        names: vec![module.to_owned()],
    }
}
