//! Prose out of pages and texts, and its way into a corpus.

use std::fs;
use std::path::Path;

use corruptor::IoError;
use corruptor::corpus::extract::{html, is_prose};
use corruptor::corpus::{CollectOptions, CollectSummary, collect};
use corruptor::documents::{DocumentOptions, SkipReason};
use corruptor::progress::unobserved;
use proptest::prelude::*;
use tempfile::tempdir;

use crate::helpers::read;

const A: &str =
    "The harpooneer sat in the bow of the boat and waited for the whale, which did not come that day.";
const B: &str =
    "A table is a set of rows, and every row has the same columns, whose names are given when it is made.";
const C: &str =
    "The people of the town came to the harbour in the evening and looked for the ships on the horizon.";

fn collected(recipe: &str, out: &Path) -> Result<CollectSummary, IoError> {
    let settings = corruptor::Recipe::parse(recipe, "recipe.toml").unwrap().table("corpus").unwrap();
    collect(&settings, &CollectOptions::new(out), &mut unobserved)
}

fn texts(path: &Path) -> Vec<String> {
    read(&[path.to_path_buf()], &DocumentOptions::default()).unwrap().0.into_iter().map(|d| d.text).collect()
}

#[test]
fn pages_give_their_prose_and_nothing_else() {
    let page = |body: &str| html::paragraphs(&format!("<!doctype html><title>{A}</title><body>{body}"));
    assert_eq!(page(&format!("<p>{A}</p><p>Short.</p><div>{B}</div>")), [A, B]);
    // Menus, headings, code, tables, footers, scripts; what is in a main part leaves the rest out.
    for skipped in ["nav", "h2", "pre", "footer", "script", "style", "aside", "form", "figure", "dt"] {
        assert_eq!(page(&format!("<{skipped}>{B}</{skipped}><p>{A}</p>")), [A], "{skipped}");
    }
    assert_eq!(page(&format!("<table><tr><td><p>{B}</p></td></tr></table><p>{A}</p>")), [A]);
    for class in ["navheader", "toc", "highlight", "sphinxsidebar", "x related y"] {
        assert_eq!(page(&format!("<div class='{class}'><p>{B}</p></div><p>{A}</p>")), [A], "{class}");
    }
    assert_eq!(page(&format!("<p>{B}</p><main><p>{A}</p></main><p>{C}</p>")), [A]);
    // Text goes on through inline elements and entities; blocks and line breaks end it.
    let inline = A.replace("whale", "<b>wh</b><i>ale</i>").replace(" and ", "\n&nbsp;<em>and</em> ");
    assert_eq!(page(&format!("<ul><li>{inline}<ul><li>{B}<br>{C}</ul></ul>")), [A, B, C]);
    assert_eq!(
        page(&format!(
            "<p>{A}<a class='headerlink' href='#'>¶</a><p>{B}<sup class='footnote-reference'>1</sup>"
        )),
        [A, B]
    );
    // A paragraph that is mostly code is none; one that quotes some stays.
    assert_eq!(
        page(&format!("<p><code>{A}</code></p><p>{}</p>", B.replace("rows", "<code>rows</code>"))),
        [B]
    );
}

#[test]
fn broken_pages_are_read_as_browsers_do() {
    assert_eq!(html::paragraphs(&format!("<p>{A}<p>{B}</div></b>")), [A, B]);
    assert_eq!(html::paragraphs(&format!("</html></p><td>{A}<li>{B}<script>{C}")), [A, B]);
    assert_eq!(html::paragraphs(&format!("{}<p>{A}", "<div>".repeat(5000))), [A]);
    for nothing in ["", "<", "<!--", "<p", "&#xffffffff;", "\0", "<svg><p>"] {
        assert!(html::paragraphs(nothing).is_empty(), "{nothing}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_page_and_gives_only_prose(page in "(?s)(</?(p|div|pre|code|table|td|li|main|nav|a|b|svg|script)( class=\"toc\")?>|&[a-z]{1,4};|[a-zA-Z ,.]|.){0,400}") {
        prop_assert!(html::paragraphs(&page).iter().all(|paragraph| is_prose(paragraph)));
    }
}

#[test]
fn paragraphs_that_repeat_are_written_once() {
    let home = tempdir().unwrap();
    let root = home.path();
    for (name, body) in [
        ("one/a.html", format!("<p>{A}<p>{B}")),
        ("one/b.html", format!("<p>{B}<p>{C}<p>{C}")),
        ("one/c.html", format!("<p>{A}")),
        ("one/d.css", "p {}".to_owned()),
        ("one/e.html", "<p>No prose.".to_owned()),
        ("two/a.txt", format!("{A}\n\n{}\n\n{C} {B}", B.replace(" and ", "\nand "))),
    ] {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), body).unwrap();
    }
    fs::write(root.join("one/f.html"), b"<p>\xff").unwrap();
    let source = |name: &str, extract: &str| {
        let path = root.join(name);
        let path = path.display();
        format!(
            "[[corpus.sources]]\nkind = 'path'\nname = '{name}'\npath = '{path}'\nextract = '{extract}'\nlicence = 'MIT'\n"
        )
    };
    let out = root.join("out");
    let summary = collected(&(source("one", "html") + &source("two", "text")), &out).unwrap();
    assert_eq!(texts(&out.join("one.parquet")), [format!("{A}\n\n{B}"), C.to_owned()]);
    assert_eq!(texts(&out.join("two.parquet")), [format!("{C} {B}")], "also between sources");
    let one = &summary.sources[0];
    assert_eq!((one.files, one.documents, one.paragraphs, one.duplicate_paragraphs), (5, 2, 3, 3));
    assert_eq!(one.text_bytes, (A.len() + B.len() + C.len() + 2) as u64);
    assert_eq!(summary.skips.count(SkipReason::InvalidUtf8), 1);
    // What holds no prose at all is an error that names the source.
    fs::remove_dir_all(root.join("one")).unwrap();
    fs::create_dir(root.join("one")).unwrap();
    fs::write(root.join("one/a.html"), "<p>Nothing.").unwrap();
    let error = collected(&source("one", "html"), &root.join("other")).unwrap_err().to_string();
    assert!(error.contains("source one: no running prose"), "{error}");
}

#[test]
fn a_group_keeps_to_its_share() {
    let home = tempdir().unwrap();
    let root = home.path();
    let sentence = |i: usize| {
        format!(
            "Sentence number {i} of this text is long enough to be a paragraph of running prose, as it should be."
        )
    };
    for (name, from, to) in [("plain", 0, 400), ("verse", 400, 700), ("comment", 700, 1000)] {
        fs::create_dir(root.join(name)).unwrap();
        for i in from..to {
            fs::write(root.join(name).join(format!("{i}.txt")), sentence(i)).unwrap();
        }
    }
    let source = |name: &str, keys: &str| {
        let path = root.join(name);
        format!(
            "[[corpus.sources]]\nkind = 'path'\nname = '{name}'\npath = '{}'\nlicence = 'MIT'\nextract = 'text'\n{keys}",
            path.display()
        )
    };
    let group = "group = 'scripture'\n";
    let recipe = format!(
        "[corpus.max_share]\nscripture = 0.2\n{}{}{}",
        source("verse", group),
        source("plain", ""),
        source("comment", group)
    );
    let (out, again) = (root.join("out"), root.join("again"));
    let summary = collected(&recipe, &out).unwrap();
    let bytes: Vec<u64> = summary.sources.iter().map(|source| source.text_bytes).collect();
    let share = (bytes[0] + bytes[2]) as f64 / bytes.iter().sum::<u64>() as f64;
    assert!(share <= 0.2 && share > 0.195, "{share}");
    assert!(bytes[0] > 0 && bytes[2] > 0 && summary.sources[1].documents == 400);
    assert_eq!(summary.sources[0].documents + summary.sources[0].documents_over_share, 300);
    let verses = texts(&out.join("verse.parquet"));
    assert_eq!(verses.len() as u64, summary.sources[0].documents);
    assert!(
        verses.is_sorted_by_key(|text| text[16..].split(' ').next().unwrap().parse::<u32>().unwrap()),
        "in their order"
    );
    collected(&recipe, &again).unwrap();
    assert_eq!(crate::helpers::tree(&out), crate::helpers::tree(&again));
    for (recipe, part) in [
        (source("verse", group), "no share for the group"),
        (format!("[corpus.max_share]\nother = 0.2\n{}", source("plain", "")), "no source has group"),
        (format!("[corpus.max_share]\nscripture = 1.2\n{}", source("verse", group)), "not between 0 and 1"),
    ] {
        let error = collected(&recipe, &root.join("none")).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}
