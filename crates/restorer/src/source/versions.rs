//! A directory with a checkpoint directory for each version, and names for them in a file: `aliases.toml`.
//!
//! A file rather than symbolic links: it is replaced at once, and git, rsync and object stores carry it as it is.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::error::SourceError;
use super::is_plain;

/// The file of aliases.
const ALIASES: &str = "aliases.toml";

/// The version that an alias or a version's own name stands for.
pub(super) fn find(directory: &Path, wanted: &str) -> Result<String, SourceError> {
    let aliases = aliases(directory)?;
    let is_version = directory.join(wanted).is_dir();
    let known = || known(directory, &aliases);
    let wrong = |message| SourceError::Aliases { path: directory.join(ALIASES), message };
    match aliases.get(wanted) {
        Some(_) if is_version => {
            Err(wrong(format!("`{wanted}` is an alias and a version too; name the alias otherwise")))
        }
        Some(version) if !is_plain(version) => {
            Err(wrong(format!("`{wanted}`: \"{}\" is no name of a version", version.escape_debug())))
        }
        Some(version) if directory.join(version).is_dir() => Ok(version.clone()),
        Some(version) => Err(SourceError::MissingVersion {
            alias: wanted.to_owned(),
            path: directory.join(version),
            known: known(),
        }),
        None if is_version => Ok(wanted.to_owned()),
        None => Err(SourceError::Unknown {
            place: directory.display().to_string(),
            wanted: format!("alias or version `{wanted}`"),
            known: known(),
        }),
    }
}

fn aliases(directory: &Path) -> Result<BTreeMap<String, String>, SourceError> {
    let path = directory.join(ALIASES);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(SourceError::io(&path)(error)),
    };
    toml::from_str(&text).map_err(|error| SourceError::Aliases {
        path,
        message: error.to_string().trim_end().replace('\n', " "),
    })
}

/// What there is, in words.
fn known(directory: &Path, aliases: &BTreeMap<String, String>) -> String {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut versions: Vec<_> = entries
        .filter(|entry| entry.path().is_dir())
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| is_plain(name))
        .collect();
    versions.sort();
    let aliases: Vec<_> = aliases.iter().map(|(alias, version)| format!("{alias} = {version}")).collect();
    format!("versions: {}; aliases in {ALIASES}: {}", or_none(&versions), or_none(&aliases))
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(aliases: &str) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        for version in ["1", "2", "2026-11-01"] {
            fs::create_dir(home.path().join(version)).unwrap();
        }
        fs::write(home.path().join(ALIASES), aliases).unwrap();
        home
    }

    #[test]
    fn aliases_and_versions_stand_for_versions() {
        let home = home("production = \"2\"\n# tried\ncandidate = \"2026-11-01\"\n");
        let found = |wanted| find(home.path(), wanted).unwrap();
        assert_eq!(
            [found("production"), found("candidate"), found("1")],
            ["2".to_owned(), "2026-11-01".to_owned(), "1".to_owned()]
        );
        fs::remove_file(home.path().join(ALIASES)).unwrap();
        assert_eq!(find(home.path(), "2").unwrap(), "2");
    }

    #[test]
    fn what_is_not_there_is_told_with_what_is() {
        let home = home("production = \"2\"\ngone = \"7\"\nout = \"../2\"\n1 = \"2\"\n");
        let message = |wanted| find(home.path(), wanted).unwrap_err().to_string();
        for (wanted, words) in [
            ("nobody", &["`nobody`", "versions: 1, 2, 2026-11-01", "production = 2"][..]),
            ("gone", &["`gone`", "7", "versions: 1, 2"]),
            ("out", &["aliases.toml", "../2"]),
            ("1", &["aliases.toml", "an alias and a version"]),
        ] {
            for word in words {
                assert!(message(wanted).contains(word), "{} lacks {word}", message(wanted));
            }
        }
        fs::write(home.path().join(ALIASES), "production = 2\n").unwrap();
        assert!(message("production").contains("ALIAS = \"VERSION\""), "{}", message("production"));
    }
}
