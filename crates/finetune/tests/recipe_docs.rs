//! `docs/recipes.md` names every key of a recipe, with the default that the code has.

use std::fmt::Write as _;

use corruptor::corpus::CorpusSettings;
use corruptor::{CorruptSettings, Recipe};
use finetune::prior::{EnsembleSettings, NgramSettings};
use finetune::settings::{EvaluateSettings, TrainSettings};
use restorer::lm::{LmSettings, LoraSettings};
use restorer::tagger::TaggerConfig;
use serde::Serialize;
use serde_json::Value;

const DOCS: &str = include_str!("../../../docs/recipes.md");

/// The keys of a table with their documented defaults: the rows `| key | unit | default | meaning |` of the section with this
/// heading; keys without one are left out.
fn documented(table: &str, heading: &str) -> Value {
    let mut sections = DOCS.split("\n## ").flat_map(|section| section.split("\n### "));
    let section = sections.find(|section| section.starts_with(heading));
    let mut toml = format!("[{table}]\n");
    for row in section.expect("a section for the table").lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        if let [key, _unit, default, _meaning] = cells[..]
            && default != "none"
        {
            writeln!(toml, "{} = {}", key.trim_matches('`'), default.trim_matches('`')).unwrap();
        }
    }
    let recipe = Recipe::parse(&toml, "docs/recipes.md").expect("defaults in TOML");
    recipe.table(table).expect("a table")
}

/// Equal, numbers up to the rounding of float32.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, value)| b.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-6 * a.abs(),
            _ => false,
        },
        (a, b) => a == b,
    }
}

fn check(table: &str, defaults: &impl Serialize) {
    check_section(table, &format!("`[{table}]`"), defaults);
}

fn check_section(table: &str, heading: &str, defaults: &impl Serialize) {
    let mut actual = serde_json::to_value(defaults).expect("settings as JSON");
    if let Value::Object(keys) = &mut actual {
        keys.retain(|_, value| !value.is_null());
    }
    let documented = documented(table, heading);
    assert!(same(&documented, &actual), "[{table}]\ndocumented: {documented:#}\nin the code: {actual:#}");
}

#[test]
fn the_documentation_has_the_keys_and_defaults_of_the_code() {
    check("corpus", &CorpusSettings::default());
    check("corrupt", &CorruptSettings::default());
    check("model", &TaggerConfig::default());
    check_section("model", "`[model]` of a prior", &NgramSettings::default());
    let ensemble = EnsembleSettings::default();
    let mut ensemble = serde_json::to_value(ensemble).expect("settings as JSON");
    ensemble["parts"].take();
    check_section("model", "`[model]` of several parts", &ensemble);
    check_section("model", "`[model]` of an autoregressive model", &LmSettings::default());
    check_section("model", "`[model.lora]`", &LoraSettings::default());
    check("train", &TrainSettings::default());
    check("evaluate", &EvaluateSettings::default());
}
