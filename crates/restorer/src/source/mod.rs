//! Where a model comes from, as it is named on a command line: a directory, a repository on a hub, or a registry.
//!
//! # Layout
//! - [`ModelName`] is the name. [`ModelName::version`] says what it stands for now, cheaply; [`Version::fetch`] makes that a
//!   directory. [`ModelName::resolve`] is both.
//! - `hub` takes models from a hub, `mlflow` from an `MLflow` registry, `versions` from a directory of versions.
//! - `state` tells whether a checkpoint was replaced in its directory, `retry` tries again what may pass.

mod error;
#[cfg(feature = "hub")]
mod hub;
#[cfg(feature = "mlflow")]
mod mlflow;
#[cfg(any(feature = "hub", feature = "mlflow"))]
mod retry;
mod state;
mod version;
mod versions;

use std::convert::Infallible;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use self::error::SourceError;
pub use self::version::Version;
use crate::error::RestoreError;

/// What makes a hub id of any name.
const SCHEME: &str = "hf://";

/// What makes a registry's model of any name.
const REGISTRY: &str = "models:/";

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
    /// A registered model: `models:/name@alias` or `models:/name/version`, as `MLflow` has it.
    Registered {
        /// The model.
        name: String,
        /// Which of its versions.
        version: Wanted,
    },
    /// A checkpoint of a directory that has one for each version: `directory@version`, or `directory@alias`, where the directory's
    /// `aliases.toml` says what the alias stands for.
    Versions {
        /// The directory of all versions.
        directory: PathBuf,
        /// A version, which is a directory there, or an alias.
        version: String,
    },
}

/// How a version of a registered model is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// By an alias, which may move.
    Alias(String),
    /// By its number.
    Version(String),
}

impl ModelName {
    /// What a name stands for. A path that is there is a directory, and what follows it after `@` one of its versions; else
    /// `owner/name` and `owner/name@revision` are a hub id, unless `owner` is a directory here; anything else is a path.
    /// `hf://owner/name` is always a hub id, `models:/name@alias` and `models:/name/version` always a registry's.
    pub fn parse(name: &str) -> Self {
        if let Some(registered) = name.strip_prefix(REGISTRY) {
            return Self::registered(registered);
        }
        let id = match name.strip_prefix(SCHEME) {
            Some(id) => id,
            None if Path::new(name).exists() => return Self::Directory(name.into()),
            None => match name.rsplit_once('@') {
                Some((directory, version)) if is_plain(version) && Path::new(directory).is_dir() => {
                    return Self::Versions { directory: directory.into(), version: version.to_owned() };
                }
                _ if is_id(name) => name,
                _ => return Self::Directory(name.into()),
            },
        };
        let (repo, revision) = match id.split_once('@') {
            Some((repo, revision)) => (repo, Some(revision.to_owned())),
            None => (id, None),
        };
        Self::Hub { repo: repo.to_owned(), revision }
    }

    /// What follows `models:/`. What has neither form is kept, and refused when it is asked for.
    fn registered(text: &str) -> Self {
        let (name, version) = match (text.split_once('/'), text.rsplit_once('@')) {
            (Some((name, version)), _) => (name, Wanted::Version(version.to_owned())),
            (None, Some((name, alias))) => (name, Wanted::Alias(alias.to_owned())),
            (None, None) => (text, Wanted::Version(String::new())),
        };
        Self::Registered { name: name.to_owned(), version }
    }

    /// Whether [`resolve`](Self::resolve) may ask a server, and may give a directory of a cache, where nothing is to be changed.
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Hub { .. } | Self::Registered { .. })
    }

    /// What the name stands for now, without its files: of a registry one small request, of a directory of versions one small
    /// file, of a checkpoint directory the times and lengths of its files. It may be asked often; two answers are equal exactly if
    /// nothing has changed between. Of a hub nothing is asked, and the answer is always the same: its models are taken once.
    ///
    /// Blocks, as [`Version::fetch`] does: in a program with an asynchronous runtime both belong on a thread for what blocks.
    ///
    /// # Errors
    /// If the registry or the directory has no such model, alias or version, or cannot be asked. That a checkpoint directory is
    /// there is not checked.
    pub fn version(&self) -> Result<Version, RestoreError> {
        Version::of(self)
    }

    /// The directory with the model's files. Those of a hub are downloaded into the hub's cache unless they are there: its
    /// configuration, tokenizer and weights, in one file or in shards, or an adapter. `HF_ENDPOINT`, `HF_TOKEN`, `HF_HOME`,
    /// `HF_HUB_CACHE` and `HF_HUB_OFFLINE` mean what they mean to every tool of that hub.
    ///
    /// Those of a registry are downloaded into `models` of the directory `REVERTANT_CACHE`, by default `~/.cache/revertant`:
    /// everything in the directory that was registered, whole or not at all. `MLFLOW_TRACKING_URI` and the credentials beside it
    /// mean what they mean to `MLflow`'s own client.
    ///
    /// # Errors
    /// If there is no such model, alias or version, or it needs credentials, the server cannot be reached and the cache lacks it, it
    /// is no checkpoint, or the program was built without the feature `hub` or `mlflow`. That a directory is there is not checked.
    pub fn resolve(&self) -> Result<PathBuf, RestoreError> {
        self.version()?.fetch()
    }

    /// The directory of a hub's model.
    fn fetch_from_hub(&self) -> Result<PathBuf, RestoreError> {
        let fetched = match self {
            Self::Hub { repo, revision } => fetch(repo, revision.as_deref()),
            _ => Err("it is no hub id".to_owned()),
        };
        fetched.map_err(|message| RestoreError::Hub { model: self.to_string(), message })
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
            Self::Registered { name, version: Wanted::Alias(alias) } => write!(f, "{REGISTRY}{name}@{alias}"),
            Self::Registered { name, version: Wanted::Version(version) } if version.is_empty() => {
                write!(f, "{REGISTRY}{name}")
            }
            Self::Registered { name, version: Wanted::Version(version) } => {
                write!(f, "{REGISTRY}{name}/{version}")
            }
            Self::Versions { directory, version } => write!(f, "{}@{version}", directory.display()),
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
            "nothing@prod",
            "src@../x",
            "src@",
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
    fn models_of_a_registry_have_its_own_form() {
        let registered = |name: &str, version| ModelName::Registered { name: name.to_owned(), version };
        let (alias, version) = (
            |alias: &str| Wanted::Alias(alias.to_owned()),
            |number: &str| Wanted::Version(number.to_owned()),
        );
        for (name, expected) in [
            ("models:/tagger@prod", registered("tagger", alias("prod"))),
            ("models:/a b@c@prod", registered("a b@c", alias("prod"))),
            ("models:/tagger/7", registered("tagger", version("7"))),
            ("models:/tagger", registered("tagger", version(""))),
            ("models:/tagger/latest", registered("tagger", version("latest"))),
        ] {
            let parsed = ModelName::parse(name);
            assert!(parsed.is_remote());
            assert_eq!((parsed.to_string(), parsed), (name.to_owned(), expected));
        }
        for bad in
            ["models:/tagger", "models:/tagger/latest", "models:/@prod", "models:/tagger@", "models:/a/b/7"]
        {
            let message = ModelName::parse(bad).version().unwrap_err().to_string();
            assert!(message.contains(bad), "{message}");
            assert!(message.contains("NAME@ALIAS") || message.contains("feature `mlflow`"), "{message}");
        }
    }

    #[test]
    fn a_directory_has_versions_and_says_which_it_means() {
        let home = tempfile::tempdir().unwrap();
        let all = home.path().join("tagger");
        for version in ["1", "2"] {
            std::fs::create_dir_all(all.join(version)).unwrap();
        }
        let alias = |version: &str| {
            std::fs::write(all.join("aliases.toml"), format!("prod = \"{version}\"\n")).unwrap();
        };
        alias("1");
        let name = ModelName::parse(&format!("{}@prod", all.display()));
        assert_eq!(name, ModelName::Versions { directory: all.clone(), version: "prod".to_owned() });
        assert_eq!((name.to_string(), name.is_remote()), (format!("{}@prod", all.display()), false));
        let first = name.version().unwrap();
        assert_eq!((first.label(), first.fetch().unwrap()), (Some("1"), all.join("1")));
        assert_eq!(first.name().to_string(), format!("{}@1", all.display()));
        assert_eq!(name.version().unwrap(), first);
        alias("2");
        assert_ne!(name.version().unwrap(), first);
        assert_eq!(name.resolve().unwrap(), all.join("2"));
        // Nothing moves what was found before, and a directory of that name is that directory.
        assert_eq!(first.name().resolve().unwrap(), all.join("1"));
        let odd = home.path().join("tagger@prod");
        std::fs::create_dir(&odd).unwrap();
        assert_eq!(ModelName::parse(odd.to_str().unwrap()), ModelName::Directory(odd));
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
