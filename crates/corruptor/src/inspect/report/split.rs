//! What one split holds: tables and charts.

use std::fmt::{self, Write as _};

use super::chart::{Bar, Histogram, write_bar};
use super::number::{counted, percent, share, whole};
use crate::inspect::statistics::{CerRows, LevelStatistics, OpStatistics, SplitStatistics};
use crate::law::LengthLaw;
use crate::op::{EventOp, Op};
use crate::settings::CorruptSettings;

/// Span lengths drawn one by one; the last bar holds the rest.
const SPANS_SHOWN: u64 = 24;

pub(super) fn write_split(
    page: &mut String,
    name: &str,
    split: &SplitStatistics,
    settings: Option<&CorruptSettings>,
) -> fmt::Result {
    write_events(page, name, split)?;
    write_levels(page, split)?;
    writeln!(page, "<div class=\"charts\">")?;
    if split.rows > 0 {
        cer_histogram(split).write(page)?;
    }
    for (op, of) in &split.events {
        span_histogram(*op, of, settings.and_then(|settings| law(*op, settings))).write(page)?;
    }
    writeln!(page, "</div>")
}

fn write_events(page: &mut String, name: &str, split: &SplitStatistics) -> fmt::Result {
    if split.events.is_empty() {
        return writeln!(page, "<p>No events.</p>");
    }
    let what = if split.levels.is_empty() {
        "Edits, from minimal alignments,"
    } else {
        "Logged events, after cuts at the end of a text and without those that changed nothing,"
    };
    writeln!(
        page,
        "<div class=\"scroll\"><table><caption>{what} of {name}</caption>\
         <thead><tr><th scope=\"col\">operation</th><th scope=\"col\">events</th><th scope=\"col\">in 1,000 graphemes</th>\
         <th scope=\"col\">mean span</th><th scope=\"col\">longest</th><th></th></tr></thead><tbody>"
    )?;
    let most = split.events.values().map(|of| of.events).max().unwrap_or(1);
    for (op, of) in &split.events {
        write!(
            page,
            "<tr class=\"{op}\"><th scope=\"row\"><span class=\"swatch\"></span>{op}</th><td>{}</td><td>{:.2}</td><td>{:.2}</td><td>{}</td>",
            whole(of.events),
            of.per_1000_graphemes,
            of.mean_span,
            whole(of.max_span)
        )?;
        write_bar(page, share(of.events, most))?;
        writeln!(page, "</tr>")?;
    }
    writeln!(page, "</tbody></table></div>")
}

fn write_levels(page: &mut String, split: &SplitStatistics) -> fmt::Result {
    writeln!(
        page,
        "<div class=\"scroll\"><table><caption>Noise levels: factors on all rates, drawn for each row</caption>\
         <thead><tr><th scope=\"col\">noise level</th><th scope=\"col\">rows</th><th scope=\"col\">share</th><th scope=\"col\">CER</th>\
         <th></th></tr></thead><tbody>"
    )?;
    let name = |bits: &u32| match f32::from_bits(*bits) {
        0.0 => "0 (clean)".to_owned(),
        level => level.to_string(),
    };
    let known = split.levels.iter().map(|(bits, of)| (name(bits), *of));
    let rows: Vec<(String, LevelStatistics)> =
        known.chain(split.real.map(|of| ("none (real pairs)".to_owned(), of))).collect();
    for (name, of) in rows {
        let part = share(of.rows, split.rows);
        write!(
            page,
            "<tr><th scope=\"row\">{name}</th><td>{}</td><td>{}</td><td>{}</td>",
            whole(of.rows),
            percent(part),
            percent(of.cer)
        )?;
        write_bar(page, part)?;
        writeln!(page, "</tr>")?;
    }
    writeln!(page, "</tbody></table></div>")
}

fn cer_histogram(split: &SplitStatistics) -> Histogram<'static> {
    let CerRows(bins) = &split.cer_rows;
    let last = bins.iter().rposition(|rows| *rows > 0).unwrap_or(0);
    // A few rows far out shall not squeeze the rest: the last bar takes the outermost half per cent.
    let mut beyond = 0;
    let mut cut = last;
    while cut > 12 && beyond + bins[cut] <= split.rows / 200 {
        beyond += bins[cut];
        cut -= 1;
    }
    let shown = if beyond > 0 { cut + 1 } else { last };
    let bar = |bin: usize| {
        let is_rest = beyond > 0 && bin == shown;
        let rows = if is_rest { beyond } else { bins[bin] };
        let (label, range) = match bin {
            0 => ("0".to_owned(), "no error".to_owned()),
            _ if is_rest => (format!("> {}", bin - 1), format!("CER above {} %", bin - 1)),
            _ => (bin.to_string(), format!("CER above {} up to {bin} %", bin - 1)),
        };
        let part = share(rows, split.rows);
        let tooltip = format!("{range}: {}, {}", counted(rows, "row"), percent(part));
        Bar { label, share: part, expected: None, tooltip }
    };
    Histogram {
        title: "Error rate of rows",
        note: "Levenshtein distance in graphemes over those of the original",
        summary: format!(
            "{} without an error; CER of all rows together {}; no row above {last} %",
            counted(bins[0], "row"),
            percent(split.cer)
        ),
        axis: "CER in %, upper end of the bin",
        class: "",
        bars: (0..=shown).map(bar).collect(),
    }
}

fn law(op: EventOp, settings: &CorruptSettings) -> Option<LengthLaw> {
    match op {
        EventOp::Channel(Op::Substitution) if settings.confusions.is_some() => None,
        EventOp::Channel(op) => Some(LengthLaw::new(settings.op(op), usize::from(op == Op::Reversal))),
        EventOp::Edit => None,
    }
}

fn span_histogram(op: EventOp, of: &OpStatistics, law: Option<LengthLaw>) -> Histogram<'static> {
    let longest = law.map_or(0, |law| law.max() as u64).max(of.max_span).max(3);
    let last = longest.min(SPANS_SHOWN);
    let bar = |length: u64| {
        let is_rest = length == last && last < longest;
        let counted_there = of.spans.range(length..=if is_rest { u64::MAX } else { length });
        let events = counted_there.map(|(_, events)| events).sum();
        let reaches = |law: LengthLaw| law.at_least(length as usize);
        let follows = law.filter(|law| length >= law.shortest() as u64);
        let expected =
            follows.map(|law| if is_rest { reaches(law) } else { law.probability(length as usize) });
        let label = if is_rest { format!("{length}+") } else { length.to_string() };
        let part = share(events, of.events);
        let expects = expected.map(|p| format!("; the law has {}", percent(p))).unwrap_or_default();
        let tooltip =
            format!("{} graphemes: {}, {}{expects}", label, counted(events, "event"), percent(part));
        Bar { label, share: part, expected, tooltip }
    };
    Histogram {
        title: match op {
            EventOp::Channel(Op::Deletion) => "Spans of deletions",
            EventOp::Channel(Op::Substitution) => "Spans of substitutions",
            EventOp::Channel(Op::Insertion) => "Spans of insertions",
            EventOp::Channel(Op::Duplication) => "Spans of duplications",
            EventOp::Channel(Op::Reversal) => "Spans of reversals",
            EventOp::Edit => "Spans of edits",
        },
        note: if law.is_some() { "line: the recipe’s law" } else { "" },
        summary: format!(
            "{}, spans of {:.2} graphemes on average, {} at most",
            counted(of.events, "event"),
            of.mean_span,
            of.max_span
        ),
        axis: "graphemes",
        class: op.name(),
        bars: (1..=last).map(bar).collect(),
    }
}
