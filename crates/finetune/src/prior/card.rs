//! The model card of a prior or an ensemble.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use corruptor::atomic::AtomicFile;
use serde_json::Value;

use super::train::SourceFacts;
use crate::error::FinetuneError;

/// What the card says.
pub(super) struct Card<'a> {
    pub(super) metrics: &'a Value,
    /// The texts that were counted; none where others have been mixed.
    pub(super) sources: &'a BTreeMap<String, SourceFacts>,
    pub(super) recipe: &'a str,
}

/// Writes the card into `directory`.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn write_card(directory: &Path, card: &Card<'_>) -> Result<(), FinetuneError> {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = card.write(&mut text);
    std::fs::create_dir_all(directory).map_err(FinetuneError::file(directory, "create"))?;
    Ok(AtomicFile::write_whole(directory.join("README.md"), text.as_bytes())?)
}

impl Card<'_> {
    fn write(&self, text: &mut String) -> std::fmt::Result {
        if self.sources.is_empty() {
            self.write_parts(text)?;
        } else {
            self.write_counted(text)?;
        }
        self.write_decoding(text)?;
        writeln!(
            text,
            "## Limits\n\n- It knows the texts above only: those of other domains, languages or scripts seem improbable to it, so that \
             it finds errors where there are none.\n- It restores noise like that of its recipe; `--channel` names another.\n"
        )?;
        writeln!(text, "## Recipe\n\n```toml\n{}\n```", self.recipe.trim_end())
    }

    /// A figure as text.
    fn of(&self, key: &str) -> String {
        shown(self.metrics.get(key))
    }

    fn write_counted(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "---\nlibrary_name: revertant\ntags:\n- text-restoration\n- revertant-ngram\n---\n")?;
        writeln!(text, "# Revertant prior\n")?;
        writeln!(
            text,
            "A byte n-gram model: it says how probable a text is, byte by byte. {} n-grams under {} contexts, {} MiB. It restores \
             by channel decoding: the most probable original under it times the channel of the recipe below.\n",
            self.of("ngrams_kept"),
            self.of("contexts_kept"),
            self.of("table_mib")
        )?;
        writeln!(text, "## Training data\n\n| source | passages | bytes |\n|---|---:|---:|")?;
        for (name, source) in self.sources {
            writeln!(text, "| {name} | {} | {} |", source.passages, source.bytes)?;
        }
        self.write_bits(text, "on which smoothing and pruning were chosen")?;
        writeln!(text, "Smoothing: {}; pruning: {}.\n", self.of("smoothing"), self.of("pruning"))
    }

    fn write_parts(&self, text: &mut String) -> std::fmt::Result {
        writeln!(
            text,
            "---\nlibrary_name: revertant\ntags:\n- text-restoration\n- revertant-ensemble\n---\n"
        )?;
        writeln!(text, "# Revertant ensemble\n")?;
        writeln!(
            text,
            "Priors, mixed, restore by channel decoding: the most probable original under them times the channel of the recipe below. A \
             tagger, if there is one, has a say in whether a text is damaged at all. Each part has its own card.\n"
        )?;
        writeln!(text, "## Parts\n\n| part | weight in the mixture |\n|---|---:|")?;
        let parts = self.metrics.get("parts").and_then(Value::as_array);
        for part in parts.into_iter().flatten() {
            writeln!(text, "| `{}` | {} |", shown(part.get("directory")), shown(part.get("weight")))?;
        }
        self.write_bits(text, "on which the weights were fitted")
    }

    fn write_bits(&self, text: &mut String, validation: &str) -> std::fmt::Result {
        writeln!(text, "\n## Figures\n\n| | bits per byte |\n|---|---:|")?;
        writeln!(text, "| validation split, {validation} | {} |", self.of("valid_bits_per_byte"))?;
        writeln!(text, "| test split | {} |\n", self.of("test_bits_per_byte"))
    }

    /// What was learned on the validation split about decoding.
    fn write_decoding(&self, text: &mut String) -> std::fmt::Result {
        let Some(decoding) = self.metrics.get("decoding").filter(|decoding| !decoding.is_null()) else {
            return Ok(());
        };
        let percent = |key: &str| {
            decoding
                .get(key)
                .and_then(Value::as_f64)
                .map_or_else(|| "—".to_owned(), |share| format!("{:.2}", 100.0 * share))
        };
        writeln!(
            text,
            "| validation split, on which weights and threshold of decoding were chosen | % |\n|---|---:|"
        )?;
        writeln!(text, "| CER before | {} |", percent("cer_before"))?;
        writeln!(text, "| CER after | {} |", percent("cer_after"))?;
        writeln!(text, "| errors gone | {} |", percent("reduction"))?;
        if decoding.get("mean_reduction_without_tagger").is_some() {
            writeln!(
                text,
                "| errors gone, mean over the mixture and each operation | {} |",
                percent("mean_reduction")
            )?;
            writeln!(text, "| the same without the tagger | {} |", percent("mean_reduction_without_tagger"))?;
        }
        writeln!(
            text,
            "| clean texts touched, of {} | {} |\n",
            shown(decoding.get("clean_pieces")),
            percent("harm")
        )
    }
}

/// A string as it is, anything else as JSON, a dash for nothing.
fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "—".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}
