//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use corruptor::documents::DocumentOptions;
use corruptor::generate::GenerateOptions;
use corruptor::pairs::PairWriter;

/// Corrupts text the way DNA is corrupted, and logs exactly how.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Collect the texts that a recipe names
    Corpus(CorpusArguments),
    /// Make pairs of original and corrupted passages
    Generate(GenerateArguments),
    /// Corrupt one text
    Apply(ApplyArguments),
    /// Turn real pairs, damaged and clean, into the pair schema
    Import(super::import::ImportArguments),
    /// Check every row of a set of pairs and count what it holds
    Inspect(InspectArguments),
    /// Say how probable pairs are under a recipe, and what most probably happened
    Score(super::score::ScoreArguments),
    /// Estimate the recipe that pairs were most probably made with
    Fit(super::fit::FitArguments),
}

#[derive(Debug, Args)]
pub(super) struct RecipeArguments {
    /// The recipe
    #[arg(long, value_name = "FILE", env = "REVERTANT_RECIPE")]
    pub(super) recipe: PathBuf,
    /// Override a key of the recipe, such as corrupt.seed=3; may be repeated
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    pub(super) set: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct CorpusArguments {
    #[command(flatten)]
    pub(super) recipe: RecipeArguments,
    /// Output directory or URL: one Parquet file for each source
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Replace the output if it is there already
    #[arg(long)]
    pub(super) force: bool,
    /// Take what there is where a package, dataset or URL has moved on from what the recipe pins, and record it
    #[arg(long)]
    pub(super) allow_changed: bool,
    /// Leave out what cannot be had on this machine, and record it
    #[arg(long)]
    pub(super) allow_missing: bool,
    /// Write what each source has given as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct GenerateArguments {
    #[command(flatten)]
    pub(super) recipe: RecipeArguments,
    /// Files and directories with text, also s3://, gs:// and az:// URLs: .txt, .jsonl, .csv, .parquet, also .gz and .zst
    #[arg(long, value_name = "PATH", num_args = 1.., required = true)]
    pub(super) input: Vec<PathBuf>,
    /// Output directory or URL
    #[arg(long, value_name = "DIR")]
    pub(super) out: PathBuf,
    /// Character error rate of all pairs together, clean ones included, to scale the rates to [default: the recipe's, if any]
    #[arg(long, value_name = "X", value_parser = probability, env = "REVERTANT_CER")]
    pub(super) cer: Option<f64>,
    /// Replace the output if it is there already
    #[arg(long)]
    pub(super) force: bool,
    /// Column with the text
    #[arg(long, value_name = "NAME", default_value = DocumentOptions::DEFAULT_TEXT_COLUMN, env = "REVERTANT_TEXT_COLUMN")]
    pub(super) text_column: String,
    /// Column with the document's id [default: a digest of the text, unless there is a column `doc_id`]
    #[arg(long, value_name = "NAME", env = "REVERTANT_ID_COLUMN")]
    pub(super) id_column: Option<String>,
    /// Column with the corpus name [default: none, unless there is a column `source`]
    #[arg(long, value_name = "NAME", env = "REVERTANT_SOURCE_COLUMN")]
    pub(super) source_column: Option<String>,
    /// Corpus name of documents that bring none
    #[arg(long, value_name = "NAME", default_value = GenerateOptions::DEFAULT_SOURCE, env = "REVERTANT_SOURCE")]
    pub(super) source: String,
    /// Rows of an output file
    #[arg(
        long,
        value_name = "N",
        default_value_t = PairWriter::DEFAULT_PART_ROWS as u64,
        value_parser = clap::value_parser!(u64).range(1..),
        env = "REVERTANT_PART_ROWS"
    )]
    pub(super) part_rows: u64,
    /// Do not measure the column `cer`, a little faster: it holds no number, and `inspect` finds that
    #[arg(long)]
    pub(super) no_cer: bool,
    #[command(flatten)]
    pub(super) threads: ThreadArguments,
}

#[derive(Debug, Args)]
pub(super) struct ThreadArguments {
    /// Worker threads; the output does not depend on it [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..), env = "REVERTANT_THREADS")]
    threads: Option<u16>,
}

impl ThreadArguments {
    pub(super) fn get(&self) -> Option<usize> {
        self.threads.map(usize::from)
    }
}

#[derive(Debug, Args)]
pub(super) struct ApplyArguments {
    /// The text; - or nothing: standard input, taken as one text, byte for byte
    #[arg(default_value = "-", hide_default_value = true)]
    pub(super) text: String,
    /// Probability of an event at each position: the sum of all rates, kept in the recipe's proportions
    #[arg(long, value_name = "X", value_parser = probability, env = "REVERTANT_RATE")]
    pub(super) rate: Option<f64>,
    /// Character error rate to scale the rates to, for this text on average over seeds
    #[arg(long, value_name = "X", value_parser = probability, conflicts_with = "rate", env = "REVERTANT_CER")]
    pub(super) cer: Option<f64>,
    /// Seed [default: the recipe's]
    #[arg(long, value_name = "N", env = "REVERTANT_SEED")]
    pub(super) seed: Option<u64>,
    /// Take rates, lengths and alphabet from a recipe [default: the recipe's defaults]
    #[arg(long, value_name = "FILE", env = "REVERTANT_RECIPE")]
    pub(super) recipe: Option<PathBuf>,
    /// Override a key of the recipe, such as corrupt.deletion.rate=0; may be repeated
    #[arg(long = "set", value_name = "TABLE.KEY=VALUE")]
    pub(super) set: Vec<String>,
    /// Print a JSON object with the corrupted text and the events
    #[arg(long)]
    pub(super) events: bool,
}

pub(super) fn probability(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err(format!("{text} is no probability; give a number from 0 to 1")),
    }
}

#[derive(Debug, Args)]
pub(super) struct InspectArguments {
    /// A set of pairs, one split of it, or a file; a path or a URL
    pub(super) pairs: PathBuf,
    /// Write the statistics as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) metrics: Option<PathBuf>,
    /// Write the statistics and some examples as an HTML page, complete in one file
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
    /// The corpus that the pairs were made of: its licences go into the report
    #[arg(long, value_name = "PATH")]
    pub(super) corpus: Option<PathBuf>,
    #[command(flatten)]
    pub(super) threads: ThreadArguments,
}
