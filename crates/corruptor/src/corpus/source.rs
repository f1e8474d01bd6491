//! The sources of a recipe: where each corpus comes from, and how its files become text.

use serde::{Deserialize, Serialize};

use super::kinds::{DebSource, HttpSource, HubSource, NpmSource, PathSource, PypiSource};
use crate::settings::SettingsError;

/// One corpus of a recipe, told apart by its key `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Source {
    /// Files of an npm package.
    Npm(NpmSource),
    /// Files of a package of Python's index.
    Pypi(PypiSource),
    /// Files of a Debian package.
    Deb(DebSource),
    /// Files of a dataset on a hub.
    Hub(HubSource),
    /// A file behind a URL.
    Http(HttpSource),
    /// Files or a directory on this machine.
    Path(PathSource),
}

/// How the files of a source become running prose. Without it, files are taken verbatim.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extract {
    /// HTML pages: a page is a document.
    Html,
    /// Plain text, hard-wrapped or not: a chapter is a document.
    Text,
    /// SWORD modules, named by their `.conf` files: a chapter is a document. Needs `mod2imp`.
    Sword,
    /// R data, also a package's lazy-load database: a chapter is a document. Needs Python with `rdata`.
    Rdata,
}

/// One key of whatever kind the source is.
macro_rules! of_any_kind {
    ($source:expr, $field:ident) => {
        match $source {
            Source::Npm(source) => &source.$field,
            Source::Pypi(source) => &source.$field,
            Source::Deb(source) => &source.$field,
            Source::Hub(source) => &source.$field,
            Source::Http(source) => &source.$field,
            Source::Path(source) => &source.$field,
        }
    };
}

impl Source {
    /// The corpus' name.
    pub fn name(&self) -> &str {
        of_any_kind!(self, name)
    }

    /// The licence of its texts.
    pub fn licence(&self) -> &str {
        of_any_kind!(self, licence)
    }

    /// How its files become prose, if they are not taken verbatim.
    pub fn extract(&self) -> Option<Extract> {
        *of_any_kind!(self, extract)
    }

    /// The group whose share is bounded, if it belongs to one.
    pub fn group(&self) -> Option<&str> {
        of_any_kind!(self, group).as_deref()
    }

    /// The value of the key `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Npm(_) => "npm",
            Self::Pypi(_) => "pypi",
            Self::Deb(_) => "deb",
            Self::Hub(_) => "hub",
            Self::Http(_) => "http",
            Self::Path(_) => "path",
        }
    }

    /// The digest that the recipe pins; only a path may go without.
    pub fn sha256(&self) -> Option<&str> {
        match self {
            Self::Npm(source) => Some(&source.sha256),
            Self::Pypi(source) => Some(&source.sha256),
            Self::Deb(source) => Some(&source.sha256),
            Self::Hub(source) => Some(&source.sha256),
            Self::Http(source) => Some(&source.sha256),
            Self::Path(source) => source.sha256.as_deref(),
        }
    }

    pub(super) fn validate(&self) -> Result<(), SettingsError> {
        let name = self.name();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            let message = format!("{name:?} cannot name a file; use letters, digits, '-', '_' and '.'");
            return Err(SettingsError::new("corpus.sources.name", message));
        }
        if self.licence().trim().is_empty() {
            let message = format!("{name} states no licence; say under which terms its texts may be used");
            return Err(SettingsError::new("corpus.sources.licence", message));
        }
        let is_hex = |digest: &&str| digest.len() == 64 && digest.bytes().all(|b| b.is_ascii_hexdigit());
        if let Some(digest) = self.sha256().filter(|digest| !is_hex(digest)) {
            let message = format!("{digest:?} of {name} is no SHA-256: 64 hexadecimal digits");
            return Err(SettingsError::new("corpus.sources.sha256", message));
        }
        match self {
            Self::Npm(NpmSource { package, version, .. })
            | Self::Pypi(PypiSource { package, version, .. })
            | Self::Deb(DebSource { package, version, .. }) => check_package(name, package, version),
            Self::Hub(source) => check_hub(source),
            Self::Http(source) => check_url(source),
            Self::Path(_) => Ok(()),
        }
    }
}

/// Package and version go to a client as one argument: neither may look like an option or like more than one.
fn check_package(name: &str, package: &str, version: &str) -> Result<(), SettingsError> {
    for (key, value) in [("package", package), ("version", version)] {
        let unsafe_start = value.is_empty() || value.starts_with('-');
        if unsafe_start || value.chars().any(|c| c.is_whitespace() || c.is_control()) {
            let message = format!("{value:?} of {name} is no {key} of a package");
            return Err(SettingsError::new(format!("corpus.sources.{key}"), message));
        }
    }
    if version.starts_with(|c: char| c.is_ascii_digit()) {
        return Ok(());
    }
    let message = format!("{version:?} of {name} is no exact version, such as 1.2.3");
    Err(SettingsError::new("corpus.sources.version", message))
}

fn check_hub(source: &HubSource) -> Result<(), SettingsError> {
    let name = &source.name;
    let error =
        |key: &str, message: String| Err(SettingsError::new(format!("corpus.sources.{key}"), message));
    let is_part = |part: &str| !part.is_empty() && part != "." && part != "..";
    if source.repo.split('/').count() != 2 || !source.repo.split('/').all(is_part) {
        return error("repo", format!("{:?} of {name} is no dataset, such as owner/name", source.repo));
    }
    if source.revision.trim().is_empty() {
        return error("revision", format!("{name} names no revision; pin a commit"));
    }
    match source.files.iter().find(|file| !file.split('/').all(is_part)) {
        Some(file) => error("files", format!("{file:?} of {name} is no path in a dataset")),
        None if source.files.is_empty() => error("files", format!("{name} names no file of the dataset")),
        None => Ok(()),
    }
}

fn check_url(source: &HttpSource) -> Result<(), SettingsError> {
    let rest = source.url.strip_prefix("https://").or_else(|| source.url.strip_prefix("http://"));
    if rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace)) {
        return Ok(());
    }
    let message = format!("{:?} of {} is no http or https URL", source.url, source.name);
    Err(SettingsError::new("corpus.sources.url", message))
}
