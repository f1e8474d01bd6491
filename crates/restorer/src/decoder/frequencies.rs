//! Rotary frequencies as `config.json` asks for them, in the older form (`rope_theta`, `rope_scaling`) and the newer one
//! (`rope_parameters`).

use std::f64::consts::PI;

use serde::Deserialize;

use crate::error::RestoreError;
use crate::layers::RopeFrequencies;

/// The keys of either form.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct RopeJson {
    #[serde(rename = "rope_theta")]
    theta: Option<f64>,
    #[serde(rename = "rope_scaling")]
    scaling: Option<Scaling>,
    #[serde(rename = "rope_parameters")]
    parameters: Option<Scaling>,
}

/// How positions are stretched.
#[derive(Clone, Debug, Default, Deserialize)]
struct Scaling {
    rope_theta: Option<f64>,
    #[serde(alias = "type")]
    rope_type: Option<String>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
    attention_factor: Option<f64>,
    mscale: Option<f64>,
    mscale_all_dim: Option<f64>,
    beta_fast: Option<f64>,
    beta_slow: Option<f64>,
    truncate: Option<bool>,
    partial_rotary_factor: Option<f64>,
}

/// The frequencies for heads of `head_dim` in a model made for `positions` tokens.
pub(super) fn frequencies(
    json: &RopeJson,
    head_dim: usize,
    positions: usize,
) -> Result<RopeFrequencies, RestoreError> {
    let scaling = json.parameters.clone().or_else(|| json.scaling.clone()).unwrap_or_default();
    let theta = scaling.rope_theta.or(json.theta).unwrap_or(10_000.0);
    let plain = RopeFrequencies::new(head_dim, theta);
    if scaling.partial_rotary_factor.is_some_and(|share| share < 1.0) {
        let message = "heads that turn in part are not supported".to_owned();
        return Err(RestoreError::Config { key: "partial_rotary_factor", message });
    }
    let factor = || needed(scaling.factor, "factor");
    match scaling.rope_type.as_deref().unwrap_or("default") {
        "default" => Ok(plain),
        "linear" => {
            let factor = factor()?;
            Ok(RopeFrequencies { inverse: plain.inverse.iter().map(|f| f / factor).collect(), ..plain })
        }
        "llama3" => {
            let original =
                needed(scaling.original_max_position_embeddings, "original_max_position_embeddings")?;
            let low = needed(scaling.low_freq_factor, "low_freq_factor")?;
            let high = needed(scaling.high_freq_factor, "high_freq_factor")?;
            let factor = factor()?;
            let scaled = |f: &f64| {
                let turns = original * f / (2.0 * PI);
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                (1.0 - kept) * f / factor + kept * f
            };
            Ok(RopeFrequencies { inverse: plain.inverse.iter().map(scaled).collect(), ..plain })
        }
        "yarn" => yarn(&scaling, theta, head_dim, positions as f64),
        other => Err(RestoreError::Config {
            key: "rope_type",
            message: format!("\"{other}\"; known are \"default\", \"linear\", \"llama3\" and \"yarn\""),
        }),
    }
}

fn needed(value: Option<f64>, key: &'static str) -> Result<f64, RestoreError> {
    value.filter(|value| *value > 0.0).ok_or_else(|| RestoreError::Config {
        key,
        message: "a number above 0 is needed for this rope_type".to_owned(),
    })
}

/// `YaRN` (Peng et al. 2023, arXiv 2309.00071): fast pairs turn as ever, slow ones are stretched, those between are blended.
fn yarn(
    scaling: &Scaling,
    theta: f64,
    head_dim: usize,
    positions: f64,
) -> Result<RopeFrequencies, RestoreError> {
    let original = scaling.original_max_position_embeddings.unwrap_or(positions);
    let factor = needed(scaling.factor.or(Some(positions / original)), "factor")?;
    let magnitude = |scale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 };
    let magnitude = match (scaling.attention_factor, scaling.mscale, scaling.mscale_all_dim) {
        (Some(given), _, _) => given,
        (None, Some(scale), Some(all)) if scale != 0.0 && all != 0.0 => magnitude(scale) / magnitude(all),
        _ => magnitude(1.0),
    };
    let dim = head_dim as f64;
    // The pair that turns so many times over the original length.
    let pair = |turns: f64| dim * (original / (turns * 2.0 * PI)).ln() / (2.0 * theta.ln());
    let (mut low, mut high) =
        (pair(scaling.beta_fast.unwrap_or(32.0)), pair(scaling.beta_slow.unwrap_or(1.0)));
    if scaling.truncate.unwrap_or(true) {
        (low, high) = (low.floor(), high.ceil());
    }
    (low, high) = (low.max(0.0), high.min(dim - 1.0));
    let span = if (high - low).abs() < 1e-9 { 0.001 } else { high - low };
    let plain = RopeFrequencies::new(head_dim, theta);
    let blended = |(i, f): (usize, &f64)| {
        let stretched = ((i as f64 - low) / span).clamp(0.0, 1.0);
        f / factor * stretched + f * (1.0 - stretched)
    };
    Ok(RopeFrequencies { inverse: plain.inverse.iter().enumerate().map(blended).collect(), magnitude })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str) -> Result<RopeFrequencies, RestoreError> {
        frequencies(&serde_json::from_str(json).unwrap(), 8, 128)
    }

    #[test]
    fn both_forms_of_the_keys_say_the_same() {
        let old = r#"{"rope_theta": 500.0, "rope_scaling": {"type": "linear", "factor": 4.0}}"#;
        let new = r#"{"rope_parameters": {"rope_theta": 500.0, "rope_type": "linear", "factor": 4.0}}"#;
        assert_eq!(parsed(old).unwrap(), parsed(new).unwrap());
        assert_eq!(parsed("{}").unwrap(), RopeFrequencies::new(8, 10_000.0));
    }

    #[test]
    fn what_is_missing_or_unknown_is_named() {
        let message = |json: &str| parsed(json).unwrap_err().to_string();
        assert!(
            message(r#"{"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}"#).contains("original_max")
        );
        assert!(message(r#"{"rope_scaling": {"rope_type": "longrope"}}"#).contains("longrope"));
    }
}
