//! Globs over paths: `*` and `?` stay within a name, `**` crosses directories, `{a,b}` is either.

/// Whether `path` (names joined by `/`) is included and not excluded.
pub(super) fn selects(include: &str, exclude: Option<&str>, path: &str) -> bool {
    glob_matches(include, path) && !exclude.is_some_and(|pattern| glob_matches(pattern, path))
}

/// Whether `path` (names joined by `/`) is one that `pattern` means; braces do not nest, and a `}` alone is itself.
///
/// Takes time of the product of the two lengths, however many stars and braces there are.
pub fn glob_matches(pattern: &str, path: &str) -> bool {
    let path: Vec<char> = path.chars().collect();
    // Entry n: the pattern so far can mean the first n characters of the path.
    let mut reached = vec![false; path.len() + 1];
    reached[0] = true;
    let mut rest = pattern;
    while let Some((before, (choices, after))) =
        rest.split_once('{').and_then(|(before, inner)| Some((before, inner.split_once('}')?)))
    {
        advance(before, &path, &mut reached);
        let mut either = vec![false; path.len() + 1];
        for choice in choices.split(',') {
            let mut reached = reached.clone();
            advance(choice, &path, &mut reached);
            either.iter_mut().zip(reached).for_each(|(either, reached)| *either |= reached);
        }
        (reached, rest) = (either, after);
    }
    advance(rest, &path, &mut reached);
    reached[path.len()]
}

/// Goes on from every place that is reached, by a pattern without braces.
fn advance(pattern: &str, path: &[char], reached: &mut [bool]) {
    let mut rest = pattern;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("**/") {
            let mut before = false;
            for at in 0..path.len() {
                before |= reached[at];
                reached[at + 1] |= before && path[at] == '/';
            }
            rest = after;
        } else if let Some(after) = rest.strip_prefix("**") {
            (0..path.len()).for_each(|at| reached[at + 1] |= reached[at]);
            rest = after;
        } else if c == '*' {
            (0..path.len()).for_each(|at| reached[at + 1] |= reached[at] && path[at] != '/');
            rest = &rest[1..];
        } else {
            for at in (0..path.len()).rev() {
                reached[at + 1] = reached[at] && (path[at] == c || (c == '?' && path[at] != '/'));
            }
            reached[0] = false;
            rest = &rest[c.len_utf8()..];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{glob_matches as matches, selects};

    #[test]
    fn stars_know_directories() {
        assert!(matches("data/*.txt", "data/a.txt"));
        assert!(!matches("data/*.txt", "data/a/b.txt"));
        assert!(!matches("data/*.txt", "other/data/a.txt"));
        assert!(matches("data/chapter_*.txt", "data/chapter_12.txt"));
        assert!(!matches("data/chapter_*.txt", "data/extracts.txt"));
        assert!(matches("**/*.txt", "a.txt") && matches("**/*.txt", "a/b/c.txt"));
        assert!(matches("**", "a/b") && matches("a/**", "a/b/c"));
        assert!(matches("?.txt", "é.txt") && !matches("?.txt", "/.txt"));
    }

    #[test]
    fn braces_are_alternatives() {
        assert!(matches("{a,b}/*.{txt,md}", "b/x.md") && matches("{a,b}/*.{txt,md}", "a/x.txt"));
        assert!(!matches("{a,b}/*.{txt,md}", "c/x.md") && !matches("{a,b}", "{a,b}"));
        assert!(matches("{a/**,b}", "a/c/d") && matches("x{,y}", "x") && matches("x{,y}", "xy"));
        assert!(matches("a{", "a{") && matches("a}", "a}"));
    }

    #[test]
    fn what_is_excluded_is_not_selected() {
        assert!(selects("**/*.html", None, "a/print.html"));
        assert!(!selects("**/*.html", Some("**/{print,toc}.html"), "a/print.html"));
        assert!(selects("**/*.html", Some("**/{print,toc}.html"), "a/b.html"));
    }
    #[test]
    fn many_stars_and_braces_take_no_more_than_the_product_of_the_lengths() {
        let path = "a".repeat(2_000);
        assert!(!matches(&("*a".repeat(500) + "b"), &path) && matches(&("*".repeat(500) + "a"), &path));
        assert!(!matches(&("**/".repeat(500) + "b"), &"a/".repeat(1_000)));
        assert!(matches(&"{a,aa}".repeat(500), &"a".repeat(700)) && !matches(&"{a,aa}".repeat(500), &path));
    }
}
