//! SWORD modules as `mod2imp` prints them: `$$$Book 1:2`, then the verse or its commentary in OSIS markup.

use super::Extracted;
use super::prose::{is_prose, tidy};

/// OSIS elements that are no running text: notes, headings, tables, and marks of who speaks.
const SKIPPED: &[&str] = &["catchWord", "figure", "index", "note", "rdg", "speaker", "table", "title"];

/// OSIS elements that end a paragraph where they start and where they end.
const BLOCKS: &[&str] = &["div", "item", "lg", "list", "p", "chapter", "closer", "salute"];

/// What the `.conf` file of a module says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Module {
    /// The name between the brackets.
    pub name: String,
    /// `DataPath`: the module's folder, relative to the SWORD directory.
    pub data_path: String,
    /// `ModDrv`: the driver that reads it.
    pub driver: String,
}

/// Reads a module's `.conf` file; `None` where name, `DataPath` or `ModDrv` is missing.
pub fn module(conf: &str) -> Option<Module> {
    let value = |key: &str| {
        let assigned = |line: &str| {
            Some(line.trim().strip_prefix(key)?.trim_start().strip_prefix('=')?.trim().to_owned())
        };
        conf.lines().find_map(assigned)
    };
    let bracketed = |line: &str| Some(line.trim().strip_prefix('[')?.strip_suffix(']')?.to_owned());
    Some(Module {
        name: conf.lines().find_map(bracketed).filter(|name| !name.is_empty())?,
        data_path: value("DataPath")?,
        driver: value("ModDrv")?,
    })
}

/// The driver that fits an index of verses (`.bzv`, `.czv`, …) of so many bytes.
///
/// Entries have 10 bytes, and 12 for the drivers whose names end in 4. Some modules name the wrong one in their `.conf`; then
/// `mod2imp` reads shifted offsets and prints megabytes of wrong text. Both modes have one entry a verse of the same canon, so
/// a size that only the other length divides tells.
pub fn fitting_driver(driver: &str, index_bytes: u64) -> String {
    let is_of = |entry_bytes| index_bytes.is_multiple_of(entry_bytes);
    match driver.strip_suffix('4') {
        Some(short) if is_of(10) && !is_of(12) => short.to_owned(),
        None if matches!(driver, "zText" | "zCom") && is_of(12) && !is_of(10) => {
            format!("{driver}4")
        }
        _ => driver.to_owned(),
    }
}

/// The chapters in what `mod2imp` prints, each with its paragraphs of running prose; those without any are left out.
///
/// A line that starts with `$$$` begins an entry; what stands before the first one is passed over.
pub fn documents(imp: &str) -> Vec<Extracted> {
    let mut documents = Vec::new();
    let mut chapter = Chapter::default();
    let mut started = false;
    for line in imp.lines() {
        if let Some(key) = line.strip_prefix("$$$") {
            started = true;
            let part = chapter_of(key);
            if part != chapter.part {
                documents.extend(std::mem::take(&mut chapter).finish());
                part.clone_into(&mut chapter.part);
            }
            // Verses follow each other within a paragraph.
            chapter.text.push(' ');
        } else if started {
            chapter.push(line);
            chapter.text.push(' ');
        }
    }
    documents.extend(chapter.finish());
    documents
}

/// `Genesis 1` of `Genesis 1:2`; a key without a verse is its own part.
fn chapter_of(key: &str) -> &str {
    let key = key.trim();
    match key.rsplit_once(':') {
        Some((chapter, verse)) if verse.chars().all(|c| c.is_ascii_digit()) => chapter,
        _ => key,
    }
}

/// One chapter while it is read.
#[derive(Default)]
struct Chapter {
    part: String,
    text: String,
    /// The element that is passed over, and how often it is open.
    skipped: Option<(String, usize)>,
    paragraphs: Vec<String>,
}

impl Chapter {
    /// Reads the markup of a line; an element that is passed over may go on over lines.
    fn push(&mut self, mut markup: &str) {
        while let Some(open) = markup.find('<') {
            self.push_text(&markup[..open]);
            let rest = &markup[open + 1..];
            if !rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') {
                // A sign and no tag.
                self.push_text("<");
                markup = rest;
            } else if let Some(close) = rest.find('>') {
                self.tag(&rest[..close]);
                markup = &rest[close + 1..];
            } else {
                // Without an end there is no tag in the rest of the line.
                markup = &markup[open..];
                break;
            }
        }
        self.push_text(markup);
    }

    fn push_text(&mut self, text: &str) {
        if self.skipped.is_some() {
            return;
        }
        let mut rest = text;
        while let Some(at) = rest.find('&') {
            self.text.push_str(&rest[..at]);
            rest = &rest[at..];
            let named = [("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&apos;", '\''), ("&amp;", '&')];
            let (entity, c) =
                named.into_iter().find(|(entity, _)| rest.starts_with(entity)).unwrap_or(("&", '&'));
            self.text.push(c);
            rest = &rest[entity.len()..];
        }
        self.text.push_str(rest);
    }

    /// Reads the inside of a tag. Milestones (`sID`, `eID`) stand for the start and the end of what they name.
    fn tag(&mut self, tag: &str) {
        let is_empty = tag.ends_with('/');
        let (is_end, tag) = tag.strip_prefix('/').map_or((false, tag), |tag| (true, tag));
        let name = tag.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
        if let Some((skipped, depth)) = &mut self.skipped {
            if skipped == name && !is_empty {
                *depth = if is_end { *depth - 1 } else { *depth + 1 };
            }
            if *depth == 0 {
                self.skipped = None;
            }
        } else if SKIPPED.contains(&name) && !is_empty && !is_end {
            self.skipped = Some((name.to_owned(), 1));
        } else if BLOCKS.contains(&name) && !tag.contains("x-milestone") {
            self.end();
        } else if matches!(name, "l" | "lb" | "milestone") {
            self.text.push(' ');
        }
    }

    fn end(&mut self) {
        // Some comments start with dashes that stood after a heading.
        let paragraph = without_verse(&tidy(&self.text)).trim_start_matches(['-', '—', ' ']).to_owned();
        if is_prose(&paragraph) {
            self.paragraphs.push(paragraph);
        }
        self.text.clear();
    }

    fn finish(mut self) -> Option<Extracted> {
        self.end();
        let Self { part, paragraphs, .. } = self;
        (!paragraphs.is_empty()).then_some(Extracted { part, paragraphs })
    }
}

/// A comment without the `Verse 3.`, `Verses 3-5.` or `Ver. 3.` before it.
fn without_verse(paragraph: &str) -> &str {
    let rest = ["Verses ", "Verse ", "Ver. "].iter().find_map(|word| paragraph.strip_prefix(word));
    let is_reference =
        |c: char| c.is_ascii_digit() || matches!(c, '-' | '–' | ',' | '.' | ' ' | '(' | ')' | ':' | ';');
    rest.map_or(paragraph, |rest| {
        let after = rest.trim_start_matches(is_reference);
        // Without a number it is a sentence that starts with the word.
        if rest.starts_with(|c: char| c.is_ascii_digit()) {
            after.trim_start_matches(['—', ' '])
        } else {
            paragraph
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "In the beginning, God created the heavens and the earth.";
    const B: &str = "The earth was formless and empty, and darkness was on the surface of the deep.";

    #[test]
    fn verses_join_into_paragraphs_of_chapters() {
        let imp = format!(
            "noise\n$$$[ Module Heading ]\n\n$$$Genesis 1:0\n<chapter osisID=\"Gen.1\" sID=\"Gen.1\"/> <title type=\"main\">Genesis</title>\n\
             $$$Genesis 1:1\n<div sID=\"g1\" type=\"x-p\"/><w lemma=\"x\">In</w>{}<note placement=\"foot\">1:1 God in Hebrew</note>\n\
             $$$Genesis 1:2\n<div type=\"x-milestone\" subType=\"x-preverse\" sID=\"pv1\"/>{B}<div eID=\"g1\" type=\"x-p\"/>\n\
             $$$Genesis 2:1\n<div sID=\"g2\" type=\"x-p\"/><l level=\"1\" sID=\"a\"/>{B}<l eID=\"a\" level=\"1\"/><l level=\"2\"/>Tom &amp; I went.<div eID=\"g2\" type=\"x-p\"/>\n",
            &A[2..]
        );
        let found = documents(&imp);
        assert_eq!(found.iter().map(|d| d.part.as_str()).collect::<Vec<_>>(), ["Genesis 1", "Genesis 2"]);
        assert_eq!(found[0].paragraphs, [format!("{A} {B}")]);
        assert_eq!(found[1].paragraphs, [format!("{B} Tom & I went.")]);
    }

    #[test]
    fn broken_markup_is_read_to_its_end() {
        for imp in
            ["$$$", "$$$Genesis 1:1\n<note>never closed", "$$$a\n<", "$$$a\n</note>x<w", "$$$a:b:1\n</", ""]
        {
            assert_eq!(documents(imp), [], "{imp}");
        }
        let unclosed = format!("$$$Genesis 1:1\n<note>lost\n$$$Genesis 2:1\n{A} {B}\n");
        assert_eq!(documents(&unclosed)[0].paragraphs, [format!("{A} {B}")], "only the chapter is lost");
    }

    #[test]
    fn entities_and_stray_signs_are_text() {
        let mut chapter = Chapter::default();
        chapter.push("a &lt;b&gt; &amp;amp; &x; < c <1> <w>d</w>");
        assert_eq!(chapter.text, "a <b> &amp; &x; < c <1> d");
    }

    #[test]
    fn verse_numbers_go() {
        assert_eq!(without_verse("Verses 3-5. The poor."), "The poor.");
        assert_eq!(without_verse("Verse 1. The poor."), "The poor.");
        assert_eq!(without_verse("Verse is not prose."), "Verse is not prose.");
    }

    #[test]
    fn a_conf_is_read_and_its_driver_held_to_the_index() {
        let conf = "# comment\n[MHCC]\nDataPath=./modules/x/\nModDrv = zCom4\nAbout=[x]\n";
        let found = module(conf).unwrap();
        assert_eq!(
            (found.name.as_str(), found.data_path.as_str(), found.driver.as_str()),
            ("MHCC", "./modules/x/", "zCom4")
        );
        assert_eq!(module("[x]\nModDrv=zCom"), None);
        assert_eq!(fitting_driver("zCom4", 241_150), "zCom");
        assert_eq!(fitting_driver("zCom4", 289_380), "zCom4", "divided by both");
        assert_eq!(fitting_driver("zCom", 98_952), "zCom4");
        assert_eq!(fitting_driver("RawText", 7), "RawText");
    }

    proptest::proptest! {
        #[test]
        fn any_text_gives_only_prose(imp in "(?s)(\\$\\$\\$[A-Z]{1,3} 1:[0-9]\n|</?(note|w|div|l|title)/?>|[a-z ,.<>&\n]|.){0,300}") {
            for document in documents(&imp) {
                proptest::prop_assert!(document.paragraphs.iter().all(|p| is_prose(p)));
            }
        }
    }
}
