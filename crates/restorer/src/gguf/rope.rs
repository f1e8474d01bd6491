//! How rotary positions are stretched beyond the context that a model was trained with.

use std::f64::consts::TAU;

use serde_json::{Value, json};

use super::file::GgufFile;
use super::shape::Shape;
use crate::error::RestoreError;

/// Divisors of the frequencies, one for each pair of values of a head.
pub(super) const FACTORS: &str = "rope_freqs.weight";

/// The constants of Llama 3.1, 3.2 and 3.3, which differ in their factor only.
const LOW_FREQ_FACTOR: f64 = 1.0;
const HIGH_FREQ_FACTOR: f64 = 4.0;
const ORIGINAL_CONTEXT: usize = 8192;

/// `rope_scaling` of `config.json`; null where positions are not stretched.
pub(super) fn scaling(file: &mut GgufFile, shape: &Shape) -> Result<Value, RestoreError> {
    let from_metadata = from_metadata(file, shape)?;
    if file.tensor_shape(FACTORS).is_none() {
        return Ok(from_metadata);
    }
    if !from_metadata.is_null() {
        return Err(
            file.error(format!("positions are stretched by metadata and by the tensor `{FACTORS}` at once"))
        );
    }
    let unlike = |file: &GgufFile| {
        file.error(format!(
            "the tensor `{FACTORS}` does not stretch positions as Llama 3 does, which alone is imported; \
             take a GGUF file that was converted from another variant of the model"
        ))
    };
    if file.tensor_shape(FACTORS) != Some(&[shape.head_dim / 2]) {
        return Err(unlike(file));
    }
    let factors: Vec<f32> = file.tensor(FACTORS)?.to_vec1()?;
    llama3(&factors, shape).ok_or_else(|| unlike(file))
}

/// The scaling that metadata keys name.
fn from_metadata(file: &GgufFile, shape: &Shape) -> Result<Value, RestoreError> {
    let key = |name: &str| format!("{}.rope.{name}", shape.architecture.name());
    let old: Option<f64> = file.get(&key("scale_linear"))?;
    let factor: Option<f64> = file.get(&key("scaling.factor"))?;
    let kind: &str = file.get(&key("scaling.type"))?.unwrap_or(if old.is_some() { "linear" } else { "none" });
    let factor = || {
        factor.or(old).filter(|factor| *factor > 0.0).ok_or_else(|| {
            file.error(format!(
                "metadata key `{}` must be a number above 0 for `{kind}`",
                key("scaling.factor")
            ))
        })
    };
    match kind {
        "none" => Ok(Value::Null),
        "linear" if old == Some(1.0) => Ok(Value::Null),
        "linear" => Ok(json!({"rope_type": "linear", "factor": factor()?})),
        "yarn" => {
            let original: usize = file.need(&key("scaling.original_context_length"))?;
            let mut scaling = json!({
                "rope_type": "yarn", "factor": factor()?, "original_max_position_embeddings": original,
            });
            for (ours, theirs) in [
                ("attn_factor", "attention_factor"),
                ("yarn_beta_fast", "beta_fast"),
                ("yarn_beta_slow", "beta_slow"),
            ] {
                if let Some(value) = file.get::<f64>(&key(&format!("scaling.{ours}")))? {
                    scaling[theirs] = value.into();
                }
            }
            Ok(scaling)
        }
        other => Err(file.error(format!(
            "metadata key `{}` is \"{}\"; known are none, linear and yarn",
            key("scaling.type"),
            other.escape_debug()
        ))),
    }
}

/// The scaling of Llama 3 that these divisors come from: null if they are all 1, `None` if they are not Llama 3's.
fn llama3(factors: &[f32], shape: &Shape) -> Option<Value> {
    let pairs = shape.head_dim / 2;
    let factor = f64::from(factors.iter().copied().fold(0f32, f32::max));
    let fits = |(pair, found): (usize, &f32)| {
        let exponent = pair as f64 / pairs as f64;
        let wavelength = TAU * shape.rope_theta.powf(exponent);
        let wanted = llama3_divisor(wavelength, factor);
        (f64::from(*found) - wanted).abs() <= 1e-3 * wanted
    };
    if factors.iter().all(|factor| (*factor - 1.0).abs() < 1e-6) {
        return Some(Value::Null);
    }
    let scaling = json!({
        "rope_type": "llama3",
        "factor": factor,
        "low_freq_factor": LOW_FREQ_FACTOR,
        "high_freq_factor": HIGH_FREQ_FACTOR,
        "original_max_position_embeddings": ORIGINAL_CONTEXT,
    });
    factors.iter().enumerate().all(fits).then_some(scaling)
}

/// By how much Llama 3 divides the frequency of this wavelength (in tokens).
fn llama3_divisor(wavelength: f64, factor: f64) -> f64 {
    let turns = ORIGINAL_CONTEXT as f64 / wavelength;
    let kept = ((turns - LOW_FREQ_FACTOR) / (HIGH_FREQ_FACTOR - LOW_FREQ_FACTOR)).clamp(0.0, 1.0);
    1.0 / ((1.0 - kept) / factor + kept)
}
