//! The HTML report: the figures, and restored texts to look at; one file without anything from elsewhere.

use std::fmt::Write as _;

use super::output::{HEADINGS, cells, rows};
use super::{Evaluation, Restored};

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}\
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .75rem;border-bottom:1px solid #ddd;text-align:right}\
th:first-child,td:first-child{text-align:left}.won{color:#14692b}.lost{color:#a11}\
dl{margin:1rem 0;padding:.5rem 1rem;border-left:3px solid #ccc}dt{font-size:.8rem;color:#666}\
dd{margin:0 0 .5rem;white-space:pre-wrap;font-family:ui-monospace,monospace;font-size:.85rem}";

/// The report as one HTML page, with at most `examples` restored texts, evenly spaced over the pairs.
pub fn html(evaluation: &Evaluation, restored: &[Restored], examples: usize) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>Evaluation</title><style>{STYLE}</style></head><body>\n\
         <h1>Evaluation</h1>\n<p>Model <code>{}</code>, <code>min_confidence</code> {}. CER is the Levenshtein distance in graphemes over the \
         graphemes of the originals; the cut is the share of the errors that are gone, its interval by bootstrap over {}; harm is the share of clean texts \
         that were changed.</p>\n<table><tr>",
        escape(&evaluation.model),
        evaluation.min_confidence,
        evaluation.overall.resampled,
    );
    // Writing to a string cannot fail.
    for heading in HEADINGS {
        let _ = write!(page, "<th>{heading}</th>");
    }
    page += "</tr>\n";
    for (name, figures) in rows(evaluation) {
        let class = match (figures.is_won(), figures.is_lost()) {
            (true, _) => "won",
            (_, true) => "lost",
            _ => "open",
        };
        let _ = write!(page, "<tr class=\"{class}\">");
        for cell in cells(&name, figures) {
            let _ = write!(page, "<td>{}</td>", escape(&cell));
        }
        page += "</tr>\n";
    }
    page += "</table>\n<h2>Examples</h2>\n";
    let shown = examples.min(restored.len());
    for index in 0..shown {
        page += &example(&restored[index * restored.len() / shown]);
    }
    page + "</body></html>\n"
}

fn example(restored: &Restored) -> String {
    let Restored { pair, scored } = restored;
    let texts =
        [("original", &pair.original), ("corrupted", &pair.corrupted), ("restored", &scored.restored)];
    let mut block = format!(
        "<dl><dt>{} · {} · errors {} → {}</dt>\n",
        escape(&pair.source),
        pair.noise.map_or_else(|| "real pair".to_owned(), |noise| format!("noise {noise}")),
        scored.counts.errors_before,
        scored.counts.errors_after
    );
    for (name, text) in texts {
        let _ = writeln!(block, "<dt>{name}</dt><dd>{}</dd>", escape(text));
    }
    block + "</dl>\n"
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escape;

    #[test]
    fn markup_in_texts_is_text() {
        assert_eq!(escape("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
    }
}
