//! Where downloaded versions are kept: a directory for each.

use std::env;
use std::path::PathBuf;

use crate::source::error::SourceError;

/// Longest part of a path that a name becomes, in bytes.
const NAME_BYTES: usize = 64;

/// The directory of a version: `SERVER/NAME/VERSION-DIGEST` below the cache's `models`, the digest that of its identity.
pub(super) fn directory(
    server: &str,
    name: &str,
    version: &str,
    identity: &str,
) -> Result<PathBuf, SourceError> {
    let host = server.split_once("://").map_or(server, |(_, host)| host);
    let digest = blake3::hash(identity.as_bytes()).to_hex();
    let root = root(|name| env::var_os(name).map(PathBuf::from)).ok_or(SourceError::NoCache)?;
    let kept = root.join("models").join(plain(host)).join(plain(name));
    Ok(kept.join(format!("{}-{}", plain(version), &digest[..12])))
}

/// `REVERTANT_CACHE`, else `revertant` in the user's directory of caches.
fn root(variable: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let variable = |name| variable(name).filter(|path| !path.as_os_str().is_empty());
    variable("REVERTANT_CACHE").or_else(|| {
        let caches = variable("XDG_CACHE_HOME").or_else(|| variable("HOME").map(|home| home.join(".cache")));
        caches.map(|caches| caches.join("revertant"))
    })
}

/// A name as a part of a path; the digest keeps apart what becomes the same.
fn plain(name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let plain: String = name.chars().map(|c| if fits(c) { c } else { '_' }).take(NAME_BYTES).collect();
    if plain.is_empty() || plain.starts_with('.') { format!("_{plain}") } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_parts_of_paths_that_lead_nowhere_else() {
        for (name, expected) in
            [("a b/..", "a_b_.."), ("..", "_.."), ("", "_"), ("127.0.0.1:5000/ml", "127.0.0.1_5000_ml")]
        {
            assert_eq!(plain(name), expected);
        }
        assert_eq!(plain(&"ü".repeat(99)).len(), NAME_BYTES);
    }

    #[test]
    fn the_cache_is_where_the_environment_says() {
        let found = |set: &[(&str, &str)]| {
            root(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| PathBuf::from(value)))
        };
        assert_eq!(found(&[("REVERTANT_CACHE", "/c"), ("HOME", "/h")]), Some("/c".into()));
        assert_eq!(
            found(&[("REVERTANT_CACHE", ""), ("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]),
            Some("/x/revertant".into())
        );
        assert_eq!(found(&[("HOME", "/h")]), Some("/h/.cache/revertant".into()));
        assert_eq!(found(&[]), None);
    }
}
