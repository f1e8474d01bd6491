//! The model card of a counted prior.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use corruptor::atomic::AtomicFile;
use serde_json::Value;

use super::train::SourceFacts;
use crate::error::FinetuneError;

/// What the card says.
pub(super) struct PriorFacts<'a> {
    pub(super) metrics: &'a Value,
    pub(super) sources: &'a BTreeMap<String, SourceFacts>,
    pub(super) recipe: &'a str,
}

/// Writes the card into `directory`.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn write_card(directory: &Path, facts: &PriorFacts<'_>) -> Result<(), FinetuneError> {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_text(&mut text, facts);
    std::fs::create_dir_all(directory).map_err(FinetuneError::file(directory, "create"))?;
    Ok(AtomicFile::write_whole(directory.join("README.md"), text.as_bytes())?)
}

fn write_text(text: &mut String, facts: &PriorFacts<'_>) -> std::fmt::Result {
    let of = |key: &str| facts.metrics.get(key).map_or_else(|| "—".to_owned(), ToString::to_string);
    writeln!(text, "---\nlibrary_name: revertant\ntags:\n- text-restoration\n- revertant-ngram\n---\n")?;
    writeln!(text, "# Revertant prior\n")?;
    writeln!(
        text,
        "A byte n-gram model: it says how probable a text is, byte by byte. {} n-grams under {} contexts, {} MiB.\n",
        of("ngrams_kept"),
        of("contexts_kept"),
        of("table_mib")
    )?;
    writeln!(text, "## Training data\n\n| source | passages | bytes |\n|---|---:|---:|")?;
    for (name, source) in facts.sources {
        writeln!(text, "| {name} | {} | {} |", source.passages, source.bytes)?;
    }
    writeln!(text, "\n## Figures\n")?;
    writeln!(text, "| | bits per byte |\n|---|---:|")?;
    writeln!(
        text,
        "| validation split, on which smoothing and pruning were chosen | {} |",
        of("valid_bits_per_byte")
    )?;
    writeln!(text, "| test split | {} |\n", of("test_bits_per_byte"))?;
    writeln!(text, "Smoothing: {}; pruning: {}.\n", of("smoothing"), of("pruning"))?;
    writeln!(
        text,
        "## Limits\n\n- It knows the sources above only: text of other domains, languages or scripts seems improbable to it.\n"
    )?;
    writeln!(text, "## Recipe\n\n```toml\n{}\n```", facts.recipe.trim_end())
}
