//! Text and numbers in a page.

use std::fmt::Write as _;

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

/// Text that is right: what would vanish or turn the text around shows its code.
pub(super) fn kept(text: &str) -> String {
    shown(text, |out, c| if c == '\n' || c == '\t' { out.push(c) } else { push_escaped(out, c) })
}

/// Text that is marked: white space shows too.
pub(super) fn marked(text: &str) -> String {
    shown(text, |out, c| match c {
        ' ' => out.push('·'),
        '\n' => out.push_str("⏎\n"),
        '\t' => out.push_str("→\t"),
        c => push_escaped(out, c),
    })
}

fn shown(text: &str, push: impl Fn(&mut String, char)) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let vanishes = matches!(c, '\u{ad}' | '\u{200b}'..='\u{200c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}')
            || c.is_control() && c != '\n' && c != '\t';
        if vanishes {
            // Writing to a string cannot fail.
            let _ = write!(out, "<span class=\"code\">U+{:04X}</span>", u32::from(c));
        } else {
            push(&mut out, c);
        }
    }
    out
}

/// 1234567 as "1,234,567".
fn whole(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// "1 text", "2 texts".
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", whole(number), if number == 1 { "" } else { "s" })
}

/// A share as "12.3 %".
pub(super) fn percent_of(share: f64, decimals: usize) -> String {
    format!("{:.decimals$} %", 100.0 * share)
}

/// A step of 1, 2 or 5 times a power of ten, so that `most` takes three to seven of them.
pub(super) fn tick(most: f64) -> f64 {
    let power = 10f64.powf((most / 3.0).max(1e-9).log10().floor());
    [5.0, 2.0, 1.0].into_iter().map(|step| step * power).find(|step| most / step >= 3.0).unwrap_or(power)
}

/// A share on an axis whose steps are `step`, with as many decimals as these need.
pub(super) fn axis_percent(share: f64, step: f64) -> String {
    let decimals = (-(100.0 * step).log10().floor()).max(0.0) as usize;
    percent_of(share, decimals)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_in_texts_is_text() {
        assert_eq!(escaped("<b a=\"1\">&"), "&lt;b a=&quot;1&quot;&gt;&amp;");
        assert_eq!(kept("<a b>\n"), "&lt;a b&gt;\n");
        assert_eq!(marked("<a b>\n"), "&lt;a·b&gt;⏎\n");
        assert_eq!(kept("a\u{202e}b"), "a<span class=\"code\">U+202E</span>b");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            (counted(1, "text"), counted(1_234_567, "text")),
            ("1 text".into(), "1,234,567 texts".into())
        );
        assert_eq!((axis_percent(0.05, 0.05), axis_percent(0.002, 0.002)), ("5 %".into(), "0.2 %".into()));
    }
}
