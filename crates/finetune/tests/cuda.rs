//! On NVIDIA GPUs, by `make test-cuda`: a training there is the one on the processor, and two GPUs do the work of one.
#![cfg(feature = "cuda")]

mod helpers;

use std::process::{Command, Stdio};

use finetune::{ModelSource, train_recipe};
use helpers::{Workspace, language_model_recipe, log};
use restorer::DeviceChoice;

const MODELS: [(&str, &str); 3] = [
    (
        "t5",
        r#"family = "t5"
window_bytes = 128
overlap_bytes = 16
config = { d_model = 32, d_ff = 48, d_kv = 16, num_heads = 2, num_layers = 2, num_decoder_layers = 1 }"#,
    ),
    (
        "llama",
        r#"family = "llama"
window_bytes = 128
overlap_bytes = 16
config = { hidden_size = 32, intermediate_size = 48, head_dim = 16, num_attention_heads = 2, num_key_value_heads = 1, num_hidden_layers = 2 }"#,
    ),
    (
        "tagger",
        r#"family = "tagger"
hidden_size = 32
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 32
table_rows = 1024
table_dim = 8
window_bytes = 128
overlap_bytes = 16"#,
    ),
];
const STEPS: [&str; 4] =
    ["train.steps=30", "train.eval_steps=30", "train.valid_pairs=4", "train.confidence_grid=[0.5]"];

/// The losses of a short training.
fn losses(workspace: &Workspace, model: &str, out: &str, device: DeviceChoice, precision: &str) -> Vec<f64> {
    let precision = format!("train.precision=\"{precision}\"");
    let overrides = [&STEPS[..], &["train.log_steps=1", &precision]].concat();
    let options = workspace.options_of(&language_model_recipe(model), out, &overrides);
    train_recipe(options, &ModelSource { device, ..ModelSource::default() }).unwrap();
    log(&workspace.path(out)).iter().filter_map(|line| line["loss"].as_f64()).collect()
}

#[test]
#[ignore = "needs an NVIDIA GPU: make test-cuda"]
fn the_loss_falls_as_on_the_processor() {
    let workspace = Workspace::new();
    for (name, model) in MODELS {
        let out = |kind: &str| format!("{name}-{kind}");
        let here = losses(&workspace, model, &out("cpu"), DeviceChoice::Cpu, "float32");
        let there = losses(&workspace, model, &out("f32"), DeviceChoice::Cuda(0), "float32");
        assert_eq!(here.len(), 30);
        for (step, (a, b)) in here.iter().zip(&there).enumerate() {
            assert!((a - b).abs() < 2e-3 * a, "{name}, step {step}: {a} and {b}");
        }
        if name == "tagger" {
            continue;
        }
        let halves = losses(&workspace, model, &out("bf16"), DeviceChoice::Cuda(0), "bfloat16");
        for (step, (a, b)) in here.iter().zip(&halves).enumerate() {
            assert!((a - b).abs() < 5e-2 * a, "{name} in bfloat16, step {step}: {a} and {b}");
        }
    }
}

/// Lines of `nvidia-smi --list-gpus`.
fn gpus() -> usize {
    let listed = Command::new("nvidia-smi").arg("--list-gpus").output();
    listed.map_or(0, |listed| String::from_utf8_lossy(&listed.stdout).lines().count())
}

/// Over NCCL with the feature `nccl`, else over the host.
#[test]
#[ignore = "needs two NVIDIA GPUs: make test-cuda"]
#[expect(clippy::print_stderr, reason = "a test that could not run says so")]
fn two_gpus_end_with_the_weights_of_one() {
    if gpus() < 2 {
        eprintln!("{} GPUs: nothing was tested", gpus());
        return;
    }
    let workspace = Workspace::new();
    let (_, llama) = MODELS[1];
    std::fs::write(workspace.path("llama.toml"), language_model_recipe(llama)).unwrap();
    let weights = |world: usize| {
        let out = format!("run-{world}");
        let start = |rank: usize| {
            let mut command = Command::new(assert_cmd::cargo::cargo_bin("finetune"));
            command.current_dir(workspace.directory.path());
            command.args(["train", "--recipe", "llama.toml", "--pairs", "pairs", "--out", &out]);
            command.args(["--device", "cuda"]).args(STEPS.iter().flat_map(|set| ["--set", set]));
            command.args(["--set", "train.precision=\"float32\""]).stdout(Stdio::null());
            command.env("WORLD_SIZE", world.to_string()).env("RANK", rank.to_string());
            command.env("MASTER_PORT", "29517").spawn().unwrap()
        };
        for mut process in (0..world).map(start).collect::<Vec<_>>() {
            assert!(process.wait().unwrap().success());
        }
        let file = workspace.path(&out).join("model.safetensors");
        candle_core::safetensors::load(file, &candle_core::Device::Cpu).unwrap()
    };
    let (one, two) = (weights(1), weights(2));
    for (name, tensor) in &one {
        let values = |tensor: &candle_core::Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (a, b) in values(tensor).iter().zip(values(&two[name])) {
            assert!((a - b).abs() < 1e-3 * (1.0 + a.abs()), "{name}: {a} and {b}");
        }
    }
}
