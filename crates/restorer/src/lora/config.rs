//! `adapter_config.json`, as PEFT writes and reads it.

use std::fmt;

use indexmap::IndexMap;
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::RestoreError;

/// The adapter's configuration.
pub const ADAPTER_CONFIG: &str = "adapter_config.json";
/// The adapter's weights.
pub const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";

/// Which maps get an update.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Targets {
    /// Names, or ends of dotted names: `q_proj` stands for every `….q_proj`.
    Names(Vec<String>),
    /// `all-linear`, every map but the output layer; or a regular expression over the whole dotted name.
    Pattern(String),
}

impl fmt::Display for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Names(names) => f.write_str(&names.join(", ")),
            Self::Pattern(pattern) => f.write_str(pattern),
        }
    }
}

/// Rank, scale, dropout and targets of the updates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LoraConfig {
    /// `"LORA"`.
    pub peft_type: String,
    /// `"CAUSAL_LM"` or `"SEQ_2_SEQ_LM"`.
    #[serde(default)]
    pub task_type: Option<String>,
    /// The model that the adapter belongs to: a path or a hub id.
    #[serde(default)]
    pub base_model_name_or_path: Option<String>,
    /// Branch, tag or commit of that model, where it is a hub's.
    #[serde(default)]
    pub revision: Option<String>,
    /// Rank of the updates.
    pub r: usize,
    /// The update is scaled by `lora_alpha` / rank, or with `use_rslora` by `lora_alpha` / √rank.
    pub lora_alpha: f64,
    /// Dropout on what enters an update.
    #[serde(default)]
    pub lora_dropout: f32,
    /// The maps with an update.
    pub target_modules: Targets,
    /// Maps without one, although `target_modules` names them.
    #[serde(default)]
    pub exclude_modules: Option<Targets>,
    /// Rank-stabilized scale (Kalajdzievski 2023, arXiv 2312.03732).
    #[serde(default)]
    pub use_rslora: bool,
    /// Other ranks for some maps: by name, end of a name or regular expression; the first that fits counts.
    #[serde(default)]
    pub rank_pattern: IndexMap<String, usize>,
    /// Other `lora_alpha` for some maps.
    #[serde(default)]
    pub alpha_pattern: IndexMap<String, f64>,
    /// `"none"`: biases do not learn.
    #[serde(default = "LoraConfig::no_bias")]
    pub bias: String,
    /// What else a file says; kept as it is.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// Options that change what an update is; anything but their "off" would be ignored silently.
const UNSUPPORTED: [&str; 9] = [
    "use_dora",
    "use_qalora",
    "modules_to_save",
    "layers_to_transform",
    "layers_pattern",
    "layer_replication",
    "target_parameters",
    "trainable_token_indices",
    "fan_in_fan_out",
];

impl LoraConfig {
    fn no_bias() -> String {
        "none".to_owned()
    }

    /// A configuration for new updates.
    pub fn new(rank: usize, alpha: f64, dropout: f32, targets: Targets) -> Self {
        Self {
            peft_type: "LORA".to_owned(),
            task_type: None,
            base_model_name_or_path: None,
            revision: None,
            r: rank,
            lora_alpha: alpha,
            lora_dropout: dropout,
            target_modules: targets,
            exclude_modules: None,
            use_rslora: false,
            rank_pattern: IndexMap::new(),
            alpha_pattern: IndexMap::new(),
            bias: Self::no_bias(),
            other: Map::new(),
        }
    }

    /// Checks that this is an adapter that this crate applies in full.
    ///
    /// # Errors
    /// Names the key whose value asks for something else.
    pub fn validate(&self) -> Result<(), RestoreError> {
        let fail = |key, message: String| Err(RestoreError::Config { key, message });
        if self.peft_type != "LORA" {
            return fail("peft_type", format!("{:?}; this version knows \"LORA\"", self.peft_type));
        }
        if self.r == 0 || self.rank_pattern.values().any(|rank| *rank == 0) {
            return fail("r", "a rank is at least 1".to_owned());
        }
        if !(0.0..1.0).contains(&self.lora_dropout) {
            return fail("lora_dropout", format!("{}; at least 0 and below 1", self.lora_dropout));
        }
        if self.bias != "none" {
            return fail("bias", format!("{:?}; this version knows \"none\"", self.bias));
        }
        let is_off = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::Array(items) => items.is_empty(),
            Value::Object(entries) => entries.is_empty(),
            _ => false,
        };
        for key in UNSUPPORTED {
            if let Some(value) = self.other.get(key).filter(|value| !is_off(value)) {
                return fail("adapter_config.json", format!("`{key}` = {value} is not supported"));
            }
        }
        for pattern in self.patterns() {
            if let Err(error) = Regex::new(pattern) {
                return fail("target_modules", format!("`{pattern}` is no regular expression: {error}"));
            }
        }
        Ok(())
    }

    /// Everything that is read as a regular expression.
    fn patterns(&self) -> impl Iterator<Item = &String> {
        let targets = [Some(&self.target_modules), self.exclude_modules.as_ref()].into_iter().flatten();
        let whole = targets.filter_map(|targets| match targets {
            Targets::Pattern(pattern) => Some(pattern),
            Targets::Names(_) => None,
        });
        whole.chain(self.rank_pattern.keys()).chain(self.alpha_pattern.keys())
    }

    /// The rank of the update of the map with this dotted name, if it gets one.
    pub fn rank_of(&self, module: &str) -> Option<usize> {
        let is_target = selects(&self.target_modules, module)
            && !self.exclude_modules.as_ref().is_some_and(|excluded| selects(excluded, module));
        is_target.then(|| pattern_value(&self.rank_pattern, module).unwrap_or(self.r))
    }

    /// The factor on the update of a map.
    pub fn scale_of(&self, module: &str, rank: usize) -> f64 {
        let alpha = pattern_value(&self.alpha_pattern, module).unwrap_or(self.lora_alpha);
        if self.use_rslora { alpha / (rank as f64).sqrt() } else { alpha / rank as f64 }
    }
}

fn selects(targets: &Targets, module: &str) -> bool {
    let ends = |name: &String| {
        module.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    match targets {
        Targets::Names(names) => names.iter().any(ends),
        Targets::Pattern(pattern) if pattern == "all-linear" => !module.ends_with("lm_head"),
        Targets::Pattern(pattern) => matches(&format!("^(?:{pattern})$"), module),
    }
}

/// The value of the first pattern that a name ends with, as PEFT matches them.
fn pattern_value<V: Copy>(patterns: &IndexMap<String, V>, module: &str) -> Option<V> {
    let found = patterns.iter().find(|(pattern, _)| matches(&format!(r"^(?:.*\.)?(?:{pattern})$"), module));
    found.map(|(_, value)| *value)
}

fn matches(pattern: &str, module: &str) -> bool {
    Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(module))
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q: &str = "model.layers.0.self_attn.q_proj";

    fn config(targets: Targets) -> LoraConfig {
        LoraConfig::new(4, 8.0, 0.0, targets)
    }

    #[test]
    fn targets_are_ends_of_names_or_whole_patterns() {
        let names = config(Targets::Names(vec!["q_proj".into(), "mlp.down_proj".into()]));
        assert_eq!(names.rank_of(Q), Some(4));
        assert_eq!(names.rank_of("model.layers.0.mlp.down_proj"), Some(4));
        assert_eq!(names.rank_of("model.layers.0.self_attn.my_q_proj"), None);
        let pattern = config(Targets::Pattern(r"model\.layers\.[02]\.self_attn\.(q|k)_proj".into()));
        assert_eq!(pattern.rank_of(Q), Some(4));
        assert_eq!(pattern.rank_of("model.layers.1.self_attn.q_proj"), None);
        assert_eq!(pattern.rank_of("a.model.layers.0.self_attn.q_proj"), None);
        let all = config(Targets::Pattern("all-linear".into()));
        assert_eq!((all.rank_of(Q), all.rank_of("lm_head")), (Some(4), None));
    }

    #[test]
    fn patterns_change_rank_and_scale() {
        let mut config = config(Targets::Pattern("all-linear".into()));
        config.rank_pattern.insert("q_proj".into(), 16);
        config.alpha_pattern.insert("layers.0.self_attn.q_proj".into(), 64.0);
        assert_eq!(config.rank_of(Q), Some(16));
        assert!((config.scale_of(Q, 16) - 4.0).abs() < 1e-12);
        assert!((config.scale_of("model.layers.0.mlp.up_proj", 4) - 2.0).abs() < 1e-12);
        config.use_rslora = true;
        assert!((config.scale_of(Q, 16) - 16.0).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_applied_is_refused() {
        let refused = |change: fn(&mut LoraConfig)| {
            let mut config = config(Targets::Names(vec!["q_proj".into()]));
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert!(refused(|c| c.peft_type = "IA3".into()).contains("IA3"));
        assert!(refused(|c| _ = c.other.insert("use_dora".into(), true.into())).contains("use_dora"));
        assert!(refused(|c| c.r = 0).contains("rank"));
        assert!(refused(|c| c.target_modules = Targets::Pattern("(".into())).contains("expression"));
    }
}
