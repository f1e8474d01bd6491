//! `corruptor import`.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use corruptor::corpus::CorpusSettings;
use corruptor::documents::{Column, DocumentOptions};
use corruptor::import::{ImportOptions, ImportSplit, Texts, import};
use corruptor::pairs::PairWriter;
use corruptor::{Split, SplitShares};

use super::arguments::{ThreadArguments, probability};
use super::commands::existing;
use super::watch::Watch;

#[derive(Debug, Args)]
pub(super) struct ImportArguments {
    /// File with the clean texts: .txt (a line each), .jsonl, .csv or .parquet, also .gz and .zst
    #[arg(long, value_name = "FILE")]
    correct: PathBuf,
    /// File with the damaged texts, row by row; without it, another column of the same file
    #[arg(long, value_name = "FILE")]
    corrupted: Option<PathBuf>,
    /// Output directory
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Replace the output if it is there already
    #[arg(long)]
    force: bool,
    /// Column with the clean texts [default: correct in one file of both, text in a file of its own]
    #[arg(long, value_name = "NAME")]
    correct_column: Option<String>,
    /// Column with the damaged texts [default: corrupted in one file of both, text in a file of its own]
    #[arg(long, value_name = "NAME")]
    corrupted_column: Option<String>,
    /// Column with the document's id, beside the clean texts [default: a digest of the text, unless there is a column `doc_id`]
    #[arg(long, value_name = "NAME", env = "REVERTANT_ID_COLUMN")]
    id_column: Option<String>,
    /// Column with the corpus name, beside the clean texts [default: none, unless there is a column `source`]
    #[arg(long, value_name = "NAME", env = "REVERTANT_SOURCE_COLUMN")]
    source_column: Option<String>,
    /// Corpus name of rows that bring none
    #[arg(long, value_name = "NAME", default_value = ImportOptions::DEFAULT_SOURCE, env = "REVERTANT_SOURCE")]
    source: String,
    /// Put all rows in one split [default: each document where the split function has it]
    #[arg(long, value_enum, conflicts_with_all = ["valid_share", "test_share"])]
    split: Option<SplitName>,
    /// Share of the documents in the validation split
    #[arg(long, value_name = "X", value_parser = probability, default_value_t = CorpusSettings::DEFAULT_VALID_SHARE)]
    valid_share: f64,
    /// Share of the documents in the test split
    #[arg(long, value_name = "X", value_parser = probability, default_value_t = CorpusSettings::DEFAULT_TEST_SHARE)]
    test_share: f64,
    /// Longest text of a row in bytes; aligning two texts takes quadratic time
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = CorpusSettings::MAX_WINDOW_BYTES as u64,
        value_parser = clap::value_parser!(u64).range(1..=u64::from(u32::MAX / 4))
    )]
    max_row_bytes: u64,
    /// Rows of an output file
    #[arg(
        long,
        value_name = "N",
        default_value_t = PairWriter::DEFAULT_PART_ROWS as u64,
        value_parser = clap::value_parser!(u64).range(1..),
        env = "REVERTANT_PART_ROWS"
    )]
    part_rows: u64,
    #[command(flatten)]
    threads: ThreadArguments,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum SplitName {
    Train,
    Valid,
    Test,
}

impl From<SplitName> for Split {
    fn from(name: SplitName) -> Self {
        match name {
            SplitName::Train => Self::Train,
            SplitName::Valid => Self::Valid,
            SplitName::Test => Self::Test,
        }
    }
}

pub(super) fn run(arguments: ImportArguments) -> anyhow::Result<ExitCode> {
    let alone = arguments.corrupted.is_some();
    let column = |given: Option<String>, shared: &str| {
        let default = if alone { DocumentOptions::DEFAULT_TEXT_COLUMN } else { shared };
        given.unwrap_or_else(|| default.to_owned())
    };
    let correct = Texts {
        column: column(arguments.correct_column, ImportOptions::DEFAULT_CORRECT_COLUMN),
        path: arguments.correct.clone(),
    };
    let corrupted = Texts {
        column: column(arguments.corrupted_column, ImportOptions::DEFAULT_CORRUPTED_COLUMN),
        path: arguments.corrupted.unwrap_or(arguments.correct),
    };
    let defaults = ImportOptions::new(correct, corrupted, arguments.out);
    let options = ImportOptions {
        documents: DocumentOptions {
            id_column: arguments.id_column.map_or(defaults.documents.id_column, Column::Required),
            source_column: arguments.source_column.map_or(defaults.documents.source_column, Column::Required),
            max_record_bytes: arguments.max_row_bytes,
            ..defaults.documents
        },
        source: arguments.source,
        split: match arguments.split {
            Some(split) => ImportSplit::All(split.into()),
            None => ImportSplit::ByDocument(SplitShares {
                valid: arguments.valid_share,
                test: arguments.test_share,
            }),
        },
        existing: existing(arguments.force),
        part_rows: arguments.part_rows as usize,
        threads: arguments.threads.get(),
        ..defaults
    };
    let mut watch = Watch::of_bytes("pairs")?;
    let summary = import(&options, &mut |progress| watch.observe(progress))?;
    watch.finish();
    writeln!(io::stdout(), "{summary}")?;
    Ok(ExitCode::SUCCESS)
}
