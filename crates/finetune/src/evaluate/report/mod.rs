//! The HTML report: the figures, charts of them, and restored texts to look at; one file without scripts or anything from elsewhere.

mod axes;
mod bars;
mod comparison;
mod coverage;
mod example;
mod reliability;
mod text;

use std::fmt::{self, Write as _};

use restorer::metrics::TextCounts;

use self::bars::{Bars, Group};
use self::comparison::write_comparison;
use self::coverage::write_coverage;
use self::example::{write_example, write_legend};
use self::reliability::{Subject, write_reliability};
use self::text::{counted, escaped, percent_of};
use super::output::{HEADINGS, cells, rows};
use super::{Evaluation, Grouping, Restored};
use crate::judged::{Judged, JudgedEdit};

const STYLE: &str = include_str!("style.css");
/// Texts that are shown because errors were added to them, at most.
const WORST: usize = 6;

/// The report as one HTML page, with at most `examples` restored texts, evenly spaced over the pairs.
pub fn html(evaluation: &Evaluation, restored: &[Restored], examples: usize) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, evaluation, restored, examples);
    page
}

fn write_page(
    page: &mut String,
    evaluation: &Evaluation,
    restored: &[Restored],
    examples: usize,
) -> fmt::Result {
    writeln!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>Evaluation</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>Evaluation</h1>"
    )?;
    write_head(page, evaluation)?;
    writeln!(
        page,
        "<nav aria-label=\"Sections\"><a href=\"#figures\">figures</a><a href=\"#errors\">errors and edits</a>\
         <a href=\"#worse\">made worse</a><a href=\"#examples\">examples</a></nav>\n</header>\n<main>"
    )?;
    write_figures(page, evaluation)?;
    write_distributions(page, restored, evaluation)?;
    write_texts(page, restored, examples)?;
    writeln!(page, "</main>\n</body>\n</html>")
}

/// What was measured, and the four figures that matter.
fn write_head(page: &mut String, evaluation: &Evaluation) -> fmt::Result {
    let overall = &evaluation.overall;
    let interval = match (overall.reduction_low, overall.reduction_high) {
        (Some(low), Some(high)) => {
            format!("95 % interval {:.1} to {}", 100.0 * low, percent_of(high, 1))
        }
        _ => "no text was corrupted".to_owned(),
    };
    let dash = || "–".to_owned();
    let verdict = match (overall.is_won(), overall.is_lost()) {
        (true, _) => "good",
        (_, true) => "bad",
        _ => "",
    };
    let tiles = [
        (verdict, "errors undone", overall.reduction.map_or_else(dash, |cut| percent_of(cut, 1)), interval),
        (
            "",
            "character error rate",
            percent_of(overall.cer_after, 2),
            format!("{} before", percent_of(overall.cer_before, 2)),
        ),
        (
            "",
            "restored byte for byte",
            percent_of(overall.exact_match, 1),
            format!("of {}", counted(overall.texts, "text")),
        ),
        (
            "",
            "clean texts changed",
            overall.harm.map_or_else(dash, |harm| percent_of(harm, 1)),
            format!("of {}", counted(overall.clean, "clean text")),
        ),
    ];
    writeln!(
        page,
        "<p class=\"soft\">{} of {}, model <code>{}</code>, <code>min_confidence</code> {}.</p>\n<ul class=\"tiles\">",
        counted(overall.texts, "text"),
        counted(overall.documents as u64, "document"),
        escaped(&evaluation.model.chars().take(16).collect::<String>()),
        evaluation.min_confidence,
    )?;
    for (class, name, value, note) in tiles {
        writeln!(
            page,
            "<li class=\"{class}\"><span>{name}</span><b>{value}</b><span class=\"soft\">{note}</span></li>"
        )?;
    }
    writeln!(page, "</ul>")
}

fn write_figures(page: &mut String, evaluation: &Evaluation) -> fmt::Result {
    let grouped = match evaluation.grouping {
        Grouping::Pairs => "an operation's texts are those in which nothing else happened",
        Grouping::Sets => "each set is made from the originals of the pairs",
    };
    writeln!(
        page,
        "<section id=\"figures\">\n<h2>Figures</h2>\n<p>The character error rate (CER) is the Levenshtein distance in graphemes over the \
         graphemes of the originals. The cut is the share of the errors that are gone, its interval by bootstrap over {}. Harm is the \
         share of clean texts that were changed. By operation and by noise level, {grouped}.</p>\n<div class=\"charts\">",
        evaluation.overall.resampled
    )?;
    let operations: Vec<_> = evaluation.operations.iter().map(|(name, f)| (name.clone(), f)).collect();
    let levels: Vec<_> = evaluation.levels.iter().map(|(level, f)| (format!("level {level}"), f)).collect();
    write_comparison(page, "CER by operation", &operations)?;
    write_comparison(page, "CER by noise level", &levels)?;
    write!(page, "</div>\n<div class=\"scroll\"><table><thead><tr>")?;
    for heading in HEADINGS {
        write!(page, "<th scope=\"col\">{heading}</th>")?;
    }
    writeln!(page, "</tr></thead>\n<tbody>")?;
    for (name, figures) in rows(evaluation) {
        let class = match (figures.is_won(), figures.is_lost()) {
            (true, _) => "good",
            (_, true) => "bad",
            _ => "",
        };
        let [name, cells @ ..] = cells(&name, figures);
        write!(page, "<tr><th scope=\"row\">{}</th>", escaped(&name))?;
        for (column, cell) in cells.iter().enumerate() {
            // The cut, of which the interval tells whether it is one.
            let class = if column == 3 { class } else { "" };
            write!(page, "<td class=\"{class}\">{}</td>", escaped(cell))?;
        }
        writeln!(page, "</tr>")?;
    }
    writeln!(page, "</tbody></table></div>\n</section>")
}

fn write_distributions(page: &mut String, restored: &[Restored], evaluation: &Evaluation) -> fmt::Result {
    let edits = evaluation.judged.as_slice();
    writeln!(page, "<section id=\"errors\">\n<h2>Errors and edits</h2>\n<div class=\"charts\">")?;
    errors_chart(restored).write(page)?;
    lengths_chart(restored).write(page)?;
    if !edits.is_empty() {
        edits_chart(edits).write(page)?;
        write_reliability(page, Subject::Edits, edits.iter().map(Judged::from))?;
        write_coverage(page, edits)?;
    }
    write_reliability(page, Subject::Texts, evaluation.judged_texts.iter().copied())?;
    writeln!(page, "</div>\n</section>")
}

/// Texts by the number of their errors, before and after.
fn errors_chart(restored: &[Restored]) -> Bars<'static> {
    const FROM: [u64; 9] = [0, 1, 2, 3, 5, 9, 17, 33, 65];
    let bin = |errors: u64| FROM.iter().rposition(|from| *from <= errors).unwrap_or(0);
    let mut counts = vec![[0_u64; 2]; FROM.len()];
    for Restored { scored, .. } in restored {
        let TextCounts { errors_before, errors_after, .. } = scored.counts;
        counts[bin(errors_before)][0] += 1;
        counts[bin(errors_after)][1] += 1;
    }
    let used = counts.iter().rposition(|counts| counts.iter().any(|count| *count > 0)).unwrap_or(0);
    let label = |i: usize| match (FROM[i], FROM.get(i + 1)) {
        (from, Some(next)) if from + 1 == *next => from.to_string(),
        (from, Some(next)) => format!("{from}–{}", next - 1),
        (from, None) => format!("{from}+"),
    };
    let groups = counts.iter().take(used + 1).enumerate().map(|(i, counts)| Group::new(label(i), counts));
    Bars {
        title: "Errors of a text",
        axis: "Levenshtein distance from the original, graphemes",
        series: &[("soft", "corrupted"), ("", "restored")],
        groups: groups.collect(),
        unit: "text",
    }
}

/// Texts by the length of their originals.
fn lengths_chart(restored: &[Restored]) -> Bars<'static> {
    let longest = restored.iter().map(|restored| restored.scored.counts.graphemes).max().unwrap_or(0);
    let width = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]
        .into_iter()
        .find(|width| longest / width < 10)
        .unwrap_or(longest / 9 + 1);
    let mut counts = vec![0_u64; (longest / width) as usize + 1];
    for Restored { scored, .. } in restored {
        counts[(scored.counts.graphemes / width) as usize] += 1;
    }
    let group = |(i, count): (usize, &u64)| Group::new((i as u64 * width).to_string(), &[*count]);
    Bars {
        title: "Length of a text",
        axis: "graphemes of the original, from",
        series: &[("", "")],
        groups: counts.iter().enumerate().map(group).collect(),
        unit: "text",
    }
}

/// Edits by their size, right and wrong.
fn edits_chart(edits: &[JudgedEdit]) -> Bars<'static> {
    const LARGEST: usize = 8;
    let mut counts = [[0_u64; 2]; LARGEST];
    for edit in edits {
        counts[edit.graphemes.clamp(1, LARGEST) - 1][usize::from(!edit.is_right)] += 1;
    }
    let used = counts.iter().rposition(|counts| counts.iter().any(|count| *count > 0)).unwrap_or(0);
    let label = |i: usize| if i + 1 == LARGEST { format!("{LARGEST}+") } else { (i + 1).to_string() };
    let groups = counts.iter().take(used + 1).enumerate().map(|(i, counts)| Group::new(label(i), counts));
    Bars {
        title: "Size of an edit",
        axis: "graphemes that it removes or puts, the larger number",
        series: &[("good", "right"), ("bad", "wrong")],
        groups: groups.collect(),
        unit: "edit",
    }
}

fn write_texts(page: &mut String, restored: &[Restored], examples: usize) -> fmt::Result {
    let grown = |restored: &Restored| {
        let counts = &restored.scored.counts;
        counts.errors_after.saturating_sub(counts.errors_before)
    };
    let mut worse: Vec<&Restored> = restored.iter().filter(|restored| grown(restored) > 0).collect();
    worse.sort_by_key(|restored| std::cmp::Reverse(grown(restored)));
    writeln!(page, "<section id=\"worse\">\n<h2>Made worse</h2>")?;
    if worse.is_empty() {
        writeln!(page, "<p>No text has more errors than before.</p>")?;
    } else {
        writeln!(
            page,
            "<p>{} of {} {} more errors than before; those with the most come first.</p>",
            worse.len(),
            counted(restored.len() as u64, "text"),
            if worse.len() == 1 { "has" } else { "have" },
        )?;
        write_legend(page)?;
    }
    for restored in worse.iter().take(WORST.min(examples)) {
        write_example(page, restored)?;
    }
    writeln!(page, "</section>\n<section id=\"examples\">\n<h2>Examples</h2>")?;
    write_legend(page)?;
    let shown = examples.min(restored.len());
    for index in 0..shown {
        write_example(page, &restored[index * restored.len() / shown])?;
    }
    writeln!(page, "</section>")
}
