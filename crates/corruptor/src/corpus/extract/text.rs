//! Plain text: paragraphs between blank lines, chapters between headings.

use super::Extracted;
use super::prose::{is_prose, tidy};

/// A chapter is cut where it has this many bytes of prose, so that a book without headings still falls into documents.
const MAX_DOCUMENT_BYTES: usize = 32 << 10;

/// What a chapter's heading starts with.
const HEADINGS: &[&str] = &["appendix", "book", "canto", "chapter", "letter", "part", "section", "volume"];

/// The chapters of a text, each with its paragraphs of running prose; those without any are left out.
pub fn documents(text: &str) -> Vec<Extracted> {
    let mut documents = Vec::new();
    let mut current = Extracted::default();
    let mut bytes = 0;
    let mut end = |current: &mut Extracted, part: String| {
        let ended = std::mem::replace(current, Extracted { part, paragraphs: Vec::new() });
        if !ended.paragraphs.is_empty() {
            documents.push(ended);
        }
    };
    for block in blocks(text) {
        if is_heading(&block) {
            end(&mut current, tidy(&block));
            bytes = 0;
            continue;
        }
        let paragraph = without_markup(&tidy(&block));
        if is_prose(&paragraph) {
            if bytes >= MAX_DOCUMENT_BYTES {
                let part = current.part.clone();
                end(&mut current, part);
                bytes = 0;
            }
            bytes += paragraph.len();
            current.paragraphs.push(paragraph);
        }
    }
    end(&mut current, String::new());
    documents
}

/// The runs of lines between blank lines.
fn blocks(text: &str) -> impl Iterator<Item = String> {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        let mut block = String::new();
        for line in lines.by_ref() {
            if line.trim().is_empty() {
                if block.is_empty() {
                    continue;
                }
                break;
            }
            if !block.is_empty() {
                block.push('\n');
            }
            block.push_str(line);
        }
        (!block.is_empty()).then_some(block)
    })
}

/// A short block such as `CHAPTER IV`, `Chapter 3. Revision History` or `Letter 1`.
fn is_heading(block: &str) -> bool {
    let mut words = block.split_whitespace();
    let first = words.next().unwrap_or_default().to_ascii_lowercase();
    let number = words.next().unwrap_or_default().trim_end_matches(['.', ':']);
    let is_number = number.chars().all(|c| c.is_ascii_digit())
        || number.chars().all(|c| "IVXLCDM".contains(c))
        || number.len() == 1;
    block.len() < 100 && HEADINGS.contains(&first.as_str()) && !number.is_empty() && is_number
}

/// Takes away the marks of plain-text markup: `_emphasis_`, and braces or asterisks around a few words.
fn without_markup(paragraph: &str) -> String {
    let mut text = paragraph.to_owned();
    for (open, close) in [('{', '}'), ('_', '_'), ('*', '*')] {
        text = unwrapped(&text, open, close);
    }
    text
}

/// Longest run of characters that marks may stand around.
const MAX_MARKED_CHARS: usize = 100;

fn unwrapped(text: &str, open: char, close: char) -> String {
    let chars: Vec<char> = text.chars().collect();
    let is_word = |at: Option<&char>| at.is_some_and(|c| c.is_alphanumeric());
    let mut result = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let opens = chars[at] == open
            && !(at > 0 && is_word(chars.get(at - 1)))
            && chars.get(at + 1).is_some_and(|c| !c.is_whitespace() && *c != close);
        let within = &chars[at + 1..chars.len().min(at + 2 + MAX_MARKED_CHARS)];
        let closes = |i: &usize| {
            within[*i] == close
                && !within[i - 1].is_whitespace()
                && (open != close || !is_word(within.get(i + 1)))
        };
        if let Some(length) = (1..within.len()).find(closes).filter(|_| opens) {
            result.extend(&within[..length]);
            at += length + 2;
        } else {
            result.push(chars[at]);
            at += 1;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "Emma Woodhouse, handsome, clever, and rich, with a comfortable home\nand happy disposition, seemed to\n_unite_ some of the best blessings.";

    #[test]
    fn chapters_are_documents_and_lines_are_joined() {
        let text = format!(
            "EMMA\n\nVOLUME I\n\nCHAPTER I\n\n{LINES}\n\n  {LINES}  \r\n\r\nCHAPTER II\n\n\n{LINES}\n\nFINIS"
        );
        let found = documents(&text);
        assert_eq!(found.iter().map(|d| d.part.as_str()).collect::<Vec<_>>(), ["CHAPTER I", "CHAPTER II"]);
        assert_eq!(found[0].paragraphs.len(), 2);
        assert_eq!(found[1].paragraphs, [LINES.replace('\n', " ").replace('_', "")]);
    }

    #[test]
    fn headings_are_told_from_sentences() {
        for heading in [
            "CHAPTER XII",
            "Chapter 3. Revision History",
            "Appendix B. A Portrait",
            "LETTER the".trim_end_matches(" the"),
        ] {
            assert_eq!(is_heading(heading), heading != "LETTER", "{heading}");
        }
        assert!(!is_heading("Part of the fleet had sailed before the wind changed."));
        assert!(!is_heading("Book lovers"));
    }

    #[test]
    fn a_book_without_headings_is_cut() {
        let paragraph = LINES.replace('\n', " ");
        let text = vec![paragraph.as_str(); 1000].join("\n\n");
        let found = documents(&text);
        assert!(found.len() > 2);
        assert!(found.iter().all(|d| d.paragraphs.iter().map(String::len).sum::<usize>() < 34 << 10));
        assert_eq!(found.iter().map(|d| d.paragraphs.len()).sum::<usize>(), 1000);
    }

    #[test]
    fn markup_goes_and_what_looks_like_it_stays() {
        assert_eq!(
            without_markup("See also {snarf}, and _them_ or *this one*."),
            "See also snarf, and them or this one."
        );
        for text in ["a_b and c_d", "2 * 3 * 4", "f {", "} {", "_ _", "* one", "snake_case_name"] {
            assert_eq!(without_markup(text), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_only_prose(text in "(?s)([a-z ,._*{}\n]|.){0,600}") {
            for document in documents(&text) {
                proptest::prop_assert!(!document.paragraphs.is_empty());
                proptest::prop_assert!(document.paragraphs.iter().all(|p| is_prose(p)));
            }
        }
    }
}
