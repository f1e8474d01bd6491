//! Text of any kind in a page: escaped, and with nothing invisible where it matters.

use std::fmt::Write as _;

use crate::grapheme::grapheme_count;

/// Escaped for content and for quoted attributes.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|c| push_escaped(&mut out, c));
    out
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        c => out.push(c),
    }
}

/// Text that was copied: line breaks and spaces do their work, other control characters show their code.
pub(super) fn copied(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' | '\u{200d}' => out.push(c),
            c if is_invisible(c) => push_mark(&mut out, c),
            c => push_escaped(&mut out, c),
        }
    }
    out
}

/// Text that was changed: white space shows too, and a mark that would join its neighbour stands on a dotted circle.
pub(super) fn changed(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    if text.chars().next().is_some_and(joins) {
        out.push('\u{25cc}');
    }
    for c in text.chars() {
        match c {
            ' ' => out.push_str("<span class=\"blank\">·</span>"),
            '\n' => out.push_str("<span class=\"blank\">⏎</span>\n"),
            '\t' => out.push_str("<span class=\"blank\">→</span>\t"),
            // Without it the parts of an emoji fall apart.
            '\u{200d}' => out.push(c),
            c if is_invisible(c) => push_mark(&mut out, c),
            c => push_escaped(&mut out, c),
        }
    }
    out
}

/// Text for a tooltip: one line, everything visible, at most 60 characters.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut out = String::from("“");
    for c in text.chars().take(LONGEST) {
        match c {
            '\n' => out.push('⏎'),
            '\t' => out.push('→'),
            c if is_invisible(c) => _ = write!(out, "‹{}›", code(c)),
            c => push_escaped(&mut out, c),
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out.push('”');
    out
}

fn push_mark(out: &mut String, c: char) {
    // Writing to a string cannot fail.
    let _ = write!(out, "<span class=\"mark\">{}</span>", code(c));
}

fn code(c: char) -> String {
    match c {
        '\r' => "CR".to_owned(),
        '\0' => "NUL".to_owned(),
        '\u{a0}' => "NBSP".to_owned(),
        c => format!("U+{:04X}", u32::from(c)),
    }
}

/// Whether a character would vanish, or would change the order of the text after it.
fn is_invisible(c: char) -> bool {
    let is_space = c.is_whitespace() && c != ' ';
    let is_format = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0001}'..='\u{e007f}');
    is_space || is_format || c.is_control()
}

/// Whether `c` forms one grapheme with a letter before it.
fn joins(c: char) -> bool {
    !is_invisible(c) && grapheme_count(&format!("a{c}")) == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_becomes_markup() {
        assert_eq!(escaped("<a b=\"c\">&"), "&lt;a b=&quot;c&quot;&gt;&amp;");
        for show in [escaped, copied, changed, quoted] {
            let shown = show("</pre><script>alert(1)</script>\"'&amp;");
            assert!(!shown.contains("<script") && !shown.contains("</pre") && shown.contains("&amp;amp;"));
        }
    }

    #[test]
    fn what_cannot_be_seen_is_shown() {
        assert_eq!(
            copied("a\u{202e}b\0"),
            "a<span class=\"mark\">U+202E</span>b<span class=\"mark\">NUL</span>"
        );
        assert_eq!(copied("a b\n"), "a b\n");
        assert_eq!(changed(" \n"), "<span class=\"blank\">·</span><span class=\"blank\">⏎</span>\n");
        assert_eq!(changed("\u{301}"), "\u{25cc}\u{301}");
        assert_eq!(changed("👩‍👧"), "👩‍👧");
        assert_eq!(quoted("a\u{200b}\r\n"), "“a‹U+200B›‹CR›⏎”");
        assert_eq!(quoted(&"x".repeat(70)).chars().count(), 63);
    }
}
