//! `finetune`: trains and evaluates models that restore corrupted text.

mod args;

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use corruptor::atomic::AtomicFile;
use corruptor::resolve::load_channel;
use corruptor::{Recipe, Split};
use finetune::evaluate::{EvaluateOptions, evaluate, html, table, update_card, write_plots};
use finetune::prior::{PriorOptions, train_ensemble, train_prior};
use finetune::settings::EvaluateSettings;
use finetune::train::{Existing, Outcome, TrainOptions};
use finetune::workers::Workers;
use finetune::{Family, FinetuneError, ModelSource, Stop, StopReason, data, train_recipe};
use restorer::LoadOptions;
use serde_json::Value;

use crate::args::{Cli, Command, DeviceArgs, EvaluateArgs, TrainArgs};

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
        Command::Train(args) => run_train(args),
        Command::Evaluate(args) => run_evaluate(&args),
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
        Family::Tagger => {}
        Family::Ngram => return run_prior(args, recipe, train_prior),
        Family::Ensemble => return run_prior(args, recipe, train_ensemble),
    }
    let recipe = data::resolved_recipe(recipe, &args.pairs.join(Split::Train.name()))?;
    let stop = stop(&args)?;
    let options = TrainOptions {
        recipe,
        pairs: args.pairs,
        out: args.out,
        init: None,
        existing: existing(args.resume, args.overwrite),
        stop,
        threads: start_threads(args.device)?,
        progress: true,
        tracking: args.track.options(),
    };
    let out = options.out.clone();
    match train_recipe(options, &ModelSource { init: args.init, device: args.device.device })? {
        Outcome::Finished { metrics } => {
            print(&format!("{metrics:#}\n"))?;
            Ok(ExitCode::SUCCESS)
        }
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
    start_threads(args.device)?;
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

fn run_evaluate(args: &EvaluateArgs) -> Result<ExitCode> {
    let threads = start_threads(args.device)?;
    let recipe = match &args.recipe {
        Some(path) => Some(Recipe::load(path)?),
        None => checkpoint_recipe(&args.model)?,
    };
    if args.sets && recipe.is_none() {
        return Err(FinetuneError::NoRecipe { path: args.model.clone() }.into());
    }
    let recipe = recipe.map_or_else(|| Recipe::parse("", "default"), Ok)?.with_overrides(&args.overrides)?;
    let settings: EvaluateSettings = recipe.table("evaluate")?;
    let recipe = if args.sets { data::resolved_recipe(recipe, &args.pairs)? } else { recipe };
    let sets = if args.sets { Some(recipe.table("corrupt")?) } else { None };
    let channel = args.channel.as_deref().map(load_channel).transpose()?.map(Arc::new);
    let model =
        restorer::load(&args.model, &LoadOptions { device: args.device.device, threads: None, channel })?;
    let mut pairs = data::read_pairs(&args.pairs)?;
    if let Some(limit) = args.limit {
        pairs = data::spread(&pairs, limit);
    }
    let on_cpu = args.device.device == restorer::DeviceChoice::Cpu;
    let workers = Workers::new(if on_cpu { threads } else { 1 })?;
    let examples = settings.report_examples;
    let options = EvaluateOptions { settings, sets, min_confidence: args.min_confidence, progress: true };
    let (evaluation, restored) = evaluate(model.as_ref(), &pairs, &options, &workers)?;
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
        update_card(&args.model, &evaluation, &format!("`{}`", args.pairs.display()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The recipe that a checkpoint carries in `restorer.json`.
fn checkpoint_recipe(model: &Path) -> Result<Option<Recipe>> {
    let path = model.join("restorer.json");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let meta: Value =
        serde_json::from_str(&text).with_context(|| format!("{} is not valid JSON", path.display()))?;
    let recipe = meta.get("recipe").and_then(Value::as_str).filter(|text| !text.trim().is_empty());
    Ok(recipe.map(|text| Recipe::parse(text, &format!("the recipe in {}", path.display()))).transpose()?)
}

/// Sets up the threads that prepare data, and says how many workers there are.
fn start_threads(device: DeviceArgs) -> Result<usize> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = device.threads.unwrap_or(cores);
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
