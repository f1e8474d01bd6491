//! Figures for people and for plots: the table, the section of a model card, and CSV files.

use std::fmt::Write as _;
use std::path::Path;

use corruptor::atomic::AtomicFile;

use super::{Evaluation, Figures};
use crate::error::FinetuneError;
use crate::train::with_evaluation;

/// Every group with its name, in the order of the outputs.
pub(super) fn rows(evaluation: &Evaluation) -> Vec<(String, &Figures)> {
    let overall = std::iter::once(("all pairs".to_owned(), &evaluation.overall));
    let operations = evaluation.operations.iter().map(|(name, figures)| (name.clone(), figures));
    let levels = evaluation.levels.iter().map(|(level, figures)| (format!("level {level}"), figures));
    let clean = evaluation.clean.iter().map(|figures| ("clean".to_owned(), figures));
    overall.chain(operations).chain(levels).chain(clean).collect()
}

/// A share in percent, or a dash.
pub(super) fn percent(share: Option<f64>, decimals: usize) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{:.decimals$}", 100.0 * share))
}

/// The interval of the reduction in percent, or a dash.
pub(super) fn interval(figures: &Figures) -> String {
    match (figures.reduction_low, figures.reduction_high) {
        (Some(low), Some(high)) => format!("{:.1} to {:.1}", 100.0 * low, 100.0 * high),
        _ => "–".to_owned(),
    }
}

/// The headings of a row's [`cells`].
pub(super) const HEADINGS: [&str; 8] =
    ["", "texts", "CER before %", "CER after %", "cut %", "95 % interval", "exact %", "harm %"];

/// The cells of one row.
pub(super) fn cells(name: &str, figures: &Figures) -> [String; 8] {
    [
        name.to_owned(),
        figures.texts.to_string(),
        percent(Some(figures.cer_before), 3),
        percent(Some(figures.cer_after), 3),
        percent(figures.reduction, 1),
        interval(figures),
        percent(Some(figures.exact_match), 1),
        percent(figures.harm, 1),
    ]
}

/// A plain table of all groups.
pub fn table(evaluation: &Evaluation) -> String {
    let rows = rows(evaluation).into_iter().map(|(name, figures)| cells(&name, figures));
    let rows: Vec<[String; 8]> = std::iter::once(HEADINGS.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 8] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            let aligned = if column == 0 { format!("{cell}{padding}") } else { format!("  {padding}{cell}") };
            text.push_str(&aligned);
        }
        let trimmed = text.trim_end().len();
        text.truncate(trimmed);
        text.push('\n');
    }
    for line in edits_line(evaluation).into_iter().chain([texts_line(evaluation)]) {
        text.push_str(&line);
        text.push('\n');
    }
    text
}

/// How far the confidence of whole texts can be relied on, in a line.
fn texts_line(evaluation: &Evaluation) -> String {
    let texts = &evaluation.whole_texts;
    format!(
        "{} texts, {} % restored whole; expected calibration error {} %{}",
        texts.texts,
        percent(Some(texts.right), 1),
        percent(Some(texts.calibration_error), 1),
        if evaluation.text_calibrated { "" } else { NOT_CALIBRATED },
    )
}

/// Of a model that was not held to held-out pairs.
const NOT_CALIBRATED: &str = " (confidences are the model's own, not calibrated)";

/// What can be relied on of the edits, in a line; none where there is none.
fn edits_line(evaluation: &Evaluation) -> Option<String> {
    let edits = evaluation.edits.as_ref()?;
    Some(format!(
        "{} edits judged, {} % right; expected calibration error {} %{}; {} % of them can be applied where 99 % must be right, {} % where 99.9 % must",
        edits.edits,
        percent(Some(edits.precision), 1),
        percent(Some(edits.calibration_error), 1),
        if evaluation.calibrated { "" } else { NOT_CALIBRATED },
        percent(Some(edits.coverage_99), 1),
        percent(Some(edits.coverage_999), 1),
    ))
}

/// The figures as a section of a model card, with the operations won, lost and open.
pub fn card_section(evaluation: &Evaluation, data: &str) -> String {
    let mut text = format!(
        "### Evaluation\n\nOn {data}: {} texts of {} documents, `min_confidence` {}. Figures by operation and level: {}.\n\n",
        evaluation.overall.texts,
        evaluation.overall.documents,
        evaluation.min_confidence,
        match evaluation.grouping {
            super::Grouping::Pairs => "from the same pairs",
            super::Grouping::Sets => "sets made from their originals",
        }
    );
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    text += &line(&HEADINGS.map(str::to_owned));
    text += "|---|---:|---:|---:|---:|---:|---:|---:|\n";
    for (name, figures) in rows(evaluation) {
        text += &line(&cells(&name, figures));
    }
    let named = |keep: &dyn Fn(&Figures) -> bool| {
        let names =
            evaluation.operations.iter().filter(|(_, figures)| keep(figures)).map(|(name, _)| name.as_str());
        let names = names.collect::<Vec<_>>().join(", ");
        if names.is_empty() { "none".to_owned() } else { names }
    };
    let won = named(&|figures| figures.is_won());
    let open = named(&|figures| !figures.is_won() && !figures.is_lost());
    let lost = named(&|figures| figures.is_lost());
    // Writing to a string cannot fail.
    if let Some(edits) = edits_line(evaluation) {
        let _ = writeln!(text, "\n{edits}.");
    }
    let _ = writeln!(
        text,
        "\nOperations won (the interval of the CER's cut lies above zero): {won}. Not yet won: {open}. Made worse: {lost}."
    );
    text
}

/// Puts the figures into the model card in `model`, in the place of earlier ones.
///
/// # Errors
/// If the card cannot be read or written.
pub fn update_card(model: &Path, evaluation: &Evaluation, data: &str) -> Result<(), FinetuneError> {
    let path = model.join("README.md");
    let card = match std::fs::read_to_string(&path) {
        Ok(card) => card,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(FinetuneError::file(&path, "read")(error)),
    };
    let card = with_evaluation(&card, &card_section(evaluation, data));
    Ok(AtomicFile::write_whole(&path, card.as_bytes())?)
}

/// Writes `operations.csv` and `levels.csv` into `directory`: one row a group and text (corrupted, restored), with its CER in percent.
///
/// # Errors
/// If a file cannot be written.
pub fn write_plots(directory: &Path, evaluation: &Evaluation) -> Result<(), FinetuneError> {
    std::fs::create_dir_all(directory).map_err(FinetuneError::file(directory, "create"))?;
    let groups = [("operation", &evaluation.operations), ("level", &evaluation.levels)];
    for (column, groups) in groups {
        let mut csv = format!("{column},text,cer\n");
        for (name, figures) in groups {
            for (text, cer) in [("corrupted", figures.cer_before), ("restored", figures.cer_after)] {
                let _ = writeln!(csv, "{name},{text},{:.4}", 100.0 * cer);
            }
        }
        AtomicFile::write_whole(directory.join(format!("{column}s.csv")), csv.as_bytes())?;
    }
    Ok(())
}
