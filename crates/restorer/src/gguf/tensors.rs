//! The tensors: what they are called, in which order their rows stand, and how they are written.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use candle_core::{DType, Tensor};
use safetensors::tensor::{Metadata, TensorInfo, View as _};

use super::file::GgufFile;
use super::rope::FACTORS;
use super::shape::{Architecture, Shape};
use crate::error::RestoreError;

/// A tensor to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// Its name in the GGUF file.
    source: String,
    shape: Vec<usize>,
    /// Heads whose rows llama.cpp has interleaved.
    interleaved_heads: Option<usize>,
}

/// The tensors by the names that transformers gives them. The GGUF file must have each in its shape, and no other.
pub(super) fn plan(file: &GgufFile, shape: &Shape) -> Result<BTreeMap<String, Planned>, RestoreError> {
    let plan = wanted(shape);
    for tensor in plan.values() {
        match file.tensor_shape(&tensor.source) {
            Some(found) if found == tensor.shape => {}
            Some(found) => {
                return Err(file.error(format!(
                    "tensor `{}` has shape {found:?}, but the metadata asks for {:?}",
                    tensor.source, tensor.shape
                )));
            }
            None => {
                return Err(file.error(format!(
                    "has no tensor `{}`, which {} needs; it is incomplete: fetch it again",
                    tensor.source,
                    shape.architecture.name()
                )));
            }
        }
    }
    let known: HashSet<&str> = plan.values().map(|tensor| tensor.source.as_str()).chain([FACTORS]).collect();
    match file.tensor_names().filter(|name| !known.contains(name)).min() {
        Some(unknown) => Err(file.error(format!(
            "tensor `{}` has no place in transformers' {}; such a model is not imported",
            unknown.escape_debug(),
            shape.architecture.name()
        ))),
        None => Ok(plan),
    }
}

/// What the metadata asks for.
fn wanted(shape: &Shape) -> BTreeMap<String, Planned> {
    let (hidden, queries) = (shape.hidden, shape.heads.saturating_mul(shape.head_dim));
    let keys = shape.kv_heads.saturating_mul(shape.head_dim);
    let mut plan = BTreeMap::new();
    let mut add = |target: String, source: String, shape: &[usize], heads: Option<usize>| {
        plan.insert(target, Planned { source, shape: shape.to_vec(), interleaved_heads: heads });
    };
    let outer = [
        ("model.embed_tokens.weight", "token_embd.weight", &[shape.vocab, hidden][..]),
        ("model.norm.weight", "output_norm.weight", &[hidden]),
        ("lm_head.weight", "output.weight", &[shape.vocab, hidden]),
    ];
    for (target, source, dims) in outer.into_iter().take(if shape.tied { 2 } else { 3 }) {
        add(target.into(), source.into(), dims, None);
    }
    let interleaved = |heads| (shape.architecture == Architecture::Llama).then_some(heads);
    let projections = [
        ("self_attn.q_proj", "attn_q", queries, hidden, interleaved(shape.heads)),
        ("self_attn.k_proj", "attn_k", keys, hidden, interleaved(shape.kv_heads)),
        ("self_attn.v_proj", "attn_v", keys, hidden, None),
        ("self_attn.o_proj", "attn_output", hidden, queries, None),
        ("mlp.gate_proj", "ffn_gate", shape.intermediate, hidden, None),
        ("mlp.up_proj", "ffn_up", shape.intermediate, hidden, None),
        ("mlp.down_proj", "ffn_down", hidden, shape.intermediate, None),
    ];
    let mut norms =
        vec![("input_layernorm", "attn_norm", hidden), ("post_attention_layernorm", "ffn_norm", hidden)];
    if shape.architecture == Architecture::Qwen3 {
        norms.push(("self_attn.q_norm", "attn_q_norm", shape.head_dim));
        norms.push(("self_attn.k_norm", "attn_k_norm", shape.head_dim));
    }
    // transformers' Llama has a bias on the output projection too, or none at all.
    let biased = match (shape.biases, shape.architecture) {
        (false, _) => 0,
        (true, Architecture::Llama) => 4,
        (true, _) => 3,
    };
    for layer in 0..shape.layers {
        let target = |name: &str, kind: &str| format!("model.layers.{layer}.{name}.{kind}");
        let source = |name: &str, kind: &str| format!("blk.{layer}.{name}.{kind}");
        for (theirs, ours, rows, columns, heads) in projections {
            add(target(theirs, "weight"), source(ours, "weight"), &[rows, columns], heads);
        }
        for (theirs, ours, rows, _, heads) in projections.into_iter().take(biased) {
            add(target(theirs, "bias"), source(ours, "bias"), &[rows], heads);
        }
        for &(theirs, ours, size) in &norms {
            add(target(theirs, "weight"), source(ours, "weight"), &[size], None);
        }
    }
    plan
}

/// Writes the planned tensors as one safetensors file, one tensor after the other, and counts the weights.
pub(super) fn write(
    file: &mut GgufFile,
    plan: &BTreeMap<String, Planned>,
    dtype: DType,
    path: &Path,
) -> Result<usize, RestoreError> {
    let failed = |source| RestoreError::Io { path: path.to_owned(), source };
    let (header, parameters) = header(file, plan, dtype)?;
    let mut out = BufWriter::new(File::create(path).map_err(failed)?);
    out.write_all(&header).map_err(failed)?;
    for (name, planned) in plan {
        let mut tensor = file.tensor(&planned.source)?;
        if let Some(heads) = planned.interleaved_heads {
            tensor = deinterleave(&tensor, heads)?;
        }
        let tensor = tensor.to_dtype(dtype)?;
        if !is_finite(&tensor)? {
            let hint =
                "the file is damaged, or its weights do not fit the type: fetch it again, or take bfloat16";
            return Err(file.error(format!(
                "tensor `{}` (`{name}`) has values that are no numbers in {}; {hint}",
                planned.source,
                dtype.as_str()
            )));
        }
        out.write_all(&tensor.data()).map_err(failed)?;
    }
    out.into_inner()
        .map_err(|error| failed(error.into_error()))
        .and_then(|out| out.sync_all().map_err(failed))?;
    Ok(parameters)
}

/// The length and the names of a safetensors file, and the number of weights.
fn header(
    file: &GgufFile,
    plan: &BTreeMap<String, Planned>,
    dtype: DType,
) -> Result<(Vec<u8>, usize), RestoreError> {
    let mut end = 0usize;
    let mut tensors = Vec::with_capacity(plan.len());
    for (name, planned) in plan {
        let begin = end;
        let size = planned.shape.iter().try_fold(dtype.size_in_bytes(), |size, &dim| size.checked_mul(dim));
        end = size.and_then(|size| begin.checked_add(size)).ok_or_else(|| {
            file.error(format!("tensor `{}` of shape {:?} is too large", planned.source, planned.shape))
        })?;
        let info = TensorInfo {
            dtype: safetensors_type(dtype),
            shape: planned.shape.clone(),
            data_offsets: (begin, end),
        };
        tensors.push((name.clone(), info));
    }
    let error = |e: &dyn std::fmt::Display| file.error(format!("its tensors cannot be listed: {e}"));
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let metadata = Metadata::new(Some(metadata), tensors).map_err(|e| error(&e))?;
    let mut names = serde_json::to_vec(&metadata).map_err(|e| error(&e))?;
    names.resize(names.len().next_multiple_of(8), b' ');
    let mut header = (names.len() as u64).to_le_bytes().to_vec();
    header.append(&mut names);
    Ok((header, end / dtype.size_in_bytes()))
}

fn safetensors_type(dtype: DType) -> safetensors::Dtype {
    match dtype {
        DType::F16 => safetensors::Dtype::F16,
        DType::BF16 => safetensors::Dtype::BF16,
        _ => safetensors::Dtype::F32,
    }
}

/// Undoes what llama.cpp's converter does to queries and keys: of each head, it puts the rows of the second half between those
/// of the first, so that values which are rotated together stand together.
fn deinterleave(tensor: &Tensor, heads: usize) -> candle_core::Result<Tensor> {
    let rows = tensor.dim(0)?;
    tensor
        .reshape((heads, rows / heads / 2, 2, tensor.elem_count() / rows))?
        .transpose(1, 2)?
        .contiguous()?
        .reshape(tensor.shape())
}

fn is_finite(tensor: &Tensor) -> candle_core::Result<bool> {
    let values: Vec<f32> = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    Ok(values.iter().all(|value| value.is_finite()))
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn rows_of_the_halves_are_put_back() {
        // Two heads of four rows; the converter has made 0 2 1 3 of 0 1 2 3.
        let rows = [0f32, 2.0, 1.0, 3.0, 4.0, 6.0, 5.0, 7.0];
        let tensor = Tensor::new(&rows, &Device::Cpu).unwrap();
        let back: Vec<f32> = deinterleave(&tensor, 2).unwrap().to_vec1().unwrap();
        assert_eq!(back, (0..8).map(|n| n as f32).collect::<Vec<_>>());
    }
}
