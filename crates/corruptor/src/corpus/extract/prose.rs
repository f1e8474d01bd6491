//! What running prose is: the rule that every format's paragraphs are held to.

/// Shorter paragraphs are headings, captions, items of menus.
pub const MIN_PARAGRAPH_CHARS: usize = 80;

/// A shorter one is a signature or a list of names, whatever it ends in.
const MIN_WORDS: usize = 10;
/// Share of letters and spaces; in English prose about 0.97, where much code is quoted about 0.9.
const MIN_TEXT_SHARE: f64 = 0.87;
/// Share of characters that prose hardly has and code has everywhere.
const MAX_CODE_SHARE: f64 = 0.02;
/// Share of capitals among the letters; in headings, licences in capitals and tables of constants it is higher.
const MAX_CAPITAL_SHARE: f64 = 0.3;
/// Mean length of a word in characters; in English prose about 5 with its punctuation.
const MAX_WORD_CHARS: f64 = 9.0;

/// A paragraph on one line: white space of any kind and length is one space, invisible characters go.
pub fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        let before = tidied.len();
        tidied.push_str(if before == 0 { "" } else { " " });
        let start = tidied.len();
        tidied.extend(word.chars().filter(|c| !is_invisible(*c)));
        // A word of invisible characters only is none.
        if tidied.len() == start {
            tidied.truncate(before);
        }
    }
    tidied
}

fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{2060}' | '\u{feff}' | '\u{fffd}')
}

/// Whether a tidied paragraph is running prose: long enough, ends like a sentence, and consists of words.
pub fn is_prose(paragraph: &str) -> bool {
    let chars = paragraph.chars().count();
    if chars < MIN_PARAGRAPH_CHARS || !ends_like_a_sentence(paragraph) {
        return false;
    }
    let words = paragraph.split(' ').count();
    let count = |matches: fn(char) -> bool| paragraph.chars().filter(|c| matches(*c)).count() as f64;
    let letters = count(char::is_alphabetic);
    let text_share = (letters + count(|c| c == ' ')) / chars as f64;
    words >= MIN_WORDS
        && chars as f64 / words as f64 <= MAX_WORD_CHARS
        && text_share >= MIN_TEXT_SHARE
        && count(is_code) / chars as f64 <= MAX_CODE_SHARE
        && count(char::is_uppercase) <= MAX_CAPITAL_SHARE * letters
}

/// `.`, `!`, `?`, `…` or `:`, after which quotes and brackets may close.
fn ends_like_a_sentence(paragraph: &str) -> bool {
    let closing = ['"', '\'', '”', '’', '»', ')', ']', '*', '_'];
    paragraph.trim_end_matches(closing).ends_with(['.', '!', '?', '…', ':'])
}

fn is_code(c: char) -> bool {
    matches!(c, '{' | '}' | '<' | '>' | '|' | '\\' | '=' | '_' | ';' | '$' | '#' | '@' | '^' | '~' | '*' | '`' | '%' | '&' | '+')
        // Box drawing and other graphics.
        || matches!(c, '\u{2190}'..='\u{2bff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENTENCE: &str =
        "The wild animals of the earth, and the birds of the sky, and whatever swims the paths of the sea.";

    #[test]
    fn prose_is_kept() {
        assert!(is_prose(SENTENCE));
        assert!(is_prose(&format!("“{SENTENCE}”")) && is_prose(&format!("({SENTENCE})")));
        assert!(is_prose(&SENTENCE.replace("sea.", "sea, for example:")));
        let quoting = "The function bisect_left() returns the place where x has to be put into the list so that it stays sorted.";
        assert!(is_prose(quoting));
    }

    #[test]
    fn what_is_no_prose_is_not() {
        let repeated = |text: &str| text.repeat(200 / text.len() + 1);
        for text in [
            "Too short to be a paragraph.",
            SENTENCE.trim_end_matches('.'),
            &format!("{}.", repeated("fn main() { let x = y[0]; } ")),
            &format!("{}.", repeated("SQLITE_OK SQLITE_ERROR ")),
            &format!("{}.", repeated("WITHOUT WARRANTY OF ANY KIND ")),
            &format!("{}.", repeated("1.25 3.50 17.00 ")),
            &format!("{}.", repeated("│ cell │ other ")),
            &format!("{}.", repeated("std::collections::hash_map::OccupiedEntry ")),
        ] {
            assert!(!is_prose(&tidy(text)), "{text}");
        }
    }

    #[test]
    fn tidying_leaves_single_spaces_and_nothing_invisible() {
        assert_eq!(tidy("  a\n\t b\u{a0}\u{a0}c \u{200b} d\u{ad}e\u{feff} "), "a b c de");
        assert_eq!(tidy(" \u{200b} "), "");
        assert_eq!(tidy("a\u{200b}"), "a");
    }

    proptest::proptest! {
        #[test]
        fn tidying_twice_is_tidying_once(text in "(?s).{0,200}") {
            let once = tidy(&text);
            proptest::prop_assert_eq!(&tidy(&once), &once);
            proptest::prop_assert!(!once.contains("  ") && once == once.trim());
        }
    }
}
