//! Globs over paths: `*` and `?` stay within a name, `**` crosses directories, `{a,b}` is either.

/// Whether `path` (names joined by `/`) is included and not excluded.
pub(super) fn selects(include: &str, exclude: Option<&str>, path: &str) -> bool {
    matches(include, path) && !exclude.is_some_and(|pattern| matches(pattern, path))
}

/// Whether `path` is one that `pattern` means.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let path: Vec<char> = path.chars().collect();
    alternatives(pattern).iter().any(|pattern| {
        let pattern: Vec<char> = pattern.chars().collect();
        matches_from(&pattern, &path)
    })
}

/// The patterns without braces that a pattern stands for; braces do not nest.
fn alternatives(pattern: &str) -> Vec<String> {
    let braces = pattern.find('{').and_then(|open| {
        let close = open + pattern[open..].find('}')?;
        Some((&pattern[..open], &pattern[open + 1..close], &pattern[close + 1..]))
    });
    let Some((before, inner, after)) = braces else { return vec![pattern.to_owned()] };
    let rest = alternatives(after);
    let tails = |choice: &str| rest.iter().map(|tail| format!("{before}{choice}{tail}")).collect::<Vec<_>>();
    inner.split(',').flat_map(tails).collect()
}

fn matches_from(pattern: &[char], path: &[char]) -> bool {
    let tails = |until: usize, rest: &[char]| (0..=until).any(|at| matches_from(rest, &path[at..]));
    match pattern {
        [] => path.is_empty(),
        ['*', '*', '/', rest @ ..] => {
            matches_from(rest, path)
                || path.iter().enumerate().any(|(at, c)| *c == '/' && matches_from(rest, &path[at + 1..]))
        }
        ['*', '*', rest @ ..] => tails(path.len(), rest),
        ['*', rest @ ..] => tails(path.iter().position(|c| *c == '/').unwrap_or(path.len()), rest),
        ['?', rest @ ..] => path.first().is_some_and(|c| *c != '/') && matches_from(rest, &path[1..]),
        [literal, rest @ ..] => path.first() == Some(literal) && matches_from(rest, &path[1..]),
    }
}

#[cfg(test)]
mod tests {
    use super::{matches, selects};

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
}
