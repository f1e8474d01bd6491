//! Confidences that are held to held-out pairs: what training learns of them, and `finetune calibrate`.

mod helpers;

use std::path::Path;

use corruptor::Pair;
use finetune::data::read_pairs;
use finetune::train_recipe;
use helpers::{Workspace, from_scratch};
use predicates::str::contains;
use restorer::checkpoint::RestorerJson;
use restorer::{Calibration, LoadOptions, Restoration, RestoreOptions, RestoreRequest, load};

fn restored(dir: &Path, pairs: &[Pair], min_confidence: f32, raw_confidence: bool) -> Vec<Restoration> {
    let options = RestoreOptions { min_confidence: Some(min_confidence), ..RestoreOptions::default() };
    let requests: Vec<_> =
        pairs.iter().map(|pair| RestoreRequest::new(&pair.corrupted).with_options(options)).collect();
    load(dir, &LoadOptions { raw_confidence, ..LoadOptions::default() }).unwrap().restore(&requests).unwrap()
}

fn json(dir: &Path) -> RestorerJson {
    serde_json::from_slice(&std::fs::read(dir.join("restorer.json")).unwrap()).unwrap()
}

/// A checkpoint that was trained, and the pairs it was tuned on.
fn trained() -> (Workspace, Vec<Pair>) {
    let workspace = Workspace::new();
    train_recipe(workspace.options("run", &["train.confidence_grid=[0.0]"]), &from_scratch()).unwrap();
    let pairs = read_pairs(&workspace.pairs().join("valid")).unwrap();
    (workspace, pairs)
}

#[test]
fn training_learns_a_calibration_that_only_changes_what_is_told() {
    let (workspace, pairs) = trained();
    let run = workspace.path("run");
    let calibration = json(&run).calibration.expect("a calibration");
    let of_texts = json(&run).text_calibration.expect("a calibration of texts");
    let (raw, told) = (restored(&run, &pairs, 0.0, true), restored(&run, &pairs, 0.0, false));
    let mut edits = 0;
    for (raw, told) in raw.iter().zip(&told) {
        assert_eq!((&raw.text, raw.calibrated, told.calibrated), (&told.text, false, true));
        assert_eq!((raw.text_calibrated, told.text_calibrated), (false, true));
        let expected = of_texts.probability(f64::from(raw.confidence)) as f32;
        assert!((told.confidence - expected).abs() < 1e-4, "{} told, {expected} expected", told.confidence);
        for (raw, told) in raw.edits.iter().zip(&told.edits) {
            let expected = calibration.probability(f64::from(raw.confidence)) as f32;
            assert!((told.confidence - expected).abs() < 1e-6, "{told:?}, {expected} expected");
            edits += 1;
        }
    }
    assert!(edits > 30, "only {edits} edits");
    // A threshold is one of what is told.
    let middle =
        told.iter().flat_map(|one| &one.edits).map(|edit| edit.confidence).fold(1.0, f32::min) + 0.01;
    for one in restored(&run, &pairs, middle, false) {
        assert!(one.edits.iter().all(|edit| edit.confidence >= middle - 1e-6));
    }
}

#[test]
fn a_checkpoint_is_calibrated_on_other_pairs_and_says_what_that_changed() {
    let (workspace, _) = trained();
    let run = workspace.path("run");
    // As if the model had been twice as sure of itself as it should be.
    let mut said = json(&run);
    said.calibration = Some(Calibration { slope: 2.0, intercept: 1.0 });
    said.min_confidence = 0.7;
    std::fs::write(run.join("restorer.json"), serde_json::to_vec(&said).unwrap()).unwrap();
    let before = std::fs::read(run.join("model.safetensors")).unwrap();
    workspace
        .finetune("calibrate")
        .args(["--model", "run", "--pairs", "pairs/valid"])
        .assert()
        .success()
        .stderr(contains("expected calibration error"));
    let learned = json(&run).calibration.unwrap();
    assert!(learned.slope < 2.0, "{learned:?}: what stood there before has no say");
    let now = json(&run);
    // The threshold lets the same edits pass.
    let threshold = |json: &RestorerJson| json.calibration.unwrap().said(f64::from(json.min_confidence));
    assert!((threshold(&now) - threshold(&said)).abs() < 1e-3);
    assert!(now.text_calibration.is_some());
    let profile = now.profile.clone().unwrap();
    assert!(profile.texts() > 0.0);
    assert!((profile.confidence.iter().sum::<f64>() - profile.texts()).abs() < 1e-9);
    let known = RestorerJson {
        calibration: said.calibration,
        text_calibration: said.text_calibration,
        min_confidence: said.min_confidence,
        profile: said.profile.clone(),
        ..now.clone()
    };
    assert_eq!(known, said, "all else is as it was");
    assert_eq!(std::fs::read(run.join("model.safetensors")).unwrap(), before);
    // How texts are distributed can be learned alone, from other pairs.
    workspace
        .finetune("calibrate")
        .args(["--model", "run", "--pairs", "pairs/valid", "--limit", "3", "--profile-only"])
        .assert()
        .success();
    let of_three = json(&run);
    assert!((of_three.profile.as_ref().unwrap().texts() - 3.0).abs() < 1e-9);
    assert_eq!(RestorerJson { profile: now.profile.clone(), ..of_three }, now);

    let metrics = workspace.path("metrics.json");
    workspace
        .finetune("evaluate")
        .args([
            "--model",
            "run",
            "--pairs",
            "pairs/test",
            "--min-confidence",
            "0",
            "--metrics",
            "metrics.json",
        ])
        .args(["--report", "report.html"])
        .assert()
        .success()
        .stdout(contains("expected calibration error"));
    let metrics: serde_json::Value = serde_json::from_slice(&std::fs::read(metrics).unwrap()).unwrap();
    assert_eq!(metrics["calibrated"], true);
    assert_eq!(metrics["text_calibrated"], true);
    assert!(
        metrics["whole_texts"]["calibration_error"].as_f64().unwrap() < 0.3,
        "{}",
        metrics["whole_texts"]
    );
    let edits = &metrics["edits"];
    assert!(edits["edits"].as_u64().unwrap() > 30);
    assert!(edits["calibration_error"].as_f64().unwrap() < 0.2, "{edits}");
    assert!(edits["coverage_99"].as_f64().unwrap() >= edits["coverage_999"].as_f64().unwrap());
    let report = std::fs::read_to_string(workspace.path("report.html")).unwrap();
    assert!(report.contains("Precision and coverage") && report.contains("Reliability of edits"));
    assert!(report.contains("Reliability of texts"));

    workspace
        .finetune("calibrate")
        .args(["--model", "nowhere", "--pairs", "pairs/valid"])
        .assert()
        .failure()
        .stderr(contains("nowhere"));
}
