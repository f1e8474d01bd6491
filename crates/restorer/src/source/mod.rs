//! Where a model comes from, as it is named on a command line: a directory, or a repository on a hub.

#[cfg(feature = "hub")]
mod hub;
#[cfg(feature = "hub")]
mod retry;

use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::error::RestoreError;

/// What makes a hub id of any name.
const SCHEME: &str = "hf://";

/// First parts of paths that no owner on a hub has.
const NO_OWNERS: [&str; 3] = ["models", "datasets", "spaces"];

/// A model as it is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelName {
    /// A checkpoint directory.
    Directory(PathBuf),
    /// A repository on a hub that speaks the Hugging Face protocol.
    Hub {
        /// `owner/name`.
        repo: String,
        /// Branch, tag or commit; `None` is `main`.
        revision: Option<String>,
    },
}

impl ModelName {
    /// What a name stands for. A path that is there is a directory; else `owner/name` and `owner/name@revision` are a hub id,
    /// unless `owner` is a directory here; anything else is a path. `hf://owner/name` is always a hub id.
    pub fn parse(name: &str) -> Self {
        let id = match name.strip_prefix(SCHEME) {
            Some(id) => id,
            None if !Path::new(name).exists() && is_id(name) => name,
            None => return Self::Directory(name.into()),
        };
        let (repo, revision) = match id.split_once('@') {
            Some((repo, revision)) => (repo, Some(revision.to_owned())),
            None => (id, None),
        };
        Self::Hub { repo: repo.to_owned(), revision }
    }

    /// Whether [`resolve`](Self::resolve) may ask a server.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Hub { .. })
    }

    /// The directory with the model's files. Those of a hub are downloaded into the hub's cache unless they are there: its
    /// configuration, tokenizer and weights, in one file or in shards, or an adapter. `HF_ENDPOINT`, `HF_TOKEN`, `HF_HOME`,
    /// `HF_HUB_CACHE` and `HF_HUB_OFFLINE` mean what they mean to every tool of that hub.
    ///
    /// # Errors
    /// If there is no such model or it needs a token, the hub cannot be reached and the cache lacks it, it has no safetensors,
    /// or the program was built without the feature `hub`. That a directory is there is not checked.
    pub fn resolve(&self) -> Result<PathBuf, RestoreError> {
        match self {
            Self::Directory(path) => Ok(path.clone()),
            Self::Hub { repo, revision } => fetch(repo, revision.as_deref())
                .map_err(|message| RestoreError::Hub { model: self.to_string(), message }),
        }
    }
}

#[cfg(feature = "hub")]
fn fetch(repo: &str, revision: Option<&str>) -> Result<PathBuf, String> {
    let plain = |part: &str| is_plain(part) && !NO_OWNERS.contains(&part);
    match repo.split_once('/') {
        Some((owner, name)) if plain(owner) && is_plain(name) && revision != Some("") => {
            hub::fetch(owner, name, revision.unwrap_or("main"))
        }
        _ => Err("a hub id is owner/name, or owner/name@revision".to_owned()),
    }
}

#[cfg(not(feature = "hub"))]
fn fetch(_: &str, _: Option<&str>) -> Result<PathBuf, String> {
    Err("there is no such directory, and this program was built without the feature `hub`".to_owned())
}

/// Whether a name has the form of a hub id, and does not begin with a directory that is here.
fn is_id(name: &str) -> bool {
    let repo = name.split_once('@').map_or(name, |(repo, _)| repo);
    repo.split_once('/').is_some_and(|(owner, name)| {
        is_plain(owner) && is_plain(name) && !NO_OWNERS.contains(&owner) && !Path::new(owner).is_dir()
    })
}

/// Whether a part of an id has only characters that the hub allows.
fn is_plain(part: &str) -> bool {
    part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && part.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

impl From<OsString> for ModelName {
    fn from(name: OsString) -> Self {
        match name.into_string() {
            Ok(name) => Self::parse(&name),
            Err(path) => Self::Directory(path.into()),
        }
    }
}

impl FromStr for ModelName {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(Self::parse(name))
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Hub { repo, revision: None } => f.write_str(repo),
            Self::Hub { repo, revision: Some(revision) } => write!(f, "{repo}@{revision}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(repo: &str, revision: Option<&str>) -> ModelName {
        ModelName::Hub { repo: repo.into(), revision: revision.map(Into::into) }
    }

    #[test]
    fn ids_and_paths_are_told_apart() {
        assert_eq!(ModelName::parse("google/byt5-small"), hub("google/byt5-small", None));
        assert_eq!(ModelName::parse("a/b.c_d@refs/pr/1"), hub("a/b.c_d", Some("refs/pr/1")));
        assert_eq!(ModelName::parse("hf://models/run"), hub("models/run", None));
        // `src` is a directory here, and `models` no owner.
        let paths = [
            "run",
            "models/run",
            "src/nothing",
            "src",
            "./a/b",
            "/a/b",
            "../a",
            "a/b/c",
            "a/",
            "a/..",
            "~/a",
            "",
        ];
        for path in paths {
            assert_eq!(ModelName::parse(path), ModelName::Directory(path.into()), "{path}");
        }
    }

    #[test]
    fn a_directory_resolves_to_itself_and_names_are_shown_as_they_were_given() {
        for name in ["some/where/else", "a/b", "a/b@v1"] {
            assert_eq!(ModelName::parse(name).to_string(), name);
        }
        assert_eq!(ModelName::parse("./run").resolve().unwrap(), Path::new("./run"));
        for bad in ["hf://a", "hf://a/b/c", "hf://models/run", "hf://a/b@", "hf://../x"] {
            let message = ModelName::parse(bad).resolve().unwrap_err().to_string();
            assert!(message.contains("owner/name") || message.contains("feature `hub`"), "{message}");
        }
    }
}
