//! HTML pages: the text of the blocks of their main part.

use ego_tree::iter::Edge;
use scraper::node::Element;
use scraper::{Html, Node, Selector};

use super::prose::{is_prose, tidy};

/// Where the page itself stands; the first that a page has is taken.
const MAIN: &[&str] = &["main", "[role=main]", "article", "#page-content", "#yui-main", "body"];

/// Elements without prose, whatever stands in them.
const SKIPPED: &[&str] = &[
    "aside", "audio", "button", "canvas", "dt", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5",
    "h6", "head", "header", "iframe", "math", "nav", "noscript", "object", "pre", "script", "select",
    "style", "svg", "table",
];

/// Classes and ids of menus, headings, code and footnotes in the manuals of several generators.
const SKIPPED_CLASSES: &[&str] = &[
    "admonition-title",
    "bottomlang",
    "breadcrumbs",
    "code-header",
    "comments_section",
    "copyright",
    "docblock-short",
    "example-wrap",
    "footer",
    "footnote",
    "footnote-reference",
    "headerlink",
    "highlight",
    "item-info",
    "language-rust",
    "linenos",
    "literal-block",
    "literallayout",
    "localtoc",
    "math",
    "menu",
    "nav",
    "nav-wrapper",
    "navfooter",
    "navheader",
    "nosearch",
    "notable-traits",
    "out-of-band",
    "programlisting",
    "quickview",
    "related",
    "relnotes",
    "screen",
    "sidebar",
    "sphinxsidebar",
    "synopsis",
    "toc",
    "toplang",
    "tooltip",
];

/// Elements that stand within a line: text goes on through them. A line break ends it: mostly it sets off a heading.
const INLINE: &[&str] = &[
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data", "del", "dfn", "em", "font",
    "i", "img", "ins", "kbd", "label", "mark", "nobr", "q", "ruby", "s", "samp", "small", "span", "strike",
    "strong", "sub", "sup", "time", "tt", "u", "var", "wbr",
];

/// Elements whose text is code.
const CODE: &[&str] = &["code", "kbd", "samp", "tt", "var"];

/// Largest share of a paragraph that may be code.
const MAX_CODE_SHARE: f64 = 0.3;

/// The paragraphs of running prose on a page, in their order. Any text is a page; what is broken is read as browsers do.
pub fn paragraphs(html: &str) -> Vec<String> {
    let page = Html::parse_document(html);
    let main = MAIN.iter().find_map(|selector| {
        let selector = Selector::parse(selector).ok()?;
        page.select(&selector).next()
    });
    let Some(main) = main else { return Vec::new() };
    let mut blocks = Blocks::default();
    // The element whose content is passed over, and how many elements of code are open.
    let (mut skipped, mut code) = (None, 0_usize);
    for edge in main.traverse() {
        match edge {
            Edge::Open(node) if skipped.is_none() => match node.value() {
                Node::Text(text) => blocks.push(text, code > 0),
                Node::Element(element) => {
                    if node.id() != main.id() && is_skipped(element) {
                        skipped = Some(node.id());
                        // A heading or a listing ends a paragraph; a footnote mark does not.
                        if !INLINE.contains(&element.name()) {
                            blocks.end();
                        }
                    } else if !INLINE.contains(&element.name()) {
                        blocks.end();
                    }
                    code += usize::from(skipped.is_none() && CODE.contains(&element.name()));
                }
                _ => {}
            },
            Edge::Close(node) if skipped == Some(node.id()) => skipped = None,
            Edge::Close(node) if skipped.is_none() => {
                if let Node::Element(element) = node.value() {
                    code -= usize::from(CODE.contains(&element.name()));
                    if !INLINE.contains(&element.name()) {
                        blocks.end();
                    }
                }
            }
            _ => {}
        }
    }
    blocks.end();
    blocks.paragraphs
}

fn is_skipped(element: &Element) -> bool {
    let listed = |name: &str| SKIPPED_CLASSES.contains(&name);
    SKIPPED.contains(&element.name())
        || element.classes().any(listed)
        || element.id().is_some_and(listed)
        || element.attr("role").is_some_and(|role| matches!(role, "navigation" | "search" | "doc-noteref"))
        || element.attr("aria-hidden") == Some("true")
}

/// The text between two ends of blocks.
#[derive(Default)]
struct Blocks {
    text: String,
    code_bytes: usize,
    paragraphs: Vec<String>,
}

impl Blocks {
    fn push(&mut self, text: &str, is_code: bool) {
        self.text.push_str(text);
        self.code_bytes += if is_code { text.len() } else { 0 };
    }

    fn end(&mut self) {
        let code_share = self.code_bytes as f64 / self.text.len().max(1) as f64;
        let paragraph = tidy(&self.text);
        if code_share <= MAX_CODE_SHARE && is_prose(&paragraph) {
            self.paragraphs.push(paragraph);
        }
        self.text.clear();
        self.code_bytes = 0;
    }
}
