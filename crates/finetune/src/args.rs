//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use finetune::Family;
use finetune::track::TrackOptions;
#[cfg(feature = "mlflow")]
use finetune::track::{Mlflow, MlflowOptions, Registration};
use restorer::source::ModelName;
use restorer::tagger::TableBits;
use restorer::{ComputeType, DeviceChoice, Reranking, WeightBits, WeightType};

/// Trains and evaluates models that restore corrupted text.
#[derive(Debug, Parser)]
#[command(
    version,
    about,
    after_help = "Exit status: 0 done, 1 failed, 2 used wrongly, 3 stopped by --max-minutes, SIGTERM or SIGINT; saved, `--resume` goes on."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a model on pairs, as a recipe says.
    Train(TrainArgs),
    /// Add an adapter into its model: a checkpoint that needs neither.
    Merge(MergeArgs),
    /// Measure a model on pairs: CER before and after, exact matches, harm, with 95 % intervals.
    Evaluate(EvaluateArgs),
    /// Learn on held-out pairs how probable a model's edits are, and keep it in its checkpoint.
    Calibrate(CalibrateArgs),
    /// Turn a GGUF file (llama, qwen2, qwen3) into a checkpoint in the Hugging Face layout.
    Import(ImportArgs),
    /// Write a checkpoint again with its weights in fewer bits, to ship it.
    Export(ExportArgs),
}

/// Device and threads.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct DeviceArgs {
    /// Device of the model: `cpu` or `cuda:N` (needs a build with `--features cuda`).
    #[arg(long, env = "REVERTANT_DEVICE", default_value = "cpu")]
    pub(crate) device: DeviceChoice,
    /// Worker threads; results do not depend on it. Default: one a core.
    #[arg(long, env = "REVERTANT_THREADS", value_parser = positive)]
    pub(crate) threads: Option<usize>,
}

/// `finetune train`.
#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// The recipe; its tables [model], [train] and [corrupt] are used, of a prior or an ensemble [model], [corpus] and [corrupt].
    /// Default: recipes/default.toml if it is there, else every table's defaults.
    #[arg(long, env = "REVERTANT_RECIPE")]
    pub(crate) recipe: Option<PathBuf>,
    /// Train another family than the recipe's, with that family's defaults: `tagger`, `t5`, `llama`, `qwen2`, `qwen3`, `ngram` or `ensemble`.
    #[arg(long, env = "REVERTANT_FAMILY")]
    pub(crate) family: Option<Family>,
    /// Directory with the splits `train` and `valid`.
    #[arg(long, env = "REVERTANT_PAIRS", default_value = "data/pairs")]
    pub(crate) pairs: PathBuf,
    /// Texts that a prior (family `ngram`) is counted from, and an ensemble weighed by: files and directories, as `corruptor generate` takes them.
    #[arg(long, env = "REVERTANT_CORPUS", value_name = "PATH", num_args = 1.., default_value = "data/corpus")]
    pub(crate) corpus: Vec<PathBuf>,
    /// The run's directory: the best checkpoint, `state/` to resume from, `log.jsonl`, `metrics.json`.
    #[arg(long, default_value = "models/run")]
    pub(crate) out: PathBuf,
    /// Checkpoint to start from instead of random weights: a directory, DIR@ALIAS or DIR@VERSION of a directory of versions,
    /// `owner/name[@revision]` of a hub, or `models:/NAME@ALIAS` or `models:/NAME/VERSION` of a registry (`MLFLOW_TRACKING_URI`); it
    /// also decides the model's shape.
    #[arg(long, value_name = "DIR|ID")]
    pub(crate) init: Option<ModelName>,
    /// Go on with the run in --out, where recipe, pairs and --init agree; without one, start.
    #[arg(long)]
    pub(crate) resume: bool,
    /// Start anew where --out holds a run.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) overwrite: bool,
    /// Stop after this many minutes of this call, saved, with exit status 3.
    #[arg(long, env = "REVERTANT_MAX_MINUTES", value_parser = minutes)]
    pub(crate) max_minutes: Option<f64>,
    /// Override a key of the recipe: `table.key=value`.
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// What shows the run.
    #[command(flatten)]
    pub(crate) track: TrackArgs,
    /// Where and how wide to run.
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// `finetune merge`.
#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Directory of the adapter; its `adapter_config.json` names the model.
    #[arg(long)]
    pub(crate) adapter: PathBuf,
    /// Where the checkpoint goes.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// Replace a model that is there.
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// What shows a run besides `log.jsonl` and `dvclive/`.
#[derive(Clone, Debug, Args)]
pub(crate) struct TrackArgs {
    /// Report the run to this `MLflow` server: `http://HOST:PORT`. Where it does not answer, the training goes on.
    #[cfg(feature = "mlflow")]
    #[arg(long, env = "MLFLOW_TRACKING_URI", value_name = "URI", value_parser = server)]
    pub(crate) mlflow: Option<String>,
    /// The experiment on that server.
    #[cfg(feature = "mlflow")]
    #[arg(long, env = "MLFLOW_EXPERIMENT_NAME", value_name = "NAME", default_value = MlflowOptions::DEFAULT_EXPERIMENT)]
    pub(crate) experiment: String,
    /// Register the finished model there as a version of this name, and move the alias to it.
    #[cfg(feature = "mlflow")]
    #[arg(long, value_name = "NAME[@ALIAS]")]
    pub(crate) register: Option<Registration>,
    /// Whether to write event files into `tensorboard/`.
    #[arg(long, value_name = "on|off", default_value = "on", value_parser = switch, action = ArgAction::Set)]
    pub(crate) tensorboard: bool,
    /// The device's peak FLOP/s, of which the log gives the share used. Default: measured (CPU), by the GPU's name.
    #[arg(long, value_name = "FLOPS", value_parser = flops)]
    pub(crate) peak_flops: Option<f64>,
}

impl TrackArgs {
    /// The trackers asked for, with credentials from the environment.
    pub(crate) fn options(&self) -> TrackOptions {
        TrackOptions {
            tensorboard: self.tensorboard,
            #[cfg(feature = "mlflow")]
            mlflow: self
                .mlflow
                .clone()
                .filter(|uri| !uri.is_empty())
                .map(|uri| MlflowOptions::from_env(uri, self.experiment.clone(), self.register.clone())),
            #[cfg(not(feature = "mlflow"))]
            mlflow: None,
            peak_flops: self.peak_flops,
        }
    }
}

/// `finetune evaluate`.
#[derive(Debug, Args)]
pub(crate) struct EvaluateArgs {
    /// The checkpoint: a directory, DIR@ALIAS or DIR@VERSION of a directory of versions, `owner/name[@revision]` of a hub, or
    /// `models:/NAME@ALIAS` or `models:/NAME/VERSION` of a registry (`MLFLOW_TRACKING_URI`).
    #[arg(long, env = "REVERTANT_MODEL", value_name = "DIR|ID", default_value = "models/run")]
    pub(crate) model: ModelName,
    /// Pairs: a Parquet file, or a directory of them.
    #[arg(long, default_value = "data/pairs/test")]
    pub(crate) pairs: PathBuf,
    /// At most this many pairs, evenly spaced.
    #[arg(long, value_parser = positive)]
    pub(crate) limit: Option<usize>,
    /// Also score sets made from the originals: one an operation at level 1, one a noise level, one clean.
    #[arg(long)]
    pub(crate) sets: bool,
    /// Recipe with the tables [evaluate] and, for --sets, [corrupt]. Default: the checkpoint's own.
    #[arg(long, env = "REVERTANT_RECIPE")]
    pub(crate) recipe: Option<PathBuf>,
    /// Override a key of the recipe: `table.key=value`.
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// The channel that a prior decodes: a recipe with a table [corrupt], as `corruptor fit` writes it. Default: the checkpoint's own.
    #[arg(long, env = "REVERTANT_CHANNEL", value_name = "RECIPE")]
    pub(crate) channel: Option<PathBuf>,
    /// What an autoregressive model reads: a template with `{text}` in the place of the text. Default: the checkpoint's own.
    #[arg(long, value_name = "TEMPLATE")]
    pub(crate) prompt: Option<String>,
    /// What an autoregressive model computes in on a CPU: `float32`, `int8`, or `auto`, as its checkpoint's matrices are.
    #[arg(long, env = "REVERTANT_COMPUTE_TYPE", default_value_t)]
    pub(crate) compute_type: ComputeType,
    /// A second model that weighs what the first holds possible: a prior, or a decoder with a tokenizer.
    #[arg(long, value_name = "DIR|ID")]
    pub(crate) rerank: Option<ModelName>,
    /// What the second model's nats count beside the first's.
    #[arg(long, requires = "rerank", default_value_t = Reranking::DEFAULT_WEIGHT)]
    pub(crate) rerank_weight: f64,
    /// Originals that the second model is asked about, at most.
    #[arg(long, requires = "rerank", default_value_t = Reranking::DEFAULT_CANDIDATES)]
    pub(crate) candidates: usize,
    /// Probability under which an edit is not applied. Default: the checkpoint's own.
    #[arg(long, value_parser = share)]
    pub(crate) min_confidence: Option<f32>,
    /// Write the figures as JSON.
    #[arg(long)]
    pub(crate) metrics: Option<PathBuf>,
    /// Write an HTML report with figures and examples.
    #[arg(long)]
    pub(crate) report: Option<PathBuf>,
    /// Write CSV files for plots into this directory.
    #[arg(long)]
    pub(crate) plots: Option<PathBuf>,
    /// Put the figures into the checkpoint's model card.
    #[arg(long)]
    pub(crate) card: bool,
    /// Where and how wide to run.
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// `finetune import`.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The GGUF file.
    #[arg(value_name = "MODEL.gguf")]
    pub(crate) model: PathBuf,
    /// The checkpoint's directory; it appears whole or not at all.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// The model's own tokenizer. Default: `tokenizer.json` beside the GGUF file, else rebuilt from what the file says.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<PathBuf>,
    /// Type of the weights: `float32`, `bfloat16` or `float16`.
    #[arg(long, default_value_t)]
    pub(crate) dtype: WeightType,
    /// Replace the checkpoint in --out.
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// `finetune calibrate`.
#[derive(Debug, Args)]
pub(crate) struct CalibrateArgs {
    /// The checkpoint's directory; its `restorer.json` is written anew.
    #[arg(long, value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Pairs that the model has not learned from, and is not measured on: file or directory.
    #[arg(long, env = "REVERTANT_VALID_PAIRS", default_value = "data/pairs/valid")]
    pub(crate) pairs: PathBuf,
    /// Take only so many pairs, evenly spaced.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub(crate) limit: Option<usize>,
    /// Learn only how probable whole texts are, and leave what is known of edits as it is.
    #[arg(long)]
    pub(crate) texts_only: bool,
    /// Learn only how texts, their edits and their confidences are distributed, which a server compares with what it is used for.
    #[arg(long, conflicts_with = "texts_only")]
    pub(crate) profile_only: bool,
    #[command(flatten)]
    pub(crate) device: DeviceArgs,
}

/// `finetune export`.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The checkpoint's directory: an autoregressive model, an adapter or a tagger.
    #[arg(long, value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Where the new one goes; it appears whole or not at all.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Type of the weights: `float32`, `bfloat16` or `float16`.
    #[arg(long, default_value_t = WeightType::Bfloat16)]
    pub(crate) dtype: WeightType,
    /// Keep the matrices of an autoregressive model in 8 bits a weight; --dtype is for the rest.
    #[arg(long, value_name = "8")]
    pub(crate) weight_bits: Option<WeightBits>,
    /// Bits of a weight of a tagger's n-gram table, 4 or 8. Default: as they are.
    #[arg(long, value_name = "4|8")]
    pub(crate) table_bits: Option<TableBits>,
    /// Replace the checkpoint in --out.
    #[arg(long)]
    pub(crate) overwrite: bool,
}

fn positive(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| "an integer above 0 is needed".to_owned())
}

fn switch(text: &str) -> Result<bool, String> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err("`on` or `off` is needed".to_owned()),
    }
}

/// An address; none where the variable is set to nothing.
#[cfg(feature = "mlflow")]
fn server(text: &str) -> Result<String, String> {
    if !text.is_empty() {
        Mlflow::check_address(text).map_err(|error| error.to_string())?;
    }
    Ok(text.to_owned())
}

fn flops(text: &str) -> Result<f64, String> {
    let fits = |flops: &f64| *flops > 0.0 && flops.is_finite();
    text.parse().ok().filter(fits).ok_or_else(|| "a number above 0 is needed, like 312e12".to_owned())
}

fn minutes(text: &str) -> Result<f64, String> {
    let fits = |minutes: &f64| *minutes >= 0.0 && *minutes <= 1e6;
    text.parse().ok().filter(fits).ok_or_else(|| "a number of minutes from 0 to 1000000 is needed".to_owned())
}

fn share(text: &str) -> Result<f32, String> {
    let fits = |share: &f32| (0.0..=1.0).contains(share);
    text.parse().ok().filter(fits).ok_or_else(|| "a number from 0 to 1 is needed".to_owned())
}
