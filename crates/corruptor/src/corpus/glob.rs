//! Globs over paths: `*` and `?` stay within a name, `**` crosses directories.

/// Whether `path` (names joined by `/`) is one that `pattern` means.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let (pattern, path): (Vec<char>, Vec<char>) = (pattern.chars().collect(), path.chars().collect());
    matches_from(&pattern, &path)
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
    use super::matches;

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
}
