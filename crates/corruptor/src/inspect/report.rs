//! A self-contained HTML page about a data set.

use std::fmt::{self, Write as _};

use super::run::Inspection;
use super::statistics::SplitStatistics;
use crate::pair::Pair;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse;margin:.5rem 0 1.5rem}td,th{padding:.2rem .8rem;text-align:right;border-bottom:1px solid #ddd}\
td:first-child,th:first-child{text-align:left}.bar{background:#4a7ab5;height:.8rem}pre{white-space:pre-wrap;background:#f6f6f6;\
padding:.6rem}del{background:#fbd5d5}ins{background:#d3f2d3;text-decoration:none}.bad{color:#a00}";

/// The report of an inspection: counts, error rates by noise level, events and span lengths by operation, example pairs.
pub fn html_report(inspection: &Inspection) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, inspection);
    page
}

fn write_page(page: &mut String, inspection: &Inspection) -> fmt::Result {
    write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>Pairs</title><style>{STYLE}</style>\n<h1>Pairs</h1>\n"
    )?;
    if inspection.bad_rows == 0 {
        writeln!(page, "<p>Every row replays, inverts, and states its id and error rate.</p>")?;
    } else {
        writeln!(page, "<p class=\"bad\">{} bad rows</p><ul>", inspection.bad_rows)?;
        for finding in &inspection.findings {
            writeln!(page, "<li>{}</li>", escaped(&finding.to_string()))?;
        }
        writeln!(page, "</ul>")?;
    }
    for (name, split) in &inspection.splits {
        writeln!(page, "<h2>{}</h2>", escaped(name))?;
        write_split(page, split)?;
    }
    writeln!(page, "<h2>Examples</h2>")?;
    inspection.examples.iter().try_for_each(|pair| write_example(page, pair))
}

fn write_split(page: &mut String, split: &SplitStatistics) -> fmt::Result {
    let SplitStatistics { rows, documents, passages, unchanged, graphemes, .. } = split;
    let cer = 100.0 * split.cer;
    writeln!(
        page,
        "<p>{rows} rows, {passages} passages of {documents} documents, {graphemes} graphemes; {unchanged} rows unchanged; CER {cer:.2} %</p>"
    )?;
    writeln!(page, "<table><tr><th>noise level<th>rows<th>CER</tr>")?;
    for (bits, level) in &split.levels {
        let noise = f32::from_bits(*bits);
        writeln!(page, "<tr><td>{noise}<td>{}<td>{:.2} %</tr>", level.rows, 100.0 * level.cer)?;
    }
    writeln!(
        page,
        "</table>\n<table><tr><th>operation<th>events<th>in 1,000 graphemes<th>mean span<th>longest</tr>"
    )?;
    for (op, of) in &split.events {
        let (events, rate, mean, max) = (of.events, of.per_1000_graphemes, of.mean_span, of.max_span);
        writeln!(page, "<tr><td>{op}<td>{events}<td>{rate:.2}<td>{mean:.2}<td>{max}</tr>")?;
    }
    writeln!(page, "</table>")?;
    for (op, of) in &split.events {
        writeln!(page, "<table><tr><th>{op}: span<th>events<th></tr>")?;
        let most = of.spans.values().max().copied().unwrap_or(1);
        for (length, count) in &of.spans {
            let width = 20.0 * *count as f64 / most as f64;
            let bar = format!("<div class=\"bar\" style=\"width:{width:.2}rem\"></div>");
            writeln!(page, "<tr><td>{length}<td>{count}<td style=\"text-align:left\">{bar}</tr>")?;
        }
        writeln!(page, "</table>")?;
    }
    Ok(())
}

/// The original with what was removed struck out and what replaced it marked; the bare corrupted text if the log does not fit.
fn write_example(page: &mut String, pair: &Pair) -> fmt::Result {
    let marked = marked(pair).unwrap_or_else(|| escaped(&pair.corrupted));
    let (source, doc_id) = (escaped(&pair.source), escaped(&pair.doc_id));
    let (start, copy, cer) = (pair.start, pair.copy, 100.0 * pair.cer);
    let noise = pair.noise.map_or_else(|| "unknown".to_owned(), |noise| noise.to_string());
    writeln!(
        page,
        "<p>{source} {doc_id}, byte {start}, copy {copy}: noise level {noise}, CER {cer:.1} %</p><pre>{marked}</pre>"
    )
}

fn marked(pair: &Pair) -> Option<String> {
    let mut out = String::new();
    let mut at = 0;
    for event in &pair.events {
        let start = event.start as usize;
        out += &escaped(pair.original.get(at..start)?);
        let _ =
            write!(out, "<del>{}</del><ins>{}</ins>", escaped(&event.removed), escaped(&event.replacement));
        at = start + event.removed.len();
    }
    out += &escaped(pair.original.get(at..)?);
    Some(out)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
