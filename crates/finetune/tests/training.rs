//! Training on a small corpus: it learns, it resumes exactly, it refuses what does not fit.

mod helpers;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use finetune::train::{Existing, Outcome};
use finetune::{FinetuneError, ModelSource, Stop, StopReason, train_recipe};
use helpers::{Workspace, from_scratch, log, state_step, state_tensors};
use restorer::{LoadOptions, RestoreRequest};

#[test]
fn learns_an_easy_noise_and_leaves_a_whole_checkpoint() {
    let workspace = Workspace::new();
    let outcome = train_recipe(workspace.options("run", &[]), &from_scratch()).unwrap();
    let Outcome::Finished { metrics } = outcome else { panic!("stopped early") };
    let number = |key: &str| metrics[key].as_f64().unwrap();
    assert!(number("valid_cer") < 0.3 * number("valid_cer_before"), "{metrics}");
    assert!(number("valid_harm") <= 0.1, "{metrics}");
    assert!([0.4, 0.8].contains(&number("min_confidence")), "{metrics}");

    let run = workspace.path("run");
    let losses: Vec<f64> = log(&run).iter().filter_map(|line| line["loss"].as_f64()).collect();
    assert_eq!(losses.len(), 24);
    assert!(losses[23] < 0.3 * losses[0], "{losses:?}");
    let evaluations = log(&run).iter().filter(|line| line["valid_cer"].is_f64()).count();
    assert_eq!(evaluations, 3);

    let model = restorer::load(&run, &LoadOptions::default()).unwrap();
    let restored =
        model.restore(&[RestoreRequest::new("the peo4ple of 77our nation sh1all have peace.")]).unwrap();
    assert_eq!(restored[0].text, "the people of our nation shall have peace.");
    assert!((f64::from(model.info().min_confidence) - number("min_confidence")).abs() < 1e-6);
    let card = std::fs::read_to_string(run.join("README.md")).unwrap();
    assert!(card.contains("| words | 60 | 180 |") && card.contains("hidden_size = 32"), "{card}");
}

#[test]
fn slices_of_a_run_equal_the_whole_bit_for_bit() {
    let workspace = Workspace::new();
    let overrides =
        ["train.steps=30", "train.eval_steps=12", "train.valid_pairs=4", "train.confidence_grid=[0.5]"];
    let mut whole = workspace.options("whole", &overrides);
    whole.threads = 1;
    train_recipe(whole, &from_scratch()).unwrap();
    let mut stops = 0;
    loop {
        let mut slice = workspace.options("slices", &overrides);
        slice.existing = Existing::Resume;
        slice.threads = 3;
        slice.stop = Stop::new(Some(Duration::from_millis(60)), Arc::default());
        match train_recipe(slice, &from_scratch()).unwrap() {
            Outcome::Finished { .. } => break,
            Outcome::Helped => panic!("there is no other process"),
            Outcome::Stopped { reason, step } => {
                assert_eq!(reason, StopReason::Budget);
                assert_eq!(state_step(&workspace.path("slices")), step);
                stops += 1;
                assert!(stops < 200, "no progress at step {step}");
            }
        }
    }
    assert!(stops > 0, "the run was over before it could be stopped");
    let (whole, slices) = (state_tensors(&workspace.path("whole")), state_tensors(&workspace.path("slices")));
    assert_eq!(whole.keys().collect::<Vec<_>>(), slices.keys().collect::<Vec<_>>());
    for (name, bytes) in &whole {
        assert!(bytes == &slices[name], "{name} differs after {stops} stops");
    }
}

#[test]
fn a_signal_stops_and_saves() {
    let workspace = Workspace::new();
    let mut options = workspace.options("run", &[]);
    options.stop = Stop::new(None, Arc::new(AtomicBool::new(true)));
    let outcome = train_recipe(options, &from_scratch()).unwrap();
    assert_eq!(outcome, Outcome::Stopped { reason: StopReason::Signal, step: 0 });
    assert_eq!(state_step(&workspace.path("run")), 0);
}

#[test]
fn a_run_goes_on_only_with_what_it_was_started_with() {
    let workspace = Workspace::new();
    let start = |out: &str, overrides: &[&str], existing| {
        let mut options = workspace.options(out, overrides);
        options.existing = existing;
        options.stop = Stop::new(Some(Duration::ZERO), Arc::default());
        options
    };
    train_recipe(start("run", &[], Existing::Refuse), &from_scratch()).unwrap();

    let refused = |overrides: &[&str], existing, source: &ModelSource| {
        train_recipe(start("run", overrides, existing), source).unwrap_err().to_string()
    };
    let message = refused(&[], Existing::Refuse, &from_scratch());
    assert!(message.contains("--resume") && message.contains("--overwrite"), "{message}");
    let message = refused(&["train.learning_rate=1.0"], Existing::Resume, &from_scratch());
    assert!(message.contains("train.learning_rate was 0.01 and is now 1.0"), "{message}");
    let message = refused(&["model.hidden_size=64"], Existing::Resume, &from_scratch());
    assert!(message.contains("model.hidden_size was 32 and is now 64"), "{message}");

    let model = ModelSource { init: Some(workspace.path("run")), ..ModelSource::default() };
    let message = refused(&[], Existing::Resume, &model);
    assert!(message.contains("--init") && message.contains("absent"), "{message}");

    train_recipe(start("run", &["train.save_minutes=9.0"], Existing::Resume), &from_scratch()).unwrap();
    workspace.write_pairs(2);
    let message = refused(&[], Existing::Resume, &from_scratch());
    assert!(message.contains("training pairs"), "{message}");
    train_recipe(start("run", &[], Existing::Overwrite), &from_scratch()).unwrap();
}

#[test]
fn a_checkpoint_to_start_from_is_never_made_worse() {
    let workspace = Workspace::new();
    let first = workspace.options("first", &["train.steps=80"]);
    let Outcome::Finished { metrics: first } = train_recipe(first, &from_scratch()).unwrap() else {
        panic!("stopped early")
    };
    // A learning rate that ruins the weights: the initial ones stay the best.
    let overrides =
        ["train.steps=4", "train.learning_rate=3.0", "train.table_learning_rate=3.0", "train.max_skipped=9"];
    let source = ModelSource { init: Some(workspace.path("first")), ..ModelSource::default() };
    let Outcome::Finished { metrics } =
        train_recipe(workspace.options("second", &overrides), &source).unwrap()
    else {
        panic!("stopped early")
    };
    assert_eq!(metrics["best_step"], 0);
    let mut anew = workspace.options("second", &[]);
    anew.existing = Existing::Overwrite;
    anew.stop = Stop::new(None, Arc::new(AtomicBool::new(true)));
    train_recipe(anew, &from_scratch()).unwrap();
    assert!(!workspace.path("second/model.safetensors").exists(), "a checkpoint of the run before is left");
    let cer = |metrics: &serde_json::Value| metrics["valid_cer"].as_f64().unwrap();
    assert!((cer(&metrics) - cer(&first)).abs() < 0.01, "{metrics} after {first}");
}

#[test]
fn a_loss_that_is_not_finite_is_reported() {
    let workspace = Workspace::new();
    let overrides = [
        "train.learning_rate=1e30",
        "train.table_learning_rate=1e30",
        "train.max_skipped=3",
        "train.eval_steps=1000",
    ];
    let error = train_recipe(workspace.options("run", &overrides), &from_scratch()).unwrap_err();
    assert!(matches!(error, FinetuneError::Diverged { skipped: 4, .. }), "{error}");
    assert!(error.to_string().contains("lower train.learning_rate"), "{error}");
}

#[test]
fn settings_out_of_range_are_named() {
    let workspace = Workspace::new();
    for (wrong, named) in [
        ("train.steps=0", "steps = 0"),
        ("train.beta1=1.0", "beta1 = 1"),
        ("train.confidence_grid=[]", "confidence_grid"),
        ("train.lerning_rate=1.0", "did you mean `learning_rate`?"),
        ("model.family=bert", "family \"bert\""),
        ("model.hiden_size=8", "did you mean `hidden_size`?"),
    ] {
        let error =
            train_recipe(workspace.options("run", &[wrong]), &from_scratch()).unwrap_err().to_string();
        assert!(error.contains(named), "{wrong}: {error}");
    }
    assert!(!workspace.path("run").exists(), "nothing is left behind");
}
