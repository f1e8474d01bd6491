//! A self-contained HTML page about a data set: no script, nothing fetched.

mod chart;
mod example;
mod number;
mod split;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::path::Path;

use super::rules::corrupt_of;
use super::run::Inspection;
use super::statistics::SourceStatistics;
use crate::op::EventOp;
use crate::pairs::PairMetadata;
use crate::settings::CorruptSettings;
use number::{counted, percent, share, whole};
use text::escaped;

const STYLE: &str = include_str!("style.css");

/// The report of an inspection: what does not hold, counts, events and span lengths by operation, noise levels, error rates,
/// sources and licences, the recipe, and example rows with their edits in colour.
pub fn html_report(inspection: &Inspection) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, inspection);
    page
}

fn write_page(page: &mut String, inspection: &Inspection) -> fmt::Result {
    let title = "Pairs, inspected";
    writeln!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<header>\n<h1>{title}</h1>"
    )?;
    write_verdict(page, inspection)?;
    write_overview(page, inspection)?;
    write_navigation(page, inspection)?;
    writeln!(page, "</header>\n<main>")?;
    let settings = recipe_of(inspection);
    for (name, split) in &inspection.splits {
        let name = escaped(name);
        writeln!(page, "<section id=\"split-{name}\">\n<h2>{name}</h2>")?;
        split::write_split(page, &name, split, settings.as_ref())?;
        writeln!(page, "</section>")?;
    }
    write_sources(page, inspection)?;
    write_making(page, &inspection.metadata)?;
    write_examples(page, inspection)?;
    writeln!(page, "</main>\n</body>\n</html>")
}

fn write_verdict(page: &mut String, inspection: &Inspection) -> fmt::Result {
    if inspection.bad_rows == 0 {
        writeln!(page, "<p class=\"verdict good\">✓ Every row holds</p>")?;
        return writeln!(
            page,
            "<p class=\"soft\">Every row replays and inverts, states its id and its error rate, and a noise level of its recipe; \
             no document stands in two splits.</p>"
        );
    }
    writeln!(page, "<p class=\"verdict bad\">✗ {}</p>\n<ul>", counted(inspection.bad_rows, "bad row"))?;
    for finding in &inspection.findings {
        writeln!(page, "<li>{}</li>", escaped(&finding.to_string()))?;
    }
    let kept = inspection.findings.len() as u64;
    if kept < inspection.bad_rows {
        writeln!(page, "<li class=\"soft\">and {} more</li>", whole(inspection.bad_rows - kept))?;
    }
    writeln!(page, "</ul>")
}

fn write_overview(page: &mut String, inspection: &Inspection) -> fmt::Result {
    writeln!(
        page,
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">split</th><th scope=\"col\">rows</th>\
         <th scope=\"col\">passages</th><th scope=\"col\">documents</th><th scope=\"col\">graphemes</th>\
         <th scope=\"col\">unchanged</th><th scope=\"col\">CER</th></tr></thead><tbody>"
    )?;
    for (name, split) in &inspection.splits {
        writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escaped(name),
            whole(split.rows),
            whole(split.passages),
            whole(split.documents),
            whole(split.graphemes),
            percent(share(split.unchanged, split.rows)),
            percent(split.cer)
        )?;
    }
    writeln!(page, "</tbody></table></div>")
}

fn write_navigation(page: &mut String, inspection: &Inspection) -> fmt::Result {
    write!(page, "<nav aria-label=\"Sections\">")?;
    for (name, _) in &inspection.splits {
        let name = escaped(name);
        write!(page, "<a href=\"#split-{name}\">{name}</a>")?;
    }
    writeln!(
        page,
        "<a href=\"#sources\">sources</a><a href=\"#making\">making</a><a href=\"#examples\">examples</a></nav>"
    )
}

fn write_sources(page: &mut String, inspection: &Inspection) -> fmt::Result {
    let mut sources: BTreeMap<&str, SourceStatistics> = BTreeMap::new();
    for (name, of) in inspection.splits.iter().flat_map(|(_, split)| &split.sources) {
        let sum = sources.entry(name).or_default();
        sum.rows += of.rows;
        sum.documents += of.documents;
        sum.original_bytes += of.original_bytes;
    }
    let all: u64 = sources.values().map(|of| of.original_bytes).sum();
    let mut sources: Vec<_> = sources.into_iter().collect();
    sources.sort_by_key(|(name, of)| (std::cmp::Reverse(of.original_bytes), *name));
    writeln!(
        page,
        "<section id=\"sources\">\n<h2>Sources and licences</h2>\n<div class=\"scroll\"><table>\
         <caption>Documents are counted in the split where they stand; bytes are those of the originals, every copy counted</caption>\
         <thead><tr><th scope=\"col\">source</th><th scope=\"col\" class=\"left\">licence</th><th scope=\"col\">documents</th>\
         <th scope=\"col\">rows</th><th scope=\"col\">bytes</th><th scope=\"col\">share</th><th></th></tr></thead><tbody>"
    )?;
    for (name, of) in sources {
        let licence = match inspection.licences.get(name) {
            Some(stated) => escaped(&stated.iter().map(String::as_str).collect::<Vec<_>>().join("; ")),
            None => "<span class=\"soft\">not stated</span>".to_owned(),
        };
        let part = share(of.original_bytes, all);
        write!(
            page,
            "<tr><th scope=\"row\">{}</th><td class=\"wrap\">{licence}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
            escaped(name),
            whole(of.documents),
            whole(of.rows),
            whole(of.original_bytes),
            percent(part)
        )?;
        chart::write_bar(page, part)?;
        writeln!(page, "</tr>")?;
    }
    writeln!(page, "</tbody></table></div>")?;
    if inspection.licences.is_empty() {
        writeln!(
            page,
            "<p class=\"soft\">Licences stand in the corpus: inspect with --corpus to have them here.</p>"
        )?;
    }
    writeln!(page, "</section>")
}

fn write_making(page: &mut String, metadata: &[PairMetadata]) -> fmt::Result {
    writeln!(page, "<section id=\"making\">\n<h2>Making</h2>")?;
    match metadata.len() {
        0 => writeln!(page, "<p>The files do not say how they were made.</p>")?,
        1 => {}
        several => writeln!(page, "<p class=\"bad\">The files were made in {several} different ways.</p>")?,
    }
    for PairMetadata { recipe, seed, origin, version, unicode } in metadata {
        let seed = seed.map(|seed| format!(", seed {seed}")).unwrap_or_default();
        let (version, unicode) = (escaped(version), escaped(unicode));
        writeln!(page, "<p>Written by version {version}, graphemes of Unicode {unicode}{seed}.</p>")?;
        if let Some(origin) = origin {
            writeln!(page, "<p>Imported from:</p><pre>{}</pre>", escaped(origin))?;
        }
        if let Some(recipe) = recipe {
            writeln!(
                page,
                "<details><summary>The resolved recipe</summary><pre>{}</pre></details>",
                escaped(recipe)
            )?;
        }
    }
    writeln!(page, "</section>")
}

fn write_examples(page: &mut String, inspection: &Inspection) -> fmt::Result {
    writeln!(page, "<section id=\"examples\">\n<h2>Examples</h2>")?;
    writeln!(
        page,
        "<p class=\"soft\">A random sample of every split, the same at every inspection. Originals with what happened to them: \
         what was taken is struck through, what came is underlined. White space inside an edit is drawn; an edit’s tooltip says \
         what it did and where.</p>"
    )?;
    let ops: BTreeSet<EventOp> =
        inspection.splits.iter().flat_map(|(_, split)| split.events.keys().copied()).collect();
    example::write_legend(page, ops.into_iter())?;
    inspection.examples.iter().try_for_each(|each| example::write_example(page, each))?;
    writeln!(page, "</section>")
}

/// The settings behind all files, if there is one recipe for all.
fn recipe_of(inspection: &Inspection) -> Option<CorruptSettings> {
    let [metadata] = inspection.metadata.as_slice() else { return None };
    // The walk has read it already; a file name would be of no use here.
    corrupt_of(metadata, Path::new("")).ok().flatten()
}
