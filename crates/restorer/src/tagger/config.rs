//! The tagger's configuration: the recipe's `[model]` table and the checkpoint's `config.json`.

use serde::{Deserialize, Serialize};

use crate::error::RestoreError;

/// `model_type` of the family.
pub const MODEL_TYPE: &str = "revertant-tagger";

/// Sizes of an edit tagger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TaggerConfig {
    /// The family's name in a recipe: `"tagger"`.
    pub family: String,
    /// Width of the residual stream. Default 128.
    pub hidden_size: usize,
    /// Transformer layers. Default 4.
    pub num_hidden_layers: usize,
    /// Attention heads; `hidden_size` is a multiple of twice their number. Default 4.
    pub num_attention_heads: usize,
    /// Width of the gated MLP. Default 256.
    pub intermediate_size: usize,
    /// Bytes that one gap can receive in one round. Default 4.
    pub insertion_slots: usize,
    /// Rows of the hashed n-gram table, a power of two. Default 524288.
    pub table_rows: usize,
    /// Width of a table row. Default 32.
    pub table_dim: usize,
    /// Bytes that the model sees at once. Default 512.
    pub window_bytes: usize,
    /// Bytes on each side of a window of a longer text that only inform. Default 64.
    pub overlap_bytes: usize,
    /// Most rounds over a text. Default 3.
    pub max_rounds: usize,
    /// Base frequency of the rotary positions. Default 10000.
    pub rope_theta: f64,
    /// Added to the mean square in the norms. Default 1e-5.
    pub rms_norm_eps: f32,
    /// Seed of the initial weights. Default 1.
    pub seed: u64,
}

impl Default for TaggerConfig {
    fn default() -> Self {
        Self {
            family: "tagger".into(),
            hidden_size: 128,
            num_hidden_layers: 4,
            num_attention_heads: 4,
            intermediate_size: 256,
            insertion_slots: 4,
            table_rows: 1 << 19,
            table_dim: 32,
            window_bytes: 512,
            overlap_bytes: 64,
            max_rounds: 3,
            rope_theta: 10_000.0,
            rms_norm_eps: 1e-5,
            seed: 1,
        }
    }
}

impl TaggerConfig {
    /// A model of a few thousand weights, for tests.
    pub fn tiny() -> Self {
        Self {
            hidden_size: 32,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            intermediate_size: 48,
            table_rows: 1 << 10,
            table_dim: 8,
            window_bytes: 128,
            overlap_bytes: 16,
            ..Self::default()
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// Names the first key whose value cannot be used, and what is allowed.
    pub fn validate(&self) -> Result<(), RestoreError> {
        let fail = |key, message: String| Err(RestoreError::Config { key, message });
        if self.family != "tagger" {
            return fail("family", format!("{:?} is unknown; this version trains \"tagger\"", self.family));
        }
        let sizes = [
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("insertion_slots", self.insertion_slots),
            ("table_dim", self.table_dim),
            ("max_rounds", self.max_rounds),
        ];
        if let Some((key, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return fail(key, "0 is not allowed; give at least 1".into());
        }
        if !self.hidden_size.is_multiple_of(2 * self.num_attention_heads) {
            let message = format!("{} is no multiple of twice num_attention_heads", self.hidden_size);
            return fail("hidden_size", message);
        }
        if !self.table_rows.is_power_of_two() || self.table_rows > 1 << 28 {
            return fail("table_rows", format!("{} is no power of two up to 2^28", self.table_rows));
        }
        if !(16..=65_536).contains(&self.window_bytes) {
            return fail("window_bytes", format!("{}; give 16 to 65536", self.window_bytes));
        }
        if self.overlap_bytes * 4 > self.window_bytes {
            return fail(
                "overlap_bytes",
                format!("{} is over a quarter of window_bytes", self.overlap_bytes),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_out_of_range_are_named() {
        TaggerConfig::default().validate().unwrap();
        TaggerConfig::tiny().validate().unwrap();
        let error = |config: TaggerConfig| config.validate().unwrap_err().to_string();
        assert!(
            error(TaggerConfig { hidden_size: 100, ..TaggerConfig::default() }).contains("`hidden_size`")
        );
        assert!(error(TaggerConfig { table_rows: 1000, ..TaggerConfig::default() }).contains("power of two"));
        assert!(
            error(TaggerConfig { family: "bert".into(), ..TaggerConfig::default() }).contains("\"bert\"")
        );
    }
}
