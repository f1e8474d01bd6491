//! Whether a run may go on: recipe, pairs and initial model must be those it was started with.

use std::collections::BTreeMap;
use std::path::Path;

use corruptor::{CorruptSettings, Recipe};
use serde_json::Value;

use super::state::Identity;
use crate::error::FinetuneError;
use crate::settings::TrainSettings;

/// Keys that do not change what a run computes.
const FREE_KEYS: [&str; 4] =
    ["train.save_minutes", "train.keep_states", "train.log_steps", "train.max_skipped"];

/// Compares what a run was started with and what it should go on with.
///
/// # Errors
/// [`FinetuneError::Disagreement`] with the first difference.
pub(super) fn check_agreement(run: &Path, saved: &Identity, now: &Identity) -> Result<(), FinetuneError> {
    let disagreement = |what: String, saved: String, now: String| {
        Err(FinetuneError::Disagreement { path: run.to_owned(), what, saved, now })
    };
    let absent = || "absent".to_owned();
    let (before, after) = (resolved_keys(&saved.recipe)?, resolved_keys(&now.recipe)?);
    for key in before.keys().chain(after.keys()).filter(|key| !FREE_KEYS.contains(&key.as_str())) {
        let (old, new) = (before.get(key), after.get(key));
        if old != new {
            let text = |value: Option<&Value>| value.map_or_else(absent, Value::to_string);
            return disagreement(format!("the recipe's {key}"), text(old), text(new));
        }
    }
    let digests = [
        ("the training pairs' digest", Some(&saved.train_pairs), Some(&now.train_pairs)),
        ("the validation pairs' digest", Some(&saved.valid_pairs), Some(&now.valid_pairs)),
        ("the digest of the model given to --init", saved.init.as_ref(), now.init.as_ref()),
    ];
    for (what, old, new) in digests {
        if old != new {
            let text = |digest: Option<&String>| digest.map_or_else(absent, |d| d.chars().take(16).collect());
            return disagreement(what.to_owned(), text(old), text(new));
        }
    }
    Ok(())
}

/// Dotted keys and values of the tables that training depends on, defaults filled in where this crate knows them.
pub(super) fn resolved_keys(recipe: &str) -> Result<BTreeMap<String, Value>, FinetuneError> {
    let recipe = Recipe::parse(recipe, "recipe")?;
    let mut keys = BTreeMap::new();
    let train: TrainSettings = recipe.table("train")?;
    let corrupt: CorruptSettings = recipe.table("corrupt")?;
    flatten("model", &recipe.table("model")?, &mut keys);
    flatten("train", &serde_json::to_value(train).unwrap_or_default(), &mut keys);
    flatten("corrupt", &serde_json::to_value(corrupt).unwrap_or_default(), &mut keys);
    Ok(keys)
}

fn flatten(prefix: &str, value: &Value, keys: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                flatten(&format!("{prefix}.{key}"), value, keys);
            }
        }
        value => {
            keys.insert(prefix.to_owned(), value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(saved: &str, now: &str) -> Option<String> {
        let identity = |recipe: &str| Identity {
            recipe: recipe.to_owned(),
            train_pairs: "a".to_owned(),
            valid_pairs: "b".to_owned(),
            init: None,
        };
        check_agreement(Path::new("run"), &identity(saved), &identity(now))
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn names_the_key_that_differs() {
        let message = difference("[train]\nseed = 1", "[train]\nseed = 2").unwrap();
        assert!(message.contains("train.seed was 1 and is now 2"), "{message}");
        let message = difference("[model]\nlayers = 1", "").unwrap();
        assert!(message.contains("model.layers was 1 and is now absent"), "{message}");
    }

    #[test]
    fn defaults_and_free_keys_agree() {
        assert_eq!(difference("", "[train]\nseed = 1"), None);
        assert_eq!(difference("[train]\nsave_minutes = 1", "[evaluate]\nseed = 9"), None);
    }
}
