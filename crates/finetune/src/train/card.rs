//! The model card: a checkpoint's `README.md`, made of facts of its run.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use corruptor::Pair;
use corruptor::atomic::AtomicFile;
use restorer::ModelInfo;
use restorer::metrics::TextCounts;
use restorer::train::Trainable;

use super::run::Run;
use super::validate::Measured;
use crate::error::FinetuneError;

/// Passages, documents and bytes of originals of one source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SourceFacts {
    pairs: usize,
    documents: usize,
    bytes: usize,
}

/// Counts the pairs of every source; pairs of one document stand together.
pub(super) fn source_facts(pairs: &[Pair]) -> BTreeMap<String, SourceFacts> {
    let mut sources: BTreeMap<String, SourceFacts> = BTreeMap::new();
    let mut last = None;
    for pair in pairs {
        let facts = sources.entry(pair.source.clone()).or_default();
        facts.pairs += 1;
        facts.bytes += pair.original.len();
        facts.documents += usize::from(last != Some(&pair.doc_id));
        last = Some(&pair.doc_id);
    }
    sources
}

/// What the card says.
#[derive(Clone, Debug)]
pub(super) struct TrainingFacts {
    info: ModelInfo,
    sources: BTreeMap<String, SourceFacts>,
    init: Option<String>,
    steps: u64,
    all_steps: u64,
    best_step: u64,
    tokens: u64,
    minutes: f64,
    workers: usize,
    device: &'static str,
    min_confidence: f32,
    measured: Measured,
    recipe: String,
}

impl TrainingFacts {
    /// The facts of `run`, with the threshold and the figures of its best weights.
    pub(super) fn of<M: Trainable>(run: &Run<'_, M>, min_confidence: f32, measured: Measured) -> Self {
        Self {
            info: run.model.info().clone(),
            sources: run.sources.clone(),
            init: run.options.init.clone(),
            steps: run.state.step,
            all_steps: run.settings.steps,
            best_step: run.state.best.map_or(run.state.step, |best| best.step),
            tokens: run.state.tokens,
            minutes: run.elapsed_s() / 60.0,
            workers: run.workers.threads(),
            device: if run.on_cpu { "CPU" } else { "GPU" },
            min_confidence,
            measured,
            recipe: run.options.recipe.text().to_owned(),
        }
    }
}

/// Writes the card into `directory`.
///
/// # Errors
/// If the file cannot be written.
pub(super) fn write_card(directory: &Path, facts: &TrainingFacts) -> Result<(), FinetuneError> {
    Ok(AtomicFile::write_whole(directory.join("README.md"), card(facts).as_bytes())?)
}

fn card(facts: &TrainingFacts) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_card_text(&mut text, facts);
    text
}

fn write_card_text(text: &mut String, f: &TrainingFacts) -> std::fmt::Result {
    let restores = f.measured.counts.is_some();
    writeln!(text, "---\nlibrary_name: revertant\ntags:\n- text-restoration\n- {}\n---\n", f.info.family)?;
    writeln!(text, "# Revertant checkpoint\n")?;
    writeln!(
        text,
        "A `{}` model with {} weights {} {} bytes at once; longer texts are {} in windows.\n",
        f.info.family,
        f.info.parameters,
        if restores { RESTORES } else { WEIGHS },
        f.info.window_bytes,
        if restores { "restored" } else { "read" },
    )?;
    writeln!(
        text,
        "## Training data\n\n| source | documents | pairs | bytes of originals |\n|---|---:|---:|---:|"
    )?;
    for (name, source) in &f.sources {
        writeln!(text, "| {name} | {} | {} | {} |", source.documents, source.pairs, source.bytes)?;
    }
    if restores {
        writeln!(
            text,
            "\nThe corruptions are those of the recipe below; `corruptor generate` makes the same pairs again."
        )?;
    }
    writeln!(text)?;
    writeln!(text, "## Training\n")?;
    match &f.init {
        Some(digest) => writeln!(text, "- started from the checkpoint with digest `{digest}`")?,
        None => writeln!(text, "- started from random weights")?,
    }
    writeln!(
        text,
        "- {} of {} steps, {} tokens, {:.0} minutes on {} {} thread{}",
        f.steps,
        f.all_steps,
        f.tokens,
        f.minutes,
        f.workers,
        f.device,
        if f.workers == 1 { "" } else { "s" }
    )?;
    writeln!(text, "- the weights are those after step {}, the best on the validation split\n", f.best_step)?;
    writeln!(text, "## Figures\n")?;
    let loss = f.measured.loss.unwrap_or(f64::NAN);
    writeln!(text, "Loss a label on the validation split: {loss:.4} nats.\n")?;
    if let Some(counts) = &f.measured.counts {
        write_counts(text, counts, f.min_confidence)?;
    }
    writeln!(text, "## Limits\n")?;
    writeln!(
        text,
        "- Trained on the sources above only; text of other domains, languages or noise was not measured here."
    )?;
    if restores {
        writeln!(
            text,
            "- A restored text may still hold errors, and an edit may be wrong: edits carry a probability, and `min_confidence` \
             sets the least that is applied."
        )?;
    }
    writeln!(text, "\n## Recipe\n\n```toml\n{}\n```", f.recipe.trim_end())
}

/// What a model for restoration does.
const RESTORES: &str = "that restores corrupted text: it undoes deletions, substitutions, insertions, duplications and \
    reversals of graphemes. It sees";
/// What a model of texts alone does.
const WEIGHS: &str = "that has learned what texts are like, for decoding a channel under it. It sees";

fn write_counts(text: &mut String, counts: &TextCounts, min_confidence: f32) -> std::fmt::Result {
    writeln!(
        text,
        "On {} validation texts ({} graphemes), of documents that training did not see, but on which the weights and the confidence \
         threshold {} were chosen:\n",
        counts.texts, counts.graphemes, min_confidence
    )?;
    writeln!(text, "| | corrupted | restored |\n|---|---:|---:|")?;
    writeln!(
        text,
        "| character error rate | {:.3} % | {:.3} % |",
        100.0 * counts.cer_before(),
        100.0 * counts.cer_after()
    )?;
    writeln!(text, "| texts equal to their originals | {} | {} |", counts.clean, counts.exact)?;
    writeln!(text, "\n{} of {} clean texts were changed.\n", counts.harmed, counts.clean)?;
    writeln!(
        text,
        "`finetune evaluate --sets --card` adds figures on the test split here.\n\n{EVALUATION_MARK}\n"
    )
}

/// Where the figures of an evaluation go in a card.
pub(crate) const EVALUATION_MARK: &str = "<!-- evaluation -->";

/// Replaces a card's section of evaluation figures, or appends one; returns the new card.
pub(crate) fn with_evaluation(card: &str, section: &str) -> String {
    let block = format!("{EVALUATION_MARK}\n{}\n{EVALUATION_MARK}", section.trim_end());
    match card.split(EVALUATION_MARK).collect::<Vec<_>>().as_slice() {
        [before, after] | [before, _, after] => format!("{before}{block}{after}"),
        _ => format!("{}\n\n{block}\n", card.trim_end()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evaluation_sections_are_replaced() {
        let card = format!("a\n{EVALUATION_MARK}\nb\n");
        let once = with_evaluation(&card, "first\n");
        assert_eq!(once, format!("a\n{EVALUATION_MARK}\nfirst\n{EVALUATION_MARK}\nb\n"));
        let twice = with_evaluation(&once, "second");
        assert_eq!(twice, once.replace("first", "second"));
        assert!(with_evaluation("a", "c").ends_with(&format!("c\n{EVALUATION_MARK}\n")));
    }
}
