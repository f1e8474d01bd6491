//! The edit tagger from outside: against an independent forward pass, through its files, over long texts, in training.

use std::path::{Path, PathBuf};

use corruptor::{Channel, CorruptSettings, Pair, Passage, apply_edits};
use proptest::prelude::*;
use restorer::tagger::{Tagger, TaggerConfig};
use restorer::train::{CheckpointMeta, LossMode, Trainable as _};
use restorer::{LoadOptions, RestoreOptions, RestoreRequest, Restorer as _};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tagger")
}

fn one_thread() -> LoadOptions {
    LoadOptions { threads: Some(1), ..LoadOptions::default() }
}

#[derive(serde::Deserialize)]
struct Expected {
    text: String,
    tokens: Vec<usize>,
    bytes: Vec<Vec<f32>>,
    gaps: Vec<Vec<Vec<f32>>>,
}

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (class, (found, expected)) in found.iter().zip(expected).enumerate() {
        let bound = 1e-4 * (1.0 + expected.abs());
        assert!((found - expected).abs() < bound, "{what}, class {class}: {found} against {expected}");
    }
}

/// `fixtures/make_tagger.py` computes the same logits in numpy.
#[test]
fn logits_agree_with_numpy() {
    let model = Tagger::load(&fixture(), &one_thread()).unwrap();
    let expected = std::fs::read_to_string(fixture().join("expected.json")).unwrap();
    for expected in serde_json::from_str::<Vec<Expected>>(&expected).unwrap() {
        let found = model.logits(&expected.text).unwrap();
        for (i, &token) in expected.tokens.iter().enumerate() {
            let what = format!("{:?}, token {token}", expected.text);
            assert_close(&found.bytes[token], &expected.bytes[i], &what);
            for (slot, rows) in expected.gaps.iter().enumerate() {
                assert_close(&found.gaps[slot][token], &rows[i], &format!("{what}, slot {slot}"));
            }
        }
    }
}

fn pairs(text: &str, count: u32, rate: f64) -> Vec<Pair> {
    let channel = Channel::new(&CorruptSettings::default().with_total_rate(rate).at_level(1.0)).unwrap();
    let passage = Passage { source: "test", doc_id: "d", start: 0, text };
    (0..count).map(|copy| channel.pair(&passage, copy)).collect()
}

const TEXT: &str =
    "In meeting you again I feel much satisfaction in being able to repeat my congratulations.";

#[test]
fn every_trainable_tensor_gets_a_gradient_from_the_real_loss() {
    let model = Tagger::load(&fixture(), &one_thread()).unwrap();
    // Enough deletions that every insertion slot has labels.
    let examples: Vec<_> = pairs(TEXT, 40, 0.2).iter().flat_map(|p| model.examples(p).unwrap()).collect();
    let batch: Vec<_> = examples.iter().collect();
    let loss =
        model.loss(&batch, LossMode::Train { seed: 1, label_smoothing: 0.0, recompute: false }).unwrap();
    let gradients = loss.loss.backward().unwrap();
    let norm =
        |t: &candle_core::Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap().sqrt();
    for (name, var) in model.parameters() {
        let gradient = gradients.get(&var).unwrap_or_else(|| panic!("{name} has no gradient"));
        assert!(norm(gradient) > 1e-4, "{name}: {}", norm(gradient));
    }
    for rows in &loss.rows {
        let name = model.tables()[rows.table].name();
        let gradient = gradients.get(&rows.leaf).unwrap_or_else(|| panic!("{name} has no gradient"));
        assert!(norm(gradient) > 1e-4, "{name}: {}", norm(gradient));
    }
}

#[test]
fn the_loss_falls_along_its_gradient() {
    let model = Tagger::load(&fixture(), &one_thread()).unwrap();
    let examples: Vec<_> = pairs(TEXT, 4, 0.1).iter().flat_map(|p| model.examples(p).unwrap()).collect();
    let batch: Vec<_> = examples.iter().collect();
    let value = || f64::from(model.loss(&batch, LossMode::Eval).unwrap().loss.to_scalar::<f32>().unwrap());
    let before = value();
    let gradients = model.loss(&batch, LossMode::Eval).unwrap().loss.backward().unwrap();
    let (name, var) =
        model.parameters().into_iter().find(|(name, _)| name.ends_with("1.mlp.down_proj.weight")).unwrap();
    let gradient = gradients.get(&var).unwrap();
    let square = f64::from(gradient.sqr().unwrap().sum_all().unwrap().to_scalar::<f32>().unwrap());
    let step = 1e-3 * before / square;
    var.set(&(var.as_tensor() - (gradient * step).unwrap()).unwrap()).unwrap();
    // To first order the loss falls by step · |gradient|².
    let fall = (before - value()) / (step * square);
    assert!((fall - 1.0).abs() < 0.1, "{name}: fell {fall} of what the gradient says");
}

/// Training and serving see a text alike: the loss of a clean text is that of the served logits.
#[test]
fn training_and_serving_see_the_same_text() {
    let model = Tagger::load(&fixture(), &one_thread()).unwrap();
    // One window of the fixture's 64 bytes.
    let text = "naïve 👩‍👧: in meeting you again";
    let clean = &pairs(text, 1, 0.0)[0];
    let example = model.examples(clean).unwrap().remove(0);
    let loss = model.loss(&[&example], LossMode::Eval).unwrap();
    let logits = model.logits(text).unwrap();
    let cost = |row: &Vec<f32>| {
        let sum: f64 = row.iter().map(|logit| f64::from(*logit).exp()).sum();
        sum.ln() - f64::from(row[0])
    };
    let served: f64 = logits.bytes.iter().chain(&logits.gaps[0]).map(cost).sum();
    let trained = f64::from(loss.loss.to_scalar::<f32>().unwrap());
    assert!((trained - served).abs() < 1e-4 * served, "{trained} against {served}");
}

#[test]
fn a_new_model_leaves_texts_alone() {
    let model = Tagger::random(&TaggerConfig::tiny(), &one_thread()).unwrap();
    for text in ["", "a", TEXT, "naïve 👩‍👧\r\n\ttabs  "] {
        let restored = model.restore(&[RestoreRequest::new(text)]).unwrap().remove(0);
        assert_eq!((restored.text.as_str(), restored.edits.len(), restored.passes), (text, 0, 1));
    }
}

#[test]
fn a_saved_model_is_the_same_model() {
    let dir = tempfile::tempdir().unwrap();
    let model = Tagger::load(&fixture(), &one_thread()).unwrap();
    let meta =
        CheckpointMeta { recipe: "[model]\n".into(), min_confidence: 0.25, ..CheckpointMeta::default() };
    model.save(dir.path(), &meta).unwrap();
    let again = restorer::load(dir.path(), &one_thread()).unwrap();
    assert!((again.info().min_confidence - 0.25).abs() < f32::EPSILON);
    assert_ne!(again.info().digest, model.info().digest, "another threshold is another model");
    // Rows that went through 8 bits once go through them unchanged.
    let once = Tagger::load(dir.path(), &one_thread()).unwrap();
    let twice_dir = tempfile::tempdir().unwrap();
    once.save(twice_dir.path(), &meta).unwrap();
    let twice = Tagger::load(twice_dir.path(), &one_thread()).unwrap();
    let (before, after, again) =
        (model.logits(TEXT).unwrap(), once.logits(TEXT).unwrap(), twice.logits(TEXT).unwrap());
    assert!(after == again, "a checkpoint changed by being loaded and saved");
    for (before, after) in before.bytes.iter().flatten().zip(after.bytes.iter().flatten()) {
        assert!((before - after).abs() < 0.1, "{before} became {after}");
    }
    let names = ["config.json", "model.safetensors", "restorer.json"];
    let mut found: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    found.sort();
    assert_eq!(found, names);
}

/// The error of a checkpoint after `change`.
fn load_error(change: impl FnOnce(&Path)) -> String {
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "model.safetensors", "restorer.json"] {
        std::fs::copy(fixture().join(name), dir.path().join(name)).unwrap();
    }
    change(dir.path());
    restorer::load(dir.path(), &one_thread()).err().expect("the checkpoint is broken").to_string()
}

fn replace(path: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.contains(from));
    std::fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn broken_checkpoints_are_named() {
    let missing = load_error(|dir| std::fs::remove_file(dir.join("restorer.json")).unwrap());
    assert!(missing.contains("restorer.json"), "{missing}");

    let tensor = load_error(|dir| {
        let path = dir.join("model.safetensors");
        let mut bytes = std::fs::read(&path).unwrap();
        let name = b"model.layers.1.mlp.down_proj.weight";
        let at = bytes.windows(name.len()).position(|w| w == name).unwrap();
        bytes[at] = b'X';
        std::fs::write(&path, bytes).unwrap();
    });
    assert!(tensor.contains("no tensor `model.layers.1.mlp.down_proj.weight`"), "{tensor}");

    let shape = load_error(|dir| {
        replace(&dir.join("config.json"), "\"intermediate_size\": 24", "\"intermediate_size\": 32");
    });
    assert!(shape.contains("gate_up_proj.weight") && shape.contains("[48, 16]"), "{shape}");

    let truncated = load_error(|dir| {
        let bytes = std::fs::read(fixture().join("model.safetensors")).unwrap();
        std::fs::write(dir.join("model.safetensors"), &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(truncated.contains("model.safetensors"), "{truncated}");

    let family = load_error(|dir| replace(&dir.join("config.json"), "revertant-tagger", "bert"));
    assert!(family.contains("\"bert\"") && family.contains("revertant-tagger"), "{family}");

    let version = load_error(|dir| replace(&dir.join("restorer.json"), "\"version\": 1", "\"version\": 9"));
    assert!(version.contains("version 9"), "{version}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// The fixture's weights are random, so it edits wildly: whatever it does must hold together.
    #[test]
    fn edits_replay_over_any_text(text in "(\\PC|[a-c \r\n]|é|👩‍👧){0,200}", threshold in 0.0f32..0.6) {
        let model = Tagger::load(&fixture(), &one_thread()).unwrap();
        let options = RestoreOptions { min_confidence: Some(threshold), ..RestoreOptions::default() };
        let restored = model.restore(&[RestoreRequest::new(&text).with_options(options)]).unwrap().remove(0);
        prop_assert_eq!(&apply_edits(&text, &restored.edits).unwrap(), &restored.text);
        prop_assert!(restored.edits.iter().all(|e| e.confidence >= threshold));
        prop_assert!((0.0..=1.0).contains(&restored.confidence));
    }
}

#[test]
fn answers_depend_neither_on_the_batch_nor_on_the_threads() {
    let texts: Vec<String> = pairs(TEXT, 12, 0.1).into_iter().map(|p| p.corrupted.repeat(3)).collect();
    let all: Vec<_> = texts.iter().map(RestoreRequest::new).collect();
    let together =
        Tagger::load(&fixture(), &LoadOptions { threads: Some(2), ..LoadOptions::default() }).unwrap();
    let alone = Tagger::load(&fixture(), &one_thread()).unwrap();
    let one_by_one: Vec<_> =
        all.iter().flat_map(|request| alone.restore(std::slice::from_ref(request)).unwrap()).collect();
    for (a, b) in together.restore(&all).unwrap().iter().zip(&one_by_one) {
        assert_eq!(a.text, b.text);
        let places = |r: &restorer::Restoration| r.edits.iter().map(|e| (e.start, e.end)).collect::<Vec<_>>();
        assert_eq!(places(a), places(b));
    }
}
