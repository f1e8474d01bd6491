//! Training autoregressive models: they learn, resume exactly with everything that keeps state, and leave checkpoints that load.

mod helpers;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use finetune::train::{Existing, Outcome};
use finetune::{ModelSource, Stop, train_recipe};
use helpers::{Workspace, from_scratch, language_model_recipe, log, state_files, state_step, state_tensors};
use restorer::{LoadOptions, RestoreRequest};

const T5: &str = r#"family = "t5"
window_bytes = 128
overlap_bytes = 16
config = { d_model = 32, d_ff = 48, d_kv = 16, num_heads = 2, num_layers = 2, num_decoder_layers = 1, dropout_rate = 0.1 }"#;
const LLAMA: &str = r#"family = "llama"
window_bytes = 128
overlap_bytes = 16
prompt = "{text}>"
config = { hidden_size = 32, intermediate_size = 48, head_dim = 16, num_attention_heads = 2, num_key_value_heads = 1, num_hidden_layers = 2 }"#;

/// Runs in slices of a few milliseconds until it is done; returns how often it was stopped.
fn in_slices(
    workspace: &Workspace,
    recipe: &str,
    out: &str,
    overrides: &[&str],
    source: &ModelSource,
) -> usize {
    for stops in 0..300 {
        let mut slice = workspace.options_of(recipe, out, overrides);
        slice.existing = Existing::Resume;
        slice.threads = 2;
        slice.stop = Stop::new(Some(Duration::from_millis(80)), Arc::default());
        if let Outcome::Finished { .. } = train_recipe(slice, source).unwrap() {
            return stops;
        }
    }
    panic!("no progress at step {}", state_step(&workspace.path(out)));
}

fn assert_same_state(a: &Path, b: &Path) {
    let (a, b) = (state_tensors(a), state_tensors(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in &a {
        assert!(bytes == &b[name], "{name} differs");
    }
}

#[test]
fn slices_equal_the_whole_bit_for_bit() {
    let workspace = Workspace::new();
    let overrides = [
        "train.steps=14",
        "train.eval_steps=6",
        "train.valid_pairs=2",
        "train.confidence_grid=[0.5]",
        "train.ema_decay=0.9",
        "train.label_smoothing=0.1",
        "train.fresh_pairs=true",
        "train.schedule=\"warmup-stable-decay\"",
    ];
    for (name, model) in [("t5", T5), ("llama", LLAMA)] {
        let recipe = language_model_recipe(model);
        let (whole, slices) = (format!("{name}-whole"), format!("{name}-slices"));
        let mut options = workspace.options_of(&recipe, &whole, &overrides);
        options.threads = 1;
        train_recipe(options, &from_scratch()).unwrap();
        assert!(in_slices(&workspace, &recipe, &slices, &overrides, &from_scratch()) > 0, "never stopped");
        assert_same_state(&workspace.path(&whole), &workspace.path(&slices));
        let weights = |run: &str| std::fs::read(workspace.path(run).join("model.safetensors")).unwrap();
        assert!(weights(&whole) == weights(&slices), "{name}: the checkpoints differ");
        assert!(state_tensors(&workspace.path(&whole)).keys().any(|name| name.starts_with("average.")));
    }
}

#[test]
fn a_decoder_learns_to_copy_without_the_digits() {
    let workspace = Workspace::new();
    let recipe = language_model_recipe(LLAMA);
    let overrides =
        ["train.steps=60", "train.eval_steps=30", "train.learning_rate=1e-2", "train.valid_pairs=4"];
    train_recipe(workspace.options_of(&recipe, "run", &overrides), &from_scratch()).unwrap();
    let run = workspace.path("run");
    let losses: Vec<f64> = log(&run).iter().filter_map(|line| line["loss"].as_f64()).collect();
    assert!(losses[losses.len() - 1] < 0.6 * losses[0], "{losses:?}");
    let model = restorer::load(&run, &LoadOptions::default()).unwrap();
    assert_eq!(model.info().family, "llama");
    // Whatever it has learned, edits lead from the input to the output.
    let text = "the peo4ple of 77our nation";
    let restored = model.restore(&[RestoreRequest::new(text)]).unwrap().remove(0);
    assert_eq!(corruptor::apply_edits(text, &restored.edits).unwrap(), restored.text);
}

#[test]
fn updates_of_low_rank_leave_an_adapter_of_their_model() {
    let workspace = Workspace::new();
    let few = ["train.steps=6", "train.eval_steps=3", "train.valid_pairs=2", "train.confidence_grid=[0.5]"];
    train_recipe(workspace.options_of(&language_model_recipe(T5), "base", &few), &from_scratch()).unwrap();
    let lora = format!("{T5}\n[model.lora]\nrank = 4\ntarget_modules = [\"q\", \"wo\"]");
    let recipe = language_model_recipe(&lora);
    let source = ModelSource { init: Some(workspace.path("base")), ..ModelSource::default() };
    train_recipe(workspace.options_of(&recipe, "whole", &few), &source).unwrap();
    in_slices(&workspace, &recipe, "slices", &few, &source);
    assert_same_state(&workspace.path("whole"), &workspace.path("slices"));
    let names: Vec<String> = state_tensors(&workspace.path("whole")).into_keys().collect();
    assert!(names.iter().all(|name| name.contains("lora_")), "only updates learn: {names:?}");
    let run = workspace.path("whole");
    assert!(run.join("adapter_model.safetensors").exists() && !run.join("model.safetensors").exists());
    restorer::load(&run, &LoadOptions::default()).unwrap();
    // Added into its model it restores the same, and needs it no more.
    let merged = workspace.path("merged");
    restorer::lm::merge_adapter(&run, &merged).unwrap();
    let restored = |dir: &Path| {
        let model = restorer::load(dir, &LoadOptions::default()).unwrap();
        model.restore(&[RestoreRequest::new("the peo4ple of 77our nation")]).unwrap()
    };
    assert_eq!(restored(&merged), restored(&run));
    assert!(restorer::lm::merge_adapter(&merged, &workspace.path("twice")).is_err(), "no adapter");
    // On another model of the same shape the adapter is refused.
    let weights = workspace.path("base").join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    let last = bytes.len() - 2;
    bytes[last] ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let error = restorer::load(&run, &LoadOptions::default()).err().unwrap().to_string();
    assert!(error.contains("adapter was trained on"), "{error}");
}

#[test]
fn a_damaged_state_is_passed_over() {
    let workspace = Workspace::new();
    let recipe = language_model_recipe(LLAMA);
    let overrides =
        ["train.steps=9", "train.eval_steps=3", "train.valid_pairs=2", "train.save_minutes=0.000001"];
    train_recipe(workspace.options_of(&recipe, "run", &overrides), &from_scratch()).unwrap();
    train_recipe(workspace.options_of(&recipe, "whole", &overrides), &from_scratch()).unwrap();
    let run = workspace.path("run");
    let files = state_files(&run);
    assert_eq!(files.len(), 2, "two states are kept");
    let damage = |path: &Path| {
        let mut bytes = std::fs::read(path).unwrap();
        let middle = bytes.len() - 100;
        bytes[middle] ^= 0x40;
        std::fs::write(path, bytes).unwrap();
    };
    damage(&files[1]);
    assert_eq!(state_step(&run), 8);
    let mut options = workspace.options_of(&recipe, "run", &overrides);
    options.existing = Existing::Resume;
    train_recipe(options, &from_scratch()).unwrap();
    assert_same_state(&run, &workspace.path("whole"));
    // Where none is whole, nothing is overwritten without being told so.
    for path in state_files(&run) {
        std::fs::write(&path, b"half").unwrap();
    }
    let mut options = workspace.options_of(&recipe, "run", &overrides);
    options.existing = Existing::Resume;
    let error = train_recipe(options, &from_scratch()).unwrap_err().to_string();
    assert!(error.contains("--overwrite"), "{error}");
}

#[test]
fn a_run_without_progress_ends_early() {
    let workspace = Workspace::new();
    let recipe = language_model_recipe(LLAMA);
    let overrides = [
        "train.steps=400",
        "train.learning_rate=1e-9",
        "train.eval_steps=2",
        "train.patience=3",
        "train.valid_pairs=2",
        "train.confidence_grid=[0.5]",
    ];
    let outcome = train_recipe(workspace.options_of(&recipe, "run", &overrides), &from_scratch()).unwrap();
    let Outcome::Finished { metrics } = outcome else { panic!("stopped") };
    assert_eq!((metrics["steps"].as_u64(), metrics["best_step"].as_u64()), (Some(8), Some(2)), "{metrics}");
}

#[test]
fn averages_are_not_for_large_tables() {
    let workspace = Workspace::new();
    let error =
        train_recipe(workspace.options("run", &["train.ema_decay=0.9"]), &from_scratch()).unwrap_err();
    assert!(error.to_string().contains("ema_decay"), "{error}");
}
