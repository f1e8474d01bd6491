//! `finetune`: trains and evaluates models that restore corrupted text.

mod args;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use clap::Parser;
use corruptor::atomic::AtomicFile;
use corruptor::resolve::load_channel;
use corruptor::{Pair, Recipe, Split};
use finetune::calibrate::{
    CalibratedTexts, calibrate_checkpoint, calibrate_checkpoint_texts, profile_checkpoint,
};
use finetune::evaluate::{EvaluateOptions, evaluate, html, table, update_card, write_plots};
use finetune::parallel::Place;
use finetune::prior::{PriorOptions, train_ensemble, train_prior};
use finetune::settings::EvaluateSettings;
use finetune::train::{Existing, Outcome, TrainOptions};
use finetune::workers::Workers;
use finetune::{Family, FinetuneError, ModelSource, Stop, StopReason, data, train_recipe};
use restorer::gguf::{ImportOptions, TokenizerOrigin, import};
use restorer::lm::merge_adapter;
use restorer::source::ModelName;
use restorer::{ExportOptions, LoadOptions, Reranking, export};
use serde_json::Value;

use crate::args::{
    CalibrateArgs, Cli, Command, DeviceArgs, EvaluateArgs, ExportArgs, ImportArgs, MergeArgs, TrainArgs,
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The recipe where none is named.
const DEFAULT_RECIPE: &str = "recipes/default.toml";
/// Exit status of a run that was stopped early and saved.
const STOPPED: u8 = 3;

fn main() -> ExitCode {
    #[expect(unsafe_code, reason = "the environment is set while there is one thread")]
    // SAFETY: no other thread has been started.
    unsafe {
        restorer::keep_operations_on_their_thread();
    }
    let result = match Cli::parse().command {
        Command::Train(args) => {
            finetune::keep_pages();
            run_train(args)
        }
        Command::Merge(args) => run_merge(&args),
        Command::Evaluate(args) => run_evaluate(&args),
        Command::Calibrate(args) => run_calibrate(&args),
        Command::Import(args) => run_import(&args),
        Command::Export(args) => run_export(&args),
    };
    result.unwrap_or_else(|error| {
        say(&format!("error: {}", corruptor::chain(error.as_ref())));
        ExitCode::FAILURE
    })
}

fn run_train(args: TrainArgs) -> Result<ExitCode> {
    let recipe = match &args.recipe {
        Some(path) => Recipe::load(path)?,
        None if Path::new(DEFAULT_RECIPE).exists() => Recipe::load(Path::new(DEFAULT_RECIPE))?,
        None => Recipe::parse("", "defaults")?,
    };
    let recipe = match args.family {
        Some(family) => family.recipe(recipe)?,
        None => recipe,
    };
    let recipe = recipe.with_overrides(&args.overrides)?;
    match Family::of(&recipe)? {
        Family::Tagger | Family::LanguageModel(_) => {}
        Family::Ngram => return run_prior(args, recipe, train_prior),
        Family::Ensemble => return run_prior(args, recipe, train_ensemble),
    }
    let recipe = data::resolved_recipe(recipe, &args.pairs.join(Split::Train.name()))?;
    let (init, name) = args.init.as_ref().map(checkpoint).transpose()?.unzip();
    let stop = stop(&args)?;
    let place = Place::from_env()?;
    let leads = place.rank == 0;
    let device = args.device.device.after(place.local_rank);
    let options = TrainOptions {
        recipe,
        pairs: args.pairs,
        out: args.out,
        init: None,
        existing: existing(args.resume, args.overwrite),
        stop,
        threads: start_threads(args.device, place.local_world)?,
        progress: true,
        tracking: args.track.options(),
        place,
    };
    let out = options.out.clone();
    match train_recipe(options, &ModelSource { init, name, device })? {
        Outcome::Finished { metrics } => {
            print(&format!("{metrics:#}\n"))?;
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Helped => Ok(ExitCode::SUCCESS),
        Outcome::Stopped { .. } if !leads => Ok(ExitCode::from(STOPPED)),
        Outcome::Stopped { reason, step } => {
            let reason = match reason {
                StopReason::Budget => "--max-minutes are over",
                StopReason::Signal => "a signal asked for it",
            };
            say(&format!(
                "stopped after step {step}, since {reason}; saved in {}, --resume goes on",
                out.display()
            ));
            Ok(ExitCode::from(STOPPED))
        }
    }
}

/// Makes a model from texts by `train`.
fn run_prior(
    args: TrainArgs,
    recipe: Recipe,
    train: fn(&PriorOptions) -> Result<Option<Value>, FinetuneError>,
) -> Result<ExitCode> {
    start_threads(args.device, 1)?;
    if args.track.options().mlflow.is_some() {
        say("this family is made without steps, and not reported to MLflow");
    }
    let options = PriorOptions {
        recipe,
        stop: stop(&args)?,
        existing: existing(args.resume, args.overwrite),
        corpus: args.corpus,
        out: args.out,
        note: say,
    };
    let Some(metrics) = train(&options)? else {
        say("stopped; nothing was written");
        return Ok(ExitCode::from(STOPPED));
    };
    print(&format!("{metrics:#}\n"))?;
    Ok(ExitCode::SUCCESS)
}

fn existing(resume: bool, overwrite: bool) -> Existing {
    match (resume, overwrite) {
        (true, _) => Existing::Resume,
        (_, true) => Existing::Overwrite,
        _ => Existing::Refuse,
    }
}

/// The budget of this call, and the signals that end it.
fn stop(args: &TrainArgs) -> Result<Stop> {
    let signalled = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        // A second signal ends the program at once; the last state on disk is complete.
        signal_hook::flag::register_conditional_shutdown(signal, i32::from(STOPPED), Arc::clone(&signalled))
            .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&signalled)))
            .context("cannot listen for SIGTERM and SIGINT")?;
    }
    let budget = args.max_minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0));
    Ok(Stop::new(budget, signalled))
}

fn run_merge(args: &MergeArgs) -> Result<ExitCode> {
    if args.out.join("config.json").exists() && !args.overwrite {
        return Err(FinetuneError::ModelTaken { path: args.out.clone() }.into());
    }
    merge_adapter(&args.adapter, &args.out)?;
    say(&format!("{} holds the model with the adapter in it", args.out.display()));
    Ok(ExitCode::SUCCESS)
}

fn run_evaluate(args: &EvaluateArgs) -> Result<ExitCode> {
    let threads = start_threads(args.device, 1)?;
    if args.card && args.model.is_remote() {
        bail!("--card changes the checkpoint, and {} is kept in a cache: leave --card out", args.model);
    }
    let model = directory(&args.model)?;
    let recipe = match &args.recipe {
        Some(path) => Some(Recipe::load(path)?),
        None => checkpoint_recipe(&model)?,
    };
    if args.sets && recipe.is_none() {
        return Err(FinetuneError::NoRecipe { path: model }.into());
    }
    let recipe = recipe.map_or_else(|| Recipe::parse("", "default"), Ok)?.with_overrides(&args.overrides)?;
    let settings: EvaluateSettings = recipe.table("evaluate")?;
    let recipe = if args.sets { data::resolved_recipe(recipe, &args.pairs)? } else { recipe };
    let sets = if args.sets { Some(recipe.table("corrupt")?) } else { None };
    let channel = args.channel.as_deref().map(load_channel).transpose()?.map(Arc::new);
    let rerank = args.rerank.as_ref().map(|judge| -> Result<Reranking> {
        let judge = directory(judge)?;
        Ok(Reranking { judge, weight: args.rerank_weight, candidates: args.candidates })
    });
    let restorer = restorer::load(
        &model,
        &LoadOptions {
            device: args.device.device,
            compute_type: args.compute_type,
            channel,
            prompt: args.prompt.clone(),
            rerank: rerank.transpose()?,
            ..LoadOptions::default()
        },
    )?;
    let pairs = some_pairs(&args.pairs, args.limit)?;
    let on_cpu = args.device.device == restorer::DeviceChoice::Cpu;
    let workers = Workers::new(if on_cpu { threads } else { 1 })?;
    let examples = settings.report_examples;
    let options = EvaluateOptions { settings, sets, min_confidence: args.min_confidence, progress: true };
    let (evaluation, restored) = evaluate(restorer.as_ref(), &pairs, &options, &workers)?;
    print(&table(&evaluation))?;
    if let Some(path) = &args.metrics {
        write_file(path, &serde_json::to_string_pretty(&evaluation)?)?;
    }
    if let Some(path) = &args.report {
        write_file(path, &html(&evaluation, &restored, examples))?;
    }
    if let Some(directory) = &args.plots {
        write_plots(directory, &evaluation)?;
    }
    if args.card {
        update_card(&model, &evaluation, &format!("`{}`", args.pairs.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn run_calibrate(args: &CalibrateArgs) -> Result<ExitCode> {
    let threads = start_threads(args.device, 1)?;
    let pairs = some_pairs(&args.pairs, args.limit)?;
    let on_cpu = args.device.device == restorer::DeviceChoice::Cpu;
    let workers = Workers::new(if on_cpu { threads } else { 1 })?;
    let load = LoadOptions { device: args.device.device, ..LoadOptions::default() };
    let nothing =
        || anyhow!("the model changes none of the {} pairs: there is nothing to learn from", pairs.len());
    if args.profile_only {
        let profile = profile_checkpoint(&args.model, &pairs, &load, &workers)?;
        say(&format!("{}: the distributions of {} texts", args.model.display(), profile.texts()));
        return Ok(ExitCode::SUCCESS);
    }
    if args.texts_only {
        let texts = calibrate_checkpoint_texts(&args.model, &pairs, &load, &workers)?.ok_or_else(nothing)?;
        say(&format!("{}: {}", args.model.display(), learned_of_texts(&texts)));
        return Ok(ExitCode::SUCCESS);
    }
    let found = calibrate_checkpoint(&args.model, &pairs, &load, &workers)?.ok_or_else(nothing)?;
    say(&format!(
        "{}: {} edits, {} right; expected calibration error {} before, {} now, on the same edits (slope {:.3}, intercept {:.3})",
        args.model.display(),
        found.before.edits,
        percent(found.before.precision),
        percent(found.before.calibration_error),
        percent(found.after.calibration_error),
        found.calibration.slope,
        found.calibration.intercept
    ));
    say(&learned_of_texts(&found.texts));
    Ok(ExitCode::SUCCESS)
}

fn learned_of_texts(CalibratedTexts { calibration, before, after }: &CalibratedTexts) -> String {
    format!(
        "{} texts, {} whole; expected calibration error {} before, {} now, on the same texts (slope {:.3}, intercept {:.3})",
        before.texts,
        percent(before.right),
        percent(before.calibration_error),
        percent(after.calibration_error),
        calibration.slope,
        calibration.intercept
    )
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Pairs of a file or directory, at most `limit`, evenly spaced.
fn some_pairs(path: &Path, limit: Option<usize>) -> Result<Vec<Pair>> {
    let pairs = data::read_pairs(path)?;
    Ok(match limit {
        Some(limit) => data::spread(&pairs, limit),
        None => pairs,
    })
}

/// The directory of a model; one of a hub or a registry is downloaded unless it is in the cache.
fn directory(name: &ModelName) -> Result<PathBuf> {
    Ok(checkpoint(name)?.0)
}

/// The same with the name that stands for it also when an alias has moved.
fn checkpoint(name: &ModelName) -> Result<(PathBuf, ModelName)> {
    if name.is_remote() {
        say(&format!("looking for {name}"));
    }
    let version = name.version()?;
    if version.name() != name {
        say(&format!("{name} is {}", version.name()));
    }
    Ok((version.fetch()?, version.name().clone()))
}

fn run_import(args: &ImportArgs) -> Result<ExitCode> {
    let options =
        ImportOptions { tokenizer: args.tokenizer.clone(), dtype: args.dtype, overwrite: args.overwrite };
    let imported = import(&args.model, &args.out, &options)?;
    let tokenizer = match imported.tokenizer {
        TokenizerOrigin::File(path) => format!("tokenizer of {}", path.display()),
        TokenizerOrigin::Metadata { pre_tokenizer: Some(name) } => format!("tokenizer rebuilt (\"{name}\")"),
        TokenizerOrigin::Metadata { pre_tokenizer: None } => {
            "tokenizer rebuilt; the file does not say how it cuts text, and GPT-2's way was taken: to be sure, give the \
             original tokenizer.json (--tokenizer)"
                .to_owned()
        }
    };
    say(&format!(
        "{}: {}, {} tensors, {} weights as {}; {tokenizer}",
        args.out.display(),
        imported.architecture,
        imported.tensors,
        imported.parameters,
        args.dtype
    ));
    Ok(ExitCode::SUCCESS)
}

fn run_export(args: &ExportArgs) -> Result<ExitCode> {
    let options = ExportOptions {
        dtype: args.dtype,
        weight_bits: args.weight_bits,
        table_bits: args.table_bits,
        overwrite: args.overwrite,
    };
    export(&args.model, &args.out, &options)?;
    say(&format!("{}: {} as {}", args.out.display(), args.model.display(), args.dtype));
    Ok(ExitCode::SUCCESS)
}

/// The recipe that a checkpoint carries in `restorer.json`.
fn checkpoint_recipe(model: &Path) -> Result<Option<Recipe>> {
    let path = model.join("restorer.json");
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        // A model that nobody has restored with yet.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && model.join("config.json").exists() => {
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    let meta: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not valid JSON", path.display()))?;
    let recipe = meta.get("recipe").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    Ok(recipe.map(|text| Recipe::parse(text, &format!("the recipe in {}", path.display()))).transpose()?)
}

/// Sets up the threads that prepare data, and says how many workers there are; several processes share the cores.
fn start_threads(device: DeviceArgs, processes: usize) -> Result<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = device.threads.unwrap_or((cores / processes).max(1));
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global().context("cannot start threads")?;
    Ok(threads)
}

fn write_file(path: &Path, content: &str) -> Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    Ok(AtomicFile::write_whole(path, content.as_bytes())?)
}

fn print(text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("cannot write to standard output")
}

/// A closed standard error is no reason to fail.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
