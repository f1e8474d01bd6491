//! Collecting the sources of a recipe.

use std::fmt;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::digest;
use super::glob;
use super::npm;
use super::settings::{CorpusSettings, PathSource, Source};
use super::writer::CorpusWriter;
use crate::atomic::{AtomicDir, Existing};
use crate::documents::{
    Column, DocumentOptions, Documents, InputFile, Record, Skip, SkipReason, Skips, UniqueDocuments,
    input_files,
};
use crate::io_error::IoError;
use crate::progress::{Observer, Progress, report};
use crate::settings::SettingsError;
use crate::split::document_id;

/// Where [`collect`] writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectOptions {
    /// The output directory.
    pub out: PathBuf,
    /// What to do if it is there already.
    pub existing: Existing,
}

/// What [`collect`] has written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectSummary {
    /// The sources, in the order of the recipe.
    pub sources: Vec<SourceSummary>,
    /// What was passed over, duplicates among the sources included.
    pub skips: Skips,
}

/// What one source has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSummary {
    /// Its name.
    pub name: String,
    /// The licence of its texts.
    pub licence: String,
    /// Documents written.
    pub documents: u64,
    /// Bytes of their texts.
    pub text_bytes: u64,
}

/// Collects every source of `settings` into `<out>/<name>.parquet`; the output appears as a whole or not at all.
///
/// Exact duplicates, also between sources, are one document: the first in the order of the recipe.
///
/// # Errors
/// If a setting is out of its range, a source cannot be fetched or is not what the recipe pins, a file cannot be read, a source
/// has no text, or the output cannot be written.
pub fn collect(
    settings: &CorpusSettings,
    options: &CollectOptions,
    observer: &mut Observer<'_>,
) -> Result<CollectSummary, IoError> {
    settings.validate()?;
    if settings.sources.is_empty() {
        let message =
            "the recipe names no source; add a table [[corpus.sources]] with kind, name and licence";
        return Err(SettingsError::new("corpus.sources", message).into());
    }
    let out = AtomicDir::create(&options.out, options.existing)?;
    let mut summary = CollectSummary::default();
    let mut unique = UniqueDocuments::default();
    for source in &settings.sources {
        let stage = format!("collect {}", source.name());
        report(observer, Progress { stage: &stage, done: 0, total: 0, records: 0 })?;
        let collected = match source {
            Source::Npm(npm) => {
                let package = npm::fetch(npm)?;
                let origin = format!("npm:{}@{} sha256:{}", npm.package, npm.version, npm.sha256);
                // In a package no column has a meaning for us but the text.
                let documents = Documents::of_files(package.files.clone(), columns("text", None));
                let mut run = Run { source, origin, stage, unique: &mut unique, skips: &mut summary.skips };
                run.collect(documents, out.path(), observer)?
            }
            Source::Path(path) => {
                let files = included(path)?;
                let found = check_path(path, &files)?;
                let origin = found.map_or("path".to_owned(), |sha256| format!("path sha256:{sha256}"));
                let options = columns(&path.text_column, path.id_column.as_deref());
                let documents =
                    Documents::of_files(files.into_iter().map(|(_, file)| file).collect(), options);
                let mut run = Run { source, origin, stage, unique: &mut unique, skips: &mut summary.skips };
                run.collect(documents, out.path(), observer)?
            }
        };
        summary.sources.push(collected);
    }
    out.commit()?;
    Ok(summary)
}

/// One source on its way into its file.
struct Run<'r> {
    source: &'r Source,
    origin: String,
    stage: String,
    unique: &'r mut UniqueDocuments,
    skips: &'r mut Skips,
}

impl Run<'_> {
    fn collect(
        &mut self,
        mut documents: Documents,
        out: &Path,
        observer: &mut Observer<'_>,
    ) -> Result<SourceSummary, IoError> {
        let (name, licence) = (self.source.name(), self.source.licence());
        let mut writer = CorpusWriter::create(out, name, licence, &self.origin)?;
        let mut skips = Skips::default();
        let (name, licence) = (name.to_owned(), licence.to_owned());
        let mut summary = SourceSummary { name, licence, documents: 0, text_bytes: 0 };
        while let Some(record) = documents.next() {
            match record? {
                Record::Skipped(skip) => skips.add(skip),
                Record::Document(document) => {
                    let (doc_id, place) = (document.doc_id.as_deref(), &document.place);
                    if self.unique.admit(&summary.name, doc_id, &document.text, place)? {
                        summary.documents += 1;
                        summary.text_bytes += document.text.len() as u64;
                        let doc_id = document.doc_id.unwrap_or_else(|| document_id(&document.text));
                        writer.write(doc_id, document.text)?;
                    } else {
                        skips.add(Skip { place: document.place, reason: SkipReason::Duplicate });
                    }
                }
            }
            let (done, total) = documents.progress();
            report(observer, Progress { stage: &self.stage, done, total, records: summary.documents })?;
        }
        if summary.documents == 0 {
            return Err(IoError::NoText { skipped: format!("source {}: {skips}", summary.name) });
        }
        self.skips.merge(skips);
        writer.finish()?;
        Ok(summary)
    }
}

fn columns(text: &str, id: Option<&str>) -> DocumentOptions {
    let id_column = id.map_or(Column::Ignored, |id| Column::Required(id.to_owned()));
    DocumentOptions {
        text_column: text.to_owned(),
        id_column,
        source_column: Column::Ignored,
        ..DocumentOptions::default()
    }
}

/// The files of a path source, with their names below the path (`/` on every platform).
fn included(source: &PathSource) -> Result<Vec<(String, InputFile)>, IoError> {
    let is_directory = source.path.is_dir();
    let named = input_files(std::slice::from_ref(&source.path))?.into_iter().map(|file| {
        let below = if is_directory {
            file.path.strip_prefix(&source.path).unwrap_or(&file.path)
        } else {
            &file.path
        };
        let parts: Vec<_> = below.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        (parts.join("/"), file)
    });
    let files: Vec<_> =
        named.filter(|(name, _)| !is_directory || glob::matches(&source.include, name)).collect();
    if files.is_empty() {
        return Err(IoError::NoFiles { path: source.path.join(&source.include) });
    }
    Ok(files)
}

/// Checks the pinned digest, if there is one, and returns it.
fn check_path(source: &PathSource, files: &[(String, InputFile)]) -> Result<Option<String>, IoError> {
    let Some(pinned) = &source.sha256 else { return Ok(None) };
    let found = if source.path.is_dir() {
        let mut sorted: Vec<_> = files.iter().collect();
        sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
        let mut listing = String::new();
        for (name, file) in sorted {
            // Writing to a string cannot fail.
            let _ = writeln!(listing, "{}  {name}", digest::of_file(&file.path)?);
        }
        digest::of_text(&listing)
    } else {
        digest::of_file(&source.path)?
    };
    digest::check(&source.path.display().to_string(), found.clone(), pinned)?;
    Ok(Some(found))
}

impl fmt::Display for CollectSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for source in &self.sources {
            let SourceSummary { name, licence, documents, text_bytes } = source;
            let megabytes = *text_bytes as f64 / 1e6;
            writeln!(f, "{name}: {documents} documents, {megabytes:.1} MB of text, {licence}")?;
        }
        write!(f, "{}", self.skips)
    }
}
