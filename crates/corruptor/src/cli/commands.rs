//! The commands over recipes, texts and pairs.

use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use corruptor::atomic::Existing;
use corruptor::corpus::{CollectOptions, CorpusSettings, collect};
use corruptor::documents::{Column, DocumentOptions};
use corruptor::generate::{CerColumn, GenerateOptions};
use corruptor::inspect::{InspectOptions, html_report};
use corruptor::resolve::{CalibrationRecord, calibrate, read_files};
use corruptor::store::write_whole;
use corruptor::{Channel, CorruptSettings, IoError, Passage, Recipe, RecordStream, document_id};

use super::arguments::{
    ApplyArguments, CorpusArguments, GenerateArguments, InspectArguments, RecipeArguments,
};
use super::watch::Watch;

/// Exit status of work that a signal has ended: the same command goes on.
const STOPPED: u8 = 3;

pub(super) fn corpus(arguments: &CorpusArguments) -> anyhow::Result<ExitCode> {
    let settings: CorpusSettings = load(&arguments.recipe)?.table("corpus")?;
    let options = CollectOptions {
        existing: existing(arguments.force),
        allow_changed: arguments.allow_changed,
        allow_missing: arguments.allow_missing,
        ..CollectOptions::new(&arguments.out)
    };
    let mut watch = Watch::of_bytes("documents")?;
    let summary = collect(&settings, &options, &mut |progress| watch.observe(progress))?;
    watch.finish();
    if let Some(path) = &arguments.report {
        write_whole(path, format!("{:#}\n", summary.to_json()).as_bytes())?;
    }
    writeln!(io::stdout(), "{summary}")?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn generate(arguments: GenerateArguments) -> anyhow::Result<ExitCode> {
    let recipe = load(&arguments.recipe)?;
    let (corpus, mut corrupt): (CorpusSettings, CorruptSettings) =
        (recipe.table("corpus")?, recipe.table("corrupt")?);
    corrupt.target_cer = arguments.cer.or(corrupt.target_cer);
    let defaults = DocumentOptions::default();
    let options = GenerateOptions {
        documents: DocumentOptions {
            text_column: arguments.text_column,
            id_column: arguments.id_column.map_or(defaults.id_column, Column::Required),
            source_column: arguments.source_column.map_or(defaults.source_column, Column::Required),
            ..DocumentOptions::default()
        },
        source: arguments.source,
        existing: existing(arguments.force),
        part_rows: arguments.part_rows as usize,
        cer: if arguments.no_cer { CerColumn::NotMeasured } else { CerColumn::Measured },
        threads: arguments.threads.get(),
        ..GenerateOptions::new(arguments.input, arguments.out)
    };
    let mut watch = Watch::of_bytes("pairs")?;
    let made =
        corruptor::generate::generate(&corpus, &corrupt, &options, &mut |progress| watch.observe(progress));
    watch.finish();
    match made {
        Ok(summary) => {
            writeln!(io::stdout(), "{summary}")?;
            Ok(ExitCode::SUCCESS)
        }
        Err(stopped @ (IoError::Stopped | IoError::Paused { .. })) => {
            writeln!(io::stderr(), "{stopped}")?;
            Ok(ExitCode::from(STOPPED))
        }
        Err(error) => Err(error.into()),
    }
}

pub(super) fn apply(arguments: ApplyArguments) -> anyhow::Result<ExitCode> {
    let recipe = match &arguments.recipe {
        Some(path) => Recipe::load(path)?,
        None => Recipe::parse("", "the default recipe")?,
    };
    let mut settings: CorruptSettings = recipe.with_overrides(&arguments.set)?.table("corrupt")?;
    if let Some(rate) = arguments.rate {
        settings = settings.with_total_rate(rate);
    }
    settings.seed = arguments.seed.unwrap_or(settings.seed);
    // One text, one level: neither a draw from the noise grid nor a clean record is what is asked for here.
    let mut settings = read_files(settings, Path::new(""))?.at_level(1.0);
    let is_typed = arguments.text != "-";
    let text = if is_typed { arguments.text } else { read_stdin()? };
    let doc_id = document_id(&text);
    settings.target_cer = arguments.cer.or(settings.target_cer);
    if let Some(target) = settings.target_cer {
        settings = calibrate(&settings, target, &[calibration_record(&text, &doc_id)])?;
    }
    let channel = Channel::new(&settings)?;
    let passage = Passage { source: "apply", doc_id: &doc_id, start: 0, text: &text };
    let mut stream = RecordStream::for_record(channel.settings().seed, &passage, 0);
    let corruption = channel.corrupt(&text, 0, &mut stream);
    let mut stdout = io::stdout().lock();
    if arguments.events {
        let object = serde_json::json!({ "corrupted": corruption.text, "events": corruption.events });
        writeln!(stdout, "{object}")?;
    } else {
        stdout.write_all(corruption.text.as_bytes())?;
        // What was typed has no line end of its own; what was piped keeps its bytes.
        stdout.write_all(if is_typed { b"\n" } else { b"" })?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn inspect(arguments: &InspectArguments) -> anyhow::Result<ExitCode> {
    let options = InspectOptions {
        corpus: arguments.corpus.clone(),
        threads: arguments.threads.get(),
        ..InspectOptions::default()
    };
    let mut watch = Watch::of_rows()?;
    let inspection =
        corruptor::inspect::inspect(&arguments.pairs, &options, &mut |progress| watch.observe(progress))?;
    watch.finish();
    if let Some(path) = &arguments.metrics {
        write_whole(path, format!("{:#}\n", inspection.metrics()).as_bytes())?;
    }
    if let Some(path) = &arguments.report {
        write_whole(path, html_report(&inspection).as_bytes())?;
    }
    writeln!(io::stdout(), "{inspection}")?;
    if inspection.bad_rows == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    for finding in &inspection.findings {
        writeln!(io::stderr(), "{finding}")?;
    }
    let (bad, shown) = (inspection.bad_rows, inspection.findings.len());
    bail!("{bad} bad rows, the first {shown} above; generate the pairs again, or mend what wrote them")
}

/// The text so often that the error rate of a single corruption is met on average.
fn calibration_record(text: &str, doc_id: &str) -> CalibrationRecord {
    const BYTES: usize = 4 << 20;
    let copies = (BYTES / text.len().max(1)).clamp(1, 100_000) as u32;
    let (source, doc_id, text) = ("apply".to_owned(), doc_id.to_owned(), text.to_owned());
    CalibrationRecord { source, doc_id, start: 0, text, copies }
}

pub(super) fn load(arguments: &RecipeArguments) -> anyhow::Result<Recipe> {
    Ok(Recipe::load(&arguments.recipe)?.with_overrides(&arguments.set)?)
}

pub(super) fn existing(force: bool) -> Existing {
    if force { Existing::Replace } else { Existing::Keep }
}

/// All of standard input, which must be UTF-8 and, as offsets have 32 bits, under 4 GiB.
fn read_stdin() -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .take(u64::from(u32::MAX))
        .read_to_end(&mut bytes)
        .context("cannot read standard input")?;
    if bytes.len() as u64 == u64::from(u32::MAX) {
        bail!("standard input has 4 GiB or more; cut it into documents and use `corruptor generate`");
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        anyhow::anyhow!(
            "standard input is not UTF-8 from byte {at} on; convert it first, for example with iconv"
        )
    })
}
