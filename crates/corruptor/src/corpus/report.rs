//! What a collection holds and where it comes from: for the program's output, `--report`, and each Parquet file.

use std::fmt;

use serde::Serialize;

use crate::documents::Skips;

/// What one source has given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SourceSummary {
    /// Its name.
    pub name: String,
    /// Its kind: `npm`, `pypi`, `deb`, `hub`, `http` or `path`.
    pub kind: String,
    /// The package, dataset or URL; none for a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The version that was taken: of a package, or the commit of a dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The licence of its texts.
    pub licence: String,
    /// SHA-256 of what was taken, in hex.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Whether that is something else than what the recipe pins.
    pub changed: bool,
    /// Files that were read.
    pub files: u64,
    /// Documents written.
    pub documents: u64,
    /// Their paragraphs: what stands between blank lines.
    pub paragraphs: u64,
    /// Bytes of their texts.
    pub text_bytes: u64,
    /// Extracted paragraphs left out because the same one came before, in this source or in another.
    pub duplicate_paragraphs: u64,
    /// Documents left out so that the source's group keeps to its share.
    pub documents_over_share: u64,
}

/// A source that could not be had on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingSource {
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// What `collect` has written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectSummary {
    /// The sources, in the order of the recipe.
    pub sources: Vec<SourceSummary>,
    /// Those that were left out because they could not be had.
    pub missing: Vec<MissingSource>,
    /// What was passed over, duplicates among the sources included.
    pub skips: Skips,
}

impl CollectSummary {
    /// Bytes of all texts.
    pub fn text_bytes(&self) -> u64 {
        self.sources.iter().map(|source| source.text_bytes).sum()
    }

    /// The report as JSON: `text_bytes`, `sources`, `missing`, and in words `skipped`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "text_bytes": self.text_bytes(),
            "sources": self.sources,
            "missing": self.missing,
            "skipped": self.skips.to_string(),
        })
    }
}

impl fmt::Display for CollectSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for source in &self.sources {
            let SourceSummary { name, licence, documents, paragraphs, text_bytes, .. } = source;
            let megabytes = *text_bytes as f64 / 1e6;
            write!(
                f,
                "{name}: {documents} documents, {paragraphs} paragraphs, {megabytes:.1} MB of text, {licence}"
            )?;
            if source.documents_over_share > 0 {
                write!(f, "; {} more documents over its group's share", source.documents_over_share)?;
            }
            if source.changed {
                let version = source.version.as_deref().unwrap_or("another file");
                write!(f, "; CHANGED, not what the recipe pins: {version}")?;
                write!(f, ", SHA-256 {}", source.sha256.as_deref().unwrap_or("unknown"))?;
            }
            writeln!(f)?;
        }
        for MissingSource { name, reason } in &self.missing {
            writeln!(f, "{name}: LEFT OUT: {reason}")?;
        }
        if self.sources.len() > 1 {
            writeln!(f, "together: {:.1} MB of text", self.text_bytes() as f64 / 1e6)?;
        }
        write!(f, "{}", self.skips)
    }
}
