//! `corruptor score`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use corruptor::likelihood::{RowChoice, ScoreOptions, ScoreWriter, score_pairs};
use corruptor::resolve::read_files;
use corruptor::{CorruptSettings, Likelihood};

use super::arguments::{RecipeArguments, ThreadArguments};
use super::commands::load;
use super::watch::Watch;

#[derive(Debug, Args)]
pub(super) struct ScoreArguments {
    /// A file of pairs, or a directory of them, such as one split
    pairs: PathBuf,
    #[command(flatten)]
    recipe: RecipeArguments,
    /// Write each pair's score: .parquet or .jsonl
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Find the most probable event log of each pair, too, and write it with its score
    #[arg(long, requires = "out")]
    explain: bool,
    /// Which rows of each file, counted from 0: all, even or odd
    #[arg(long, value_name = "ROWS", default_value = "all")]
    rows: RowChoice,
    #[command(flatten)]
    threads: ThreadArguments,
}

pub(super) fn run(arguments: &ScoreArguments) -> anyhow::Result<ExitCode> {
    let settings: CorruptSettings = load(&arguments.recipe)?.table("corrupt")?;
    let likelihood = Likelihood::new(&read_files(settings, Path::new(""))?)?;
    let options =
        ScoreOptions { rows: arguments.rows, explain: arguments.explain, threads: arguments.threads.get() };
    let mut writer = arguments.out.as_deref().map(ScoreWriter::create).transpose()?;
    let mut watch = Watch::of_rows()?;
    let summary = score_pairs(
        &arguments.pairs,
        &likelihood,
        &options,
        &mut |progress| watch.observe(progress),
        &mut |scores| writer.as_mut().map_or(Ok(()), |writer| writer.write(&scores)),
    )?;
    if let Some(writer) = writer {
        writer.finish()?;
    }
    watch.finish();
    for example in &summary.examples {
        writeln!(io::stderr(), "{example}")?;
    }
    writeln!(io::stdout(), "{summary}")?;
    Ok(ExitCode::SUCCESS)
}
