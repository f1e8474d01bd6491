//! `corruptor fit`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use corruptor::fit::{FitOptions, fit_pairs};
use corruptor::likelihood::RowChoice;
use corruptor::resolve::read_files;
use corruptor::store::write_whole;
use corruptor::{CorruptSettings, IoError, Recipe};

use super::arguments::ThreadArguments;
use super::watch::Watch;

#[derive(Debug, Args)]
pub(super) struct FitArguments {
    /// A file of pairs, or a directory of them, such as one split
    pairs: PathBuf,
    /// Recipe to write: the one begun with, and the fitted channel as its table `[corrupt]`
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the output if it is there already
    #[arg(long)]
    force: bool,
    /// The recipe to begin with: its noise levels, longest spans, escape, tails and confusions stay [default: the recipe's defaults]
    #[arg(long, value_name = "FILE", env = "REVERTANT_RECIPE")]
    recipe: Option<PathBuf>,
    /// Override a key of the recipe, such as corrupt.reversal.rate=0 to leave an operation out; may be repeated
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    set: Vec<String>,
    /// Which rows of each file, counted from 0: all, even or odd
    #[arg(long, value_name = "ROWS", default_value = "all")]
    rows: RowChoice,
    /// Most iterations
    #[arg(long, value_name = "N", default_value_t = FitOptions::DEFAULT_ITERATIONS)]
    iterations: usize,
    /// End with an iteration that gains less, in nats a grapheme
    #[arg(long, value_name = "NATS", default_value_t = FitOptions::DEFAULT_TOLERANCE, value_parser = number)]
    tolerance: f64,
    /// How often symbols count as seen before any was: more for few pairs, 0 for what was seen alone
    #[arg(long, value_name = "COUNT", default_value_t = FitOptions::DEFAULT_SMOOTHING, value_parser = number)]
    smoothing: f64,
    #[command(flatten)]
    threads: ThreadArguments,
}

fn number(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.0..=1e6).contains(&number) => Ok(number),
        _ => Err(format!("{text:?} is out of range; give a number from 0 to 1000000")),
    }
}

pub(super) fn run(arguments: &FitArguments) -> anyhow::Result<ExitCode> {
    if !arguments.force && arguments.out.exists() {
        bail!(IoError::Exists { path: arguments.out.clone() });
    }
    let recipe = match &arguments.recipe {
        Some(path) => Recipe::load(path)?,
        None => Recipe::parse("", "the default recipe")?,
    };
    let recipe = recipe.with_overrides(&arguments.set)?;
    let settings: CorruptSettings = recipe.table("corrupt")?;
    let settings = read_files(settings, Path::new(""))?;
    let options = FitOptions {
        rows: arguments.rows,
        iterations: arguments.iterations,
        tolerance: arguments.tolerance,
        smoothing: arguments.smoothing,
        threads: arguments.threads.get(),
    };
    let mut watch = Watch::of_rows()?;
    let fit = fit_pairs(&arguments.pairs, &settings, &options, &mut |progress| watch.observe(progress))?;
    watch.finish();
    let summary = format!("fitted to {}\n{fit}", arguments.pairs.display());
    let text = format!("# {}\n\n{}", summary.replace('\n', "\n# "), fit.recipe(recipe)?.text());
    write_whole(&arguments.out, text.as_bytes())?;
    writeln!(io::stdout(), "{fit}")?;
    Ok(ExitCode::SUCCESS)
}
