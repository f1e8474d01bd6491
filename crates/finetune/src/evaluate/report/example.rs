//! A restored text: what was wrong in it, and what still is, marked against the original.

use std::fmt::{self, Write as _};

use corruptor::{align, graphemes};

use super::text::{counted, escaped, kept, marked};
use crate::evaluate::Restored;

/// Longer texts are cut there, in bytes of the original.
const LONGEST: usize = 4096;

/// What the colours mean.
pub(super) fn write_legend(page: &mut String) -> fmt::Result {
    writeln!(
        page,
        "<ul class=\"legend\"><li>against the original:</li><li class=\"insertion\"><ins>inserted</ins></li>\
         <li class=\"deletion\"><del>missing</del></li><li class=\"substitution\"><del>was</del><ins>became</ins></li></ul>"
    )
}

pub(super) fn write_example(page: &mut String, restored: &Restored) -> fmt::Result {
    let Restored { pair, scored } = restored;
    let (before, after) = (scored.counts.errors_before, scored.counts.errors_after);
    let noise = pair.noise.map_or_else(|| "real pair".to_owned(), |noise| format!("noise level {noise}"));
    let (class, verdict) = match (scored.counts.exact == 1, before, after) {
        (true, 0, _) => ("good", "left as it was".to_owned()),
        (true, ..) => ("good", "restored exactly".to_owned()),
        (_, 0, _) => ("bad", format!("was clean, {} now", counted(after, "error"))),
        _ if after > before => ("bad", format!("{} now", counted(after, "error"))),
        _ => ("", format!("{} left", counted(after, "error"))),
    };
    writeln!(
        page,
        "<article><header><b class=\"{class}\">{verdict}</b><span>{}</span><span>{}</span><span>{noise}</span></header>\n<dl>",
        format_args!("{} before", counted(before, "error")),
        escaped(&pair.source),
    )?;
    write_text(page, "corrupted", &pair.original, &pair.corrupted)?;
    if scored.counts.exact == 0 {
        write_text(page, "restored", &pair.original, &scored.restored)?;
    } else if before > 0 {
        write_text(page, "restored", &pair.original, &pair.original)?;
    }
    writeln!(page, "</dl></article>")
}

/// A text with its differences from the original.
fn write_text(page: &mut String, name: &str, original: &str, text: &str) -> fmt::Result {
    write!(page, "<dt>{name}</dt><dd dir=\"auto\">")?;
    let mut at = 0;
    for event in align(original, text) {
        let start = event.start as usize;
        if start > LONGEST {
            break;
        }
        page.push_str(&kept(original.get(at..start).unwrap_or_default()));
        let class = match (event.removed.is_empty(), event.replacement.is_empty()) {
            (true, _) => "insertion",
            (_, true) => "deletion",
            _ => "substitution",
        };
        write!(page, "<span class=\"{class}\">")?;
        if !event.removed.is_empty() {
            write!(page, "<del>{}</del>", marked(&event.removed))?;
        }
        if !event.replacement.is_empty() {
            write!(page, "<ins>{}</ins>", marked(&event.replacement))?;
        }
        write!(page, "</span>")?;
        at = start + event.length as usize;
    }
    let rest = original.get(at..).unwrap_or_default();
    let mut end = 0;
    for grapheme in graphemes(rest) {
        if at + end >= LONGEST {
            break;
        }
        end += grapheme.len();
    }
    page.push_str(&kept(&rest[..end]));
    if end < rest.len() {
        write!(
            page,
            "<span class=\"soft\"> … and {} of the original</span>",
            counted((rest.len() - end) as u64, "byte")
        )?;
    }
    writeln!(page, "</dd>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_marked_against_the_original() {
        let mut page = String::new();
        write_text(&mut page, "x", "a cat <b>", "a ct <bb>").unwrap();
        let expected = "<dt>x</dt><dd dir=\"auto\">a c<span class=\"deletion\"><del>a</del></span>t &lt;\
             <span class=\"insertion\"><ins>b</ins></span>b&gt;</dd>\n";
        assert_eq!(page, expected);
        page.clear();
        write_text(&mut page, "x", "a\nb", "a b").unwrap();
        assert!(page.contains("<span class=\"substitution\"><del>⏎\n</del><ins>·</ins></span>"), "{page}");
    }

    #[test]
    fn long_texts_are_cut() {
        let mut page = String::new();
        write_text(&mut page, "x", &"é".repeat(5000), &"é".repeat(5000)).unwrap();
        assert!(page.contains("… and 5,904 bytes of the original"));
    }
}
