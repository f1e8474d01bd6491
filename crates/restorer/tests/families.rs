//! The autoregressive families against Python's `transformers` and `peft`: logits, loss, gradients and greedy output of the
//! small checkpoints in `fixtures/models`, which `tests/peers/make_fixtures.py` made there.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use restorer::LoadOptions;
use restorer::layers::{Pass, Tape};
use restorer::lm::{Codec, Compute, LanguageModel, LmSettings, Network, TokenExample};
use restorer::train::{CheckpointMeta, LossMode, Trainable};

const CAUSAL: [&str; 7] =
    ["llama", "llama3-rope", "llama3-rope-old", "llama-linear-rope", "llama-yarn", "qwen2", "qwen3"];
const T5: [&str; 3] = ["t5-gated", "t5-relu", "byt5"];
const ADAPTERS: [&str; 3] = ["lora-llama", "lora-rslora", "lora-t5"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/models").join(name)
}

/// What the reference implementation made of a checkpoint.
struct Expected(HashMap<String, Tensor>);

impl Expected {
    fn read(name: &str) -> Self {
        Self(
            candle_core::safetensors::load(fixture(name).join("expected.safetensors"), &Device::Cpu).unwrap(),
        )
    }

    fn floats(&self, name: &str) -> Vec<f32> {
        floats(&self.0[name])
    }

    fn tokens(&self, name: &str) -> Vec<u32> {
        self.0[name].to_vec1::<i64>().unwrap().into_iter().map(|t| u32::try_from(t).unwrap()).collect()
    }

    /// The sequences, and for each the row of the reference's logits that predicts its first target token.
    fn examples(&self) -> Vec<(TokenExample, usize)> {
        let example = |i: usize| {
            let input = self.tokens(&format!("input.{i}"));
            if self.0.contains_key("decoder_input.0") {
                return (TokenExample { source: input, target: self.tokens(&format!("labels.{i}")) }, 0);
            }
            let start = self.tokens(&format!("label_start.{i}"))[0] as usize;
            let (source, target) = input.split_at(start);
            (TokenExample { source: source.to_vec(), target: target.to_vec() }, start - 1)
        };
        (0..3).map(example).collect()
    }

    fn gradients(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().filter_map(|(name, tensor)| Some((name.strip_prefix("grad.")?, tensor)))
    }
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn settings(model: &Path) -> LmSettings {
    let base = if model.join("config.json").exists() {
        model.to_owned()
    } else {
        let config = std::fs::read_to_string(model.join("adapter_config.json")).unwrap();
        let config: serde_json::Value = serde_json::from_str(&config).unwrap();
        model.parent().unwrap().join(config["base_model_name_or_path"].as_str().unwrap())
    };
    let config = std::fs::read_to_string(base.join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    LmSettings { family: config["model_type"].as_str().unwrap().to_owned(), ..LmSettings::default() }
}

/// A copy of a fixture with what the files of a bare network lack: a way to read texts.
fn model_dir(name: &str, home: &Path) -> PathBuf {
    let copy = |name: &str| {
        let to = home.join(name);
        std::fs::create_dir_all(&to).unwrap();
        for entry in std::fs::read_dir(fixture(name)).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
        if to.join("config.json").exists() {
            std::fs::write(to.join("tokenizer_config.json"), r#"{"tokenizer_class": "ByT5Tokenizer"}"#)
                .unwrap();
        }
        to
    };
    for base in ["llama", "qwen2", "t5-gated"].into_iter().filter(|_| name.starts_with("lora")) {
        copy(base);
    }
    copy(name)
}

/// On the device that `REVERTANT_TEST_DEVICE` names, by default the processor.
fn options() -> LoadOptions {
    let name = std::env::var("REVERTANT_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    LoadOptions { device: name.parse().unwrap(), ..LoadOptions::default() }
}

fn to_train(dir: &Path) -> LanguageModel {
    LanguageModel::to_train(dir, &settings(dir), Compute::default(), &options()).unwrap()
}

/// Returns the greatest difference, as a share of the greatest value.
fn assert_close(found: &[f32], wanted: &[f32], tolerance: f32, what: &str) -> f32 {
    assert_eq!(found.len(), wanted.len(), "{what}");
    let scale = wanted.iter().fold(1f32, |max, x| max.max(x.abs()));
    let mut greatest = 0f32;
    for (i, (a, b)) in found.iter().zip(wanted).enumerate() {
        let difference = (a - b).abs() / scale;
        assert!(difference <= tolerance, "{what}, {i}: {a} against {b}");
        greatest = greatest.max(difference);
    }
    greatest
}

/// Adds a line to the file that `REVERTANT_PARITY` names: what bench/RESULTS.md says of the families.
fn record(model: &str, what: &str, greatest: f32) {
    let Some(path) = std::env::var_os("REVERTANT_PARITY") else { return };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    writeln!(file, "{model}\t{what}\t{greatest:.1e}").unwrap();
}

#[test]
fn logits_are_those_of_the_reference() {
    let home = tempfile::tempdir().unwrap();
    for name in CAUSAL.into_iter().chain(T5).chain(ADAPTERS) {
        let expected = Expected::read(name);
        let dir = model_dir(name, home.path());
        let mut greatest = 0f32;
        // Adapters apart, as they are trained, and added into their model, as they are served.
        for model in [to_train(&dir), LanguageModel::load(&dir, &options()).unwrap()] {
            let examples = expected.examples();
            let batch: Vec<&TokenExample> = examples.iter().map(|(example, _)| example).collect();
            let logits = model.network().target_logits(&batch, &Pass::plain(), &mut Tape::keeping()).unwrap();
            let mut row = 0;
            for (i, (example, first)) in examples.iter().enumerate() {
                let found = logits.narrow(0, row, example.target.len()).unwrap();
                let wanted =
                    expected.0[&format!("logits.{i}")].narrow(0, *first, example.target.len()).unwrap();
                let what = format!("{name}, sequence {i}");
                greatest = greatest.max(assert_close(&floats(&found), &floats(&wanted), 1e-4, &what));
                row += example.target.len();
            }
        }
        record(name, "logits", greatest);
    }
}

#[test]
fn losses_and_gradients_are_those_of_the_reference() {
    let home = tempfile::tempdir().unwrap();
    for name in CAUSAL.into_iter().chain(T5).chain(ADAPTERS) {
        let expected = Expected::read(name);
        let model = to_train(&model_dir(name, home.path()));
        let examples = expected.examples();
        let batch: Vec<&TokenExample> = examples.iter().map(|(example, _)| example).collect();
        let (found, gradients) = model.backward(&batch, LossMode::Eval).unwrap();
        let (loss, wanted) = (found.loss.to_scalar::<f32>().unwrap(), expected.floats("loss")[0]);
        assert!((loss - wanted).abs() < 1e-4 * wanted, "{name}: a loss of {loss} against {wanted}");
        let mut greatest = 0f32;
        let parameters = model.parameters();
        let known: Vec<&str> = expected.gradients().map(|(name, _)| name).collect();
        assert_eq!(known.len(), parameters.len(), "{name}");
        for (parameter, var) in &parameters {
            let wanted = expected.gradients().find(|(name, _)| name == parameter).expect(parameter).1;
            let found = gradients.get(var).expect("a gradient");
            assert_eq!(found.dims(), wanted.dims(), "{name}, {parameter}");
            let (found, wanted) = (floats(found), floats(wanted));
            let norm = |values: &[f32]| values.iter().map(|x| x * x).sum::<f32>().sqrt();
            let difference: Vec<f32> = found.iter().zip(&wanted).map(|(a, b)| a - b).collect();
            assert!(norm(&wanted) > 0.0, "{name}, {parameter}: no gradient");
            let relative = norm(&difference) / norm(&wanted);
            assert!(relative < 1e-3, "{name}, {parameter}: {relative}");
            greatest = greatest.max(relative);
        }
        record(name, "gradients", greatest);
    }
}

#[test]
fn recomputed_activations_give_the_same_gradients() {
    let home = tempfile::tempdir().unwrap();
    for name in ["llama", "t5-gated", "lora-t5"] {
        let dir = model_dir(name, home.path());
        // With dropout: its masks must come back too.
        let settings = LmSettings { dropout: Some(0.2), ..settings(&dir) };
        let model = LanguageModel::to_train(&dir, &settings, Compute::default(), &options()).unwrap();
        let examples = Expected::read(name).examples();
        let batch: Vec<&TokenExample> = examples.iter().map(|(example, _)| example).collect();
        let gradients = |seed, recompute| {
            let mode = LossMode::Train { seed, label_smoothing: 0.1, recompute };
            let (loss, store) = model.backward(&batch, mode).unwrap();
            let gradients: Vec<Vec<f32>> =
                model.parameters().iter().map(|(_, var)| floats(store.get(var).unwrap())).collect();
            (loss.loss.to_scalar::<f32>().unwrap().to_bits(), gradients)
        };
        let (kept, again, other) = (gradients(1, false), gradients(1, true), gradients(2, false));
        assert_eq!(kept.0, again.0, "{name}");
        assert_ne!(kept.0, other.0, "{name}: dropout does nothing");
        for (kept, again) in kept.1.iter().zip(&again.1) {
            assert_close(again, kept, 1e-5, name);
        }
    }
}

#[test]
fn greedy_output_is_that_of_the_reference() {
    let home = tempfile::tempdir().unwrap();
    for name in CAUSAL.into_iter().chain(T5) {
        let expected = Expected::read(name);
        let model = LanguageModel::load(&model_dir(name, home.path()), &options()).unwrap();
        let examples = expected.examples();
        let sources: Vec<&[u32]> = examples.iter().map(|(example, _)| example.source.as_slice()).collect();
        let (mut caches, mut logits) = model.network().start(&sources).unwrap();
        let mut written = vec![Vec::new(); sources.len()];
        for step in 0..12 {
            let rows: Vec<Vec<f32>> = logits.to_vec2().unwrap();
            let best =
                |row: &Vec<f32>| (0..row.len()).max_by(|a, b| row[*a].total_cmp(&row[*b])).unwrap() as u32;
            let next: Vec<u32> = rows.iter().map(best).collect();
            for (text, token) in written.iter_mut().zip(&next) {
                text.push(*token);
            }
            if step < 11 {
                let (ones, mut caches) = (vec![1; next.len()], caches.iter_mut().collect::<Vec<_>>());
                logits = model.network().extend(&next, &ones, &mut caches).unwrap();
            }
        }
        for (i, written) in written.iter().enumerate() {
            assert_eq!(*written, expected.tokens(&format!("greedy.{i}")), "{name}, sequence {i}");
        }
    }
}

#[test]
fn a_saved_model_is_the_model() {
    let home = tempfile::tempdir().unwrap();
    for name in ["llama", "qwen3", "t5-relu", "lora-t5"] {
        let model = to_train(&model_dir(name, home.path()));
        let out = home.path().join(format!("{name}-saved"));
        model.save(&out, &CheckpointMeta { min_confidence: 0.7, ..CheckpointMeta::default() }).unwrap();
        let again = to_train(&out);
        assert!((restorer::Restorer::info(&again).min_confidence - 0.7).abs() < 1e-6);
        let names = |dir: &Path, file: &str| {
            let mut names: Vec<String> =
                candle_core::safetensors::load(dir.join(file), &Device::Cpu).unwrap().into_keys().collect();
            names.sort_unstable();
            names
        };
        let file = if name.starts_with("lora") { "adapter_model.safetensors" } else { "model.safetensors" };
        assert_eq!(names(&fixture(name), file), names(&out, file));
        for ((name, before), (_, after)) in model.parameters().iter().zip(again.parameters()) {
            assert_eq!(floats(before), floats(&after), "{name}");
        }
    }
}

#[test]
fn bytes_are_tokens_as_byt5_has_them() {
    let golden = std::fs::read(fixture("byt5-tokens.json")).unwrap();
    let golden: Vec<serde_json::Value> = serde_json::from_slice(&golden).unwrap();
    let mut compared = 0;
    for entry in golden {
        let text = entry["text"].as_str().unwrap();
        // A user's text is text: what looks like a special token is not one.
        if ["</s>", "<pad>", "<extra_id"].iter().any(|special| text.contains(special)) {
            assert_eq!(Codec::Bytes.encode(text).len(), text.len());
            continue;
        }
        let mut ids = Codec::Bytes.encode(text);
        ids.push(1);
        let wanted: Vec<u32> = serde_json::from_value(entry["ids"].clone()).unwrap();
        assert_eq!(ids, wanted, "{text:?}");
        compared += 1;
    }
    assert!(compared >= 6);
}

#[test]
fn what_does_not_fit_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let refused = |dir: &Path| LanguageModel::load(dir, &options()).unwrap_err().to_string();
    // A checkpoint whose weights are another family's.
    let dir = model_dir("qwen2", home.path());
    let config = std::fs::read_to_string(dir.join("config.json")).unwrap();
    std::fs::write(dir.join("config.json"), config.replace("\"qwen2\"", "\"llama\"")).unwrap();
    assert!(refused(&dir).contains("q_proj.bias"), "{}", refused(&dir));
    // An adapter of another model.
    let dir = model_dir("lora-llama", home.path());
    let config = std::fs::read_to_string(dir.join("adapter_config.json")).unwrap();
    std::fs::write(dir.join("adapter_config.json"), config.replace("\"llama\"", "\"t5-gated\"")).unwrap();
    assert!(refused(&dir).contains("another model"), "{}", refused(&dir));
    std::fs::write(dir.join("adapter_config.json"), config.replace("\"llama\"", "\"nowhere\"")).unwrap();
    assert!(refused(&dir).contains("nowhere"), "{}", refused(&dir));
    // Weights that are cut.
    let dir = model_dir("t5-relu", home.path());
    let bytes = std::fs::read(dir.join("model.safetensors")).unwrap();
    std::fs::write(dir.join("model.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    assert!(refused(&dir).contains("safetensors"), "{}", refused(&dir));
    // A recipe for another family.
    let wrong = LmSettings { family: "llama".to_owned(), ..LmSettings::default() };
    let dir = model_dir("byt5", home.path());
    let error = LanguageModel::to_train(&dir, &wrong, Compute::default(), &options()).unwrap_err();
    assert!(error.to_string().contains("\"t5\""), "{error}");
}

#[test]
fn every_trainable_tensor_of_a_new_model_learns() {
    for family in ["t5", "llama", "qwen2", "qwen3"] {
        let mut settings = LmSettings { family: family.to_owned(), ..LmSettings::default() };
        let sizes: &[(&str, u32)] = if family == "t5" {
            &[("d_model", 24), ("d_ff", 32), ("d_kv", 8), ("num_heads", 2), ("num_layers", 2)]
        } else {
            &[("hidden_size", 24), ("intermediate_size", 32), ("head_dim", 8), ("num_hidden_layers", 2)]
        };
        settings.config.extend(sizes.iter().map(|(key, size)| ((*key).to_owned(), (*size).into())));
        let model = LanguageModel::random(&settings, Compute::default(), &options()).unwrap();
        assert!(matches!((family, model.network()), ("t5", Network::T5(_)) | (_, Network::Decoder(_))));
        let pair = corruptor::Pair {
            id: 1,
            doc_id: "1".to_owned(),
            source: "test".to_owned(),
            start: 0,
            copy: 0,
            noise: None,
            original: "hello world, how are you today?".to_owned(),
            corrupted: "hello world, how are you today?".to_owned(),
            events: Vec::new(),
            cer: 0.0,
        };
        let examples = model.examples(&pair).unwrap();
        let mode = LossMode::Train { seed: 1, label_smoothing: 0.1, recompute: false };
        let loss = model.loss(&examples.iter().collect::<Vec<_>>(), mode).unwrap();
        let gradients = loss.loss.backward().unwrap();
        for (name, var) in model.parameters() {
            let gradient = gradients.get(&var).map(floats).unwrap_or_default();
            assert!(gradient.iter().any(|g| *g != 0.0), "{family}: {name} has no gradient");
        }
    }
}
