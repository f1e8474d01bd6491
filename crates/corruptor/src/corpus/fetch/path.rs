//! Files and directories on this machine.

use std::fmt::Write as _;

use super::{Fetched, SourceFile, glob, name_below};
use crate::corpus::digest;
use crate::corpus::kinds::PathSource;
use crate::documents::input_files;
use crate::io_error::IoError;

/// Lists what the source includes and checks the digest, if one is pinned.
pub(super) fn fetch(source: &PathSource) -> Result<Fetched, IoError> {
    let files = included(source)?;
    let sha256 = check(source, &files)?;
    let files = files.into_iter().map(|(_, file)| file).collect();
    Ok(Fetched { package: None, version: None, sha256, changed: false, files, _directory: None })
}

/// The files of a source with their names below the path.
fn included(source: &PathSource) -> Result<Vec<(String, SourceFile)>, IoError> {
    let file = |path: &std::path::Path| SourceFile { label: path.to_path_buf(), path: path.to_path_buf() };
    if !source.path.is_dir() {
        source.path.metadata().map_err(IoError::file("read", &source.path))?;
        return Ok(vec![(source.path.to_string_lossy().into_owned(), file(&source.path))]);
    }
    let selects = |name: &str| glob::selects(&source.include, source.exclude.as_deref(), name);
    let named = |path: &std::path::Path| (name_below(&source.path, path), file(path));
    let mut files: Vec<_> = if source.extract.is_none() {
        // Read verbatim: the formats that documents come in, as `generate` lists them.
        input_files(std::slice::from_ref(&source.path))?.iter().map(|file| named(&file.path)).collect()
    } else {
        let mut all = Vec::new();
        for entry in walkdir::WalkDir::new(&source.path).follow_links(true).sort_by_file_name() {
            let entry = entry.map_err(|error| IoError::file("list", &source.path)(error.into()))?;
            if entry.file_type().is_file() {
                all.push(named(entry.path()));
            }
        }
        all
    };
    files.retain(|(name, _)| selects(name));
    if files.is_empty() {
        return Err(IoError::NoFiles { path: source.path.join(&source.include) });
    }
    Ok(files)
}

/// Checks the pinned digest, if there is one, and returns it.
fn check(source: &PathSource, files: &[(String, SourceFile)]) -> Result<Option<String>, IoError> {
    let Some(pinned) = &source.sha256 else { return Ok(None) };
    let found = if source.path.is_dir() { listing_digest(files)? } else { digest::of_file(&source.path)? };
    digest::check(&source.path.display().to_string(), found.clone(), pinned)?;
    Ok(Some(found))
}

/// The SHA-256 of what `sha256sum` prints for the files, sorted by name.
pub(super) fn listing_digest(files: &[(String, SourceFile)]) -> Result<String, IoError> {
    let mut sorted: Vec<_> = files.iter().collect();
    sorted.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut listing = String::new();
    for (name, file) in sorted {
        // Writing to a string cannot fail.
        let _ = writeln!(listing, "{}  {name}", digest::of_file(&file.path)?);
    }
    Ok(digest::of_text(&listing))
}
