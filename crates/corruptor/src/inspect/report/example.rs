//! Example rows: the original with every edit marked where it happened.

use std::fmt::{self, Write as _};

use super::number::{counted, percent};
use super::text::{changed, copied, escaped, quoted};
use crate::event::Event;
use crate::grapheme::{grapheme_count, graphemes};
use crate::inspect::run::Example;
use crate::op::{EventOp, Op};
use crate::pair::Pair;

/// Copied text longer than this is shortened in its middle, in graphemes.
const COPIED_GRAPHEMES: usize = 600;
/// Changed text longer than this is shortened, in graphemes.
const CHANGED_GRAPHEMES: usize = 400;
/// Events of an example that are shown.
const EVENTS_SHOWN: usize = 120;

/// What the colours mean, for the operations that occur.
pub(super) fn write_legend(page: &mut String, ops: impl Iterator<Item = EventOp>) -> fmt::Result {
    writeln!(page, "<ul class=\"legend\">")?;
    for op in ops {
        let sample = match op {
            EventOp::Channel(Op::Deletion) => "he<del>l</del>lo",
            EventOp::Channel(Op::Substitution) => "he<del>l</del><ins class=\"substitution\">x</ins>lo",
            EventOp::Channel(Op::Insertion) => "hel<ins class=\"insertion\">x</ins>lo",
            EventOp::Channel(Op::Duplication) => {
                "h<span class=\"span\">el</span><ins class=\"duplication\">el</ins>lo"
            }
            EventOp::Channel(Op::Reversal) => "h<del>el</del><ins class=\"reversal\">le</ins>lo",
            EventOp::Edit => "he<del>l</del><ins class=\"edit\">1</ins>lo",
        };
        writeln!(page, "<li class=\"{op}\"><span class=\"swatch\"></span>{op}: {sample}</li>")?;
    }
    writeln!(page, "</ul>")
}

pub(super) fn write_example(page: &mut String, example: &Example) -> fmt::Result {
    let Pair { id, doc_id, source, start, copy, noise, cer, events, original, corrupted } = &example.pair;
    let noise = noise.map_or_else(|| "real pair".to_owned(), |noise| format!("noise level {noise}"));
    let made = match events.len() {
        0 if original == corrupted => "unchanged".to_owned(),
        events => counted(events as u64, "event"),
    };
    writeln!(
        page,
        "<article><header><b>{}</b><span>{}, document {}, byte {start}, copy {copy}</span><span>{noise}</span><span>{made}, CER {}</span><span>id {id}</span></header>",
        escaped(&example.split),
        escaped(source),
        escaped(&shortened(doc_id, 24)),
        percent(f64::from(*cer)),
    )?;
    page.push_str("<p class=\"text\" dir=\"auto\">");
    if !write_marked(page, &example.pair)? {
        page.push_str(&shown(corrupted, COPIED_GRAPHEMES, copied));
        page.push_str("</p><p class=\"bad\">The events do not fit the original; this is the corrupted text.");
    }
    writeln!(page, "</p></article>")
}

/// Writes the original with its edits; nothing, and `false`, if the events do not fit it.
fn write_marked(page: &mut String, pair: &Pair) -> Result<bool, fmt::Error> {
    let begin = page.len();
    let mut at = 0;
    for event in pair.events.iter().take(EVENTS_SHOWN) {
        let start = event.start as usize;
        let end = start + event.removed.len();
        let (Some(kept), Some(true)) =
            (pair.original.get(at..start), pair.original.get(start..end).map(|found| found == event.removed))
        else {
            page.truncate(begin);
            return Ok(false);
        };
        page.push_str(&shown(kept, COPIED_GRAPHEMES, copied));
        write_event(page, event)?;
        at = end;
    }
    let rest = pair.original.get(at..).unwrap_or_default();
    match pair.events.len().saturating_sub(EVENTS_SHOWN) {
        0 => page.push_str(&shown(rest, COPIED_GRAPHEMES, copied)),
        more => write!(
            page,
            " <span class=\"gap\">[… {} and {} of original]</span>",
            counted(more as u64, "more event"),
            counted(rest.len() as u64, "byte")
        )?,
    }
    Ok(true)
}

fn write_event(page: &mut String, event: &Event) -> fmt::Result {
    let Event { op, start, length, removed, replacement } = event;
    let span = match op {
        EventOp::Channel(Op::Insertion) => grapheme_count(replacement),
        EventOp::Channel(_) => grapheme_count(removed),
        EventOp::Edit => grapheme_count(removed).max(grapheme_count(replacement)),
    };
    let title = format!(
        "{op}, bytes {start} to {}, {}: {} becomes {}",
        u64::from(*start) + u64::from(*length),
        counted(span as u64, "grapheme"),
        quoted(removed),
        quoted(replacement)
    );
    let mark = |page: &mut String, tag: &str, class: &str, text: &str| {
        let text = shown(text, CHANGED_GRAPHEMES, changed);
        write!(page, "<{tag} class=\"{class}\" title=\"{title}\">{text}</{tag}>")
    };
    let second = replacement.strip_prefix(removed.as_str());
    if let (EventOp::Channel(Op::Duplication), Some(second)) = (op, second) {
        // The first copy is the original's own text.
        let first = copied(removed);
        write!(page, "<span class=\"span {op}\" title=\"{title}\">{first}</span>")?;
        return mark(page, "ins", op.name(), second);
    }
    if !removed.is_empty() {
        mark(page, "del", op.name(), removed)?;
    }
    if !replacement.is_empty() {
        mark(page, "ins", op.name(), replacement)?;
    }
    Ok(())
}

/// A text, or its two ends with a word about what lies between.
fn shown(text: &str, longest: usize, show: fn(&str) -> String) -> String {
    // No grapheme has less than a byte.
    if text.len() <= longest || grapheme_count(text) <= longest {
        return show(text);
    }
    let half = longest / 2;
    let front: usize = graphemes(text).take(half).map(str::len).sum();
    let back: usize = graphemes(text).rev().take(half).map(str::len).sum();
    let between = counted((text.len() - front - back) as u64, "byte");
    format!(
        "{} <span class=\"gap\">[… {between} …]</span> {}",
        show(&text[..front]),
        show(&text[text.len() - back..])
    )
}

fn shortened(text: &str, longest: usize) -> String {
    let mut chars = text.chars();
    let head: String = chars.by_ref().take(longest).collect();
    if chars.next().is_some() { head + "…" } else { head }
}
