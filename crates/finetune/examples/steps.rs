//! Training steps on given batches, timed: what `bench/finetune` compares with `PyTorch`.
//!
//! `steps --model DIR --batches FILE --steps N --warmup K --dtype f32|bf16 --threads T --learning-rate LR [--device cuda:0]`
//!
//! The file holds `input.{i}` and `labels.{i}`, int64 `[batch, tokens]`: for T5 source and target, for a decoder a sequence and what
//! follows each of its tokens. A line of JSON with the rate and the losses goes to standard output.

use std::collections::HashMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};
use clap::Parser;
use finetune::batch::{Batch, Cursor};
use finetune::optimizer::Optimizer;
use finetune::parallel::Group;
use finetune::settings::{Precision, TrainSettings};
use finetune::train::gradients;
use finetune::workers::Workers;
use restorer::lm::{LanguageModel, LmSettings, Network, TokenExample};
use restorer::train::Trainable;
use restorer::{DeviceChoice, LoadOptions};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
struct Arguments {
    #[arg(long)]
    model: PathBuf,
    #[arg(long)]
    batches: PathBuf,
    #[arg(long)]
    steps: usize,
    #[arg(long)]
    warmup: usize,
    #[arg(long)]
    dtype: String,
    #[arg(long)]
    threads: usize,
    #[arg(long)]
    learning_rate: f64,
    #[arg(long, default_value = "cpu")]
    device: DeviceChoice,
    /// Tokens of a micro-batch on the CPU: each worker computes one at a time.
    #[arg(long, default_value_t = 2048)]
    micro_tokens: usize,
}

fn main() -> Result<()> {
    #[expect(unsafe_code, reason = "the environment is set while there is one thread")]
    // SAFETY: no other thread has been started.
    unsafe {
        restorer::keep_operations_on_their_thread();
    }
    finetune::keep_pages();
    let arguments = Arguments::parse();
    let on_cpu = arguments.device == DeviceChoice::Cpu;
    let precision = match arguments.dtype.as_str() {
        "f32" => Precision::Float32,
        "bf16" => Precision::Bfloat16,
        other => bail!("--dtype {other}: f32 or bf16 is needed"),
    };
    let settings = TrainSettings {
        learning_rate: arguments.learning_rate,
        beta1: 0.9,
        beta2: 0.98,
        epsilon: 1e-8,
        weight_decay: 0.0,
        clip_norm: f64::MAX,
        ..TrainSettings::default()
    };
    let config = std::fs::read_to_string(arguments.model.join("config.json")).context("config.json")?;
    let config: serde_json::Value = serde_json::from_str(&config)?;
    let family = config["model_type"].as_str().unwrap_or_default().to_owned();
    let model_settings = LmSettings { family, dropout: Some(0.0), ..LmSettings::default() };
    let load = LoadOptions { device: arguments.device, ..LoadOptions::default() };
    let model = LanguageModel::to_train(&arguments.model, &model_settings, precision.compute(on_cpu), &load)?;
    let batches = candle_core::safetensors::load(&arguments.batches, &Device::Cpu)?;
    let workers = Workers::new(if on_cpu { arguments.threads } else { 1 })?;
    let mut optimizer = Optimizer::new(model.parameters(), model.tables(), &settings)?;
    let micro_tokens = if on_cpu { arguments.micro_tokens } else { usize::MAX };
    let count = (0..batches.len()).take_while(|i| batches.contains_key(&format!("input.{i}"))).count();
    let (mut losses, mut tokens, mut started) = (Vec::new(), 0, Instant::now());
    for step in 0..arguments.warmup + arguments.steps {
        if step == arguments.warmup {
            (tokens, started) = (0, Instant::now());
        }
        let micro_batches = micro_batches(&model, &batches, step % count, micro_tokens)?;
        let sum = gradients(
            &model,
            &optimizer,
            &micro_batches,
            &workers,
            &settings,
            step as u64,
            &mut Group::alone(),
        )?;
        losses.push(sum.loss / sum.labels as f64);
        tokens += sum.tokens;
        let norm =
            optimizer.step(&sum, model.tables(), settings.learning_rate, settings.table_learning_rate)?;
        if norm.is_none() {
            bail!("step {step}: the loss is not finite");
        }
    }
    let line = serde_json::json!({
        "contender": "revertant",
        "model": arguments.model.file_name().map(|name| name.to_string_lossy()),
        "dtype": arguments.dtype,
        "threads": arguments.threads,
        "tokens_per_s": tokens as f64 / started.elapsed().as_secs_f64(),
        "first_loss": losses.first(),
        "last_loss": losses.last(),
        "losses": losses,
    });
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// The sequences of a batch in groups of at most `micro_tokens`.
fn micro_batches(
    model: &LanguageModel,
    batches: &HashMap<String, Tensor>,
    index: usize,
    micro_tokens: usize,
) -> Result<Vec<Batch<TokenExample>>> {
    let rows = |name: &str| -> Result<Vec<Vec<u32>>> {
        let tensor = batches.get(&format!("{name}.{index}")).with_context(|| format!("{name}.{index}"))?;
        Ok(tensor.to_dtype(DType::U32)?.to_vec2()?)
    };
    let is_decoder = matches!(model.network(), Network::Decoder(_));
    let mut found: Vec<Batch<TokenExample>> = Vec::new();
    for (input, labels) in rows("input")?.into_iter().zip(rows("labels")?) {
        // A decoder's first token is read, all others and the last label are learned.
        let source = if is_decoder { input[..1].to_vec() } else { input };
        let tokens = if is_decoder { labels.len() } else { source.len() + labels.len() };
        let example = TokenExample { source, target: labels };
        match found.last_mut() {
            Some(batch) if batch.tokens + tokens <= micro_tokens => {
                batch.tokens += tokens;
                batch.examples.push(example);
            }
            _ => found.push(Batch {
                examples: vec![example],
                tokens,
                padded_tokens: tokens,
                next: Cursor::default(),
            }),
        }
    }
    Ok(found)
}
