//! One source on its way into its file.

use std::collections::HashSet;
use std::path::Path;

use rayon::prelude::*;

use super::extract::{self, Extracted};
use super::fetch::{Fetched, SourceFile};
use super::report::SourceSummary;
use super::source::{Extract, Source};
use super::writer::CorpusWriter;
use crate::documents::{
    Column, DocumentOptions, Documents, InputFile, Place, Record, Skip, SkipReason, Skips, UniqueDocuments,
    digest,
};
use crate::io_error::IoError;
use crate::progress::{Observer, Progress, report};
use crate::split::document_id;

/// Files whose text is extracted at once, in parallel.
const FILES_AT_ONCE: usize = 64;

/// What has been seen so far, in this source and in those before it.
#[derive(Default)]
pub(super) struct Seen {
    documents: UniqueDocuments,
    /// Extracted paragraphs, 16 bytes each.
    paragraphs: HashSet<u128>,
}

/// Digest and bytes of each document of a source, by which a group is cut to its share.
pub(super) type Sizes = Vec<(u128, u64)>;

/// Writes the documents of one source.
pub(super) struct SourceRun<'r> {
    pub(super) source: &'r Source,
    pub(super) fetched: &'r Fetched,
    pub(super) stage: &'r str,
    pub(super) out: &'r Path,
    pub(super) seen: &'r mut Seen,
}

impl SourceRun<'_> {
    /// Collects the source into its file; returns what it has given, what was passed over, and the sizes of its documents.
    pub(super) fn run(
        mut self,
        observer: &mut Observer<'_>,
    ) -> Result<(SourceSummary, Skips, Sizes), IoError> {
        let mut written = Written {
            writer: CorpusWriter::create(self.out, self.source.name(), self.source.licence())?,
            summary: summary_of(self.source, self.fetched),
            skips: Skips::default(),
            sizes: Sizes::new(),
        };
        match self.source.extract() {
            None => self.verbatim(&mut written, observer)?,
            Some(extract) => self.extracted(extract, &mut written, observer)?,
        }
        let Written { writer, summary, skips, sizes } = written;
        if summary.documents == 0 {
            let found = if self.source.extract().is_some() { "no running prose; " } else { "" };
            return Err(IoError::NoText { skipped: format!("source {}: {found}{skips}", summary.name) });
        }
        writer.finish(&summary)?;
        Ok((summary, skips, sizes))
    }

    /// Files of texts, whose documents stay as they are.
    fn verbatim(&mut self, written: &mut Written, observer: &mut Observer<'_>) -> Result<(), IoError> {
        let mut files = Vec::new();
        for SourceFile { label, path } in &self.fetched.files {
            match InputFile::new(path) {
                Ok(file) => files.push(InputFile { label: label.as_path().into(), ..file }),
                // As in directories, files that hold no documents are passed over, as long as there are others.
                Err(IoError::UnknownFormat { .. }) if self.fetched.files.len() > 1 => {}
                Err(IoError::UnknownFormat { .. }) => {
                    return Err(IoError::UnknownFormat { path: label.clone() });
                }
                Err(error) => return Err(error),
            }
        }
        written.summary.files = files.len() as u64;
        let mut documents = Documents::of_files(files, columns(self.source));
        while let Some(record) = documents.next() {
            match record? {
                Record::Skipped(skip) => written.skips.add(skip),
                Record::Document(document) => {
                    let (doc_id, text) = (document.doc_id, document.text);
                    if self.seen.documents.admit(
                        self.source.name(),
                        doc_id.as_deref(),
                        &text,
                        &document.place,
                    )? {
                        written.summary.paragraphs += paragraphs(&text);
                        written.write(doc_id, text)?;
                    } else {
                        written.skips.add(Skip { place: document.place, reason: SkipReason::Duplicate });
                    }
                }
            }
            let (done, total) = documents.progress();
            report(
                observer,
                Progress { stage: self.stage, done, total, records: written.summary.documents },
            )?;
        }
        Ok(())
    }

    /// Files of other formats, whose prose is extracted; each paragraph is written once.
    fn extracted(
        &mut self,
        extract: Extract,
        written: &mut Written,
        observer: &mut Observer<'_>,
    ) -> Result<(), IoError> {
        let files: Vec<_> =
            self.fetched.files.iter().filter(|file| extract::is_extractable(extract, &file.path)).collect();
        let bytes = |file: &SourceFile| file.path.metadata().map_or(0, |metadata| metadata.len());
        let total = files.iter().map(|file| bytes(file)).sum();
        let mut done = 0;
        for batch in files.chunks(FILES_AT_ONCE) {
            let found: Vec<_> = batch.par_iter().map(|file| extract::documents_of(extract, file)).collect();
            for (file, found) in batch.iter().zip(found) {
                written.summary.files += 1;
                done += bytes(file);
                match found {
                    Ok(documents) => documents.into_iter().try_for_each(|d| self.admit(file, d, written))?,
                    Err(extract::Failure::Skip(skip)) => written.skips.add(skip),
                    Err(extract::Failure::Error(error)) => return Err(error),
                }
            }
            report(
                observer,
                Progress { stage: self.stage, done, total, records: written.summary.documents },
            )?;
        }
        Ok(())
    }

    /// Writes what is new in an extracted document.
    fn admit(
        &mut self,
        file: &SourceFile,
        document: Extracted,
        written: &mut Written,
    ) -> Result<(), IoError> {
        let mut new = Vec::new();
        for paragraph in document.paragraphs {
            if self.seen.paragraphs.insert(digest(&[&paragraph])) {
                new.push(paragraph);
            } else {
                written.summary.duplicate_paragraphs += 1;
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        let text = new.join("\n\n");
        let place = Place::file(if document.part.is_empty() {
            file.label.clone()
        } else {
            file.label.join(document.part)
        });
        if self.seen.documents.admit(self.source.name(), None, &text, &place)? {
            written.summary.paragraphs += new.len() as u64;
            written.write(None, text)
        } else {
            written.skips.add(Skip { place, reason: SkipReason::Duplicate });
            Ok(())
        }
    }
}

/// What is written of a source.
struct Written {
    writer: CorpusWriter,
    summary: SourceSummary,
    skips: Skips,
    sizes: Sizes,
}

impl Written {
    fn write(&mut self, doc_id: Option<String>, text: String) -> Result<(), IoError> {
        self.summary.documents += 1;
        self.summary.text_bytes += text.len() as u64;
        self.sizes.push((digest(&[&text]), text.len() as u64));
        self.writer.write(doc_id.unwrap_or_else(|| document_id(&text)), text)
    }
}

/// A summary that has nothing counted yet.
fn summary_of(source: &Source, fetched: &Fetched) -> SourceSummary {
    SourceSummary {
        name: source.name().to_owned(),
        kind: source.kind().to_owned(),
        package: fetched.package.clone(),
        version: fetched.version.clone(),
        licence: source.licence().to_owned(),
        sha256: fetched.sha256.clone(),
        changed: fetched.changed,
        ..SourceSummary::default()
    }
}

/// Writes a source's file again with the documents of the kept digests only.
pub(super) fn rewrite(out: &Path, summary: &mut SourceSummary, kept: &HashSet<u128>) -> Result<(), IoError> {
    let options =
        DocumentOptions { id_column: Column::Required("doc_id".to_owned()), ..DocumentOptions::default() };
    let documents = Documents::open(&[out.join(format!("{}.parquet", summary.name))], options)?;
    let mut writer = CorpusWriter::create(out, &summary.name, &summary.licence)?;
    let before = summary.documents;
    (summary.documents, summary.paragraphs, summary.text_bytes) = (0, 0, 0);
    for record in documents {
        let Record::Document(document) = record? else { continue };
        if kept.contains(&digest(&[&document.text])) {
            summary.documents += 1;
            summary.paragraphs += paragraphs(&document.text);
            summary.text_bytes += document.text.len() as u64;
            writer.write(document.doc_id.unwrap_or_default(), document.text)?;
        }
    }
    summary.documents_over_share = before - summary.documents;
    writer.finish(summary)
}

/// What stands between blank lines.
fn paragraphs(text: &str) -> u64 {
    let mut count = 0;
    let mut within = false;
    for line in text.lines() {
        let is_blank = line.trim().is_empty();
        count += u64::from(!is_blank && !within);
        within = !is_blank;
    }
    count
}

/// Which columns of a source have a meaning: in a package none but the text.
fn columns(source: &Source) -> DocumentOptions {
    let (text, id) = match source {
        Source::Path(source) => (source.text_column.as_str(), source.id_column.as_deref()),
        Source::Http(source) => (source.text_column.as_str(), source.id_column.as_deref()),
        Source::Hub(source) => (source.text_column.as_str(), source.id_column.as_deref()),
        Source::Npm(_) | Source::Pypi(_) | Source::Deb(_) => (DocumentOptions::DEFAULT_TEXT_COLUMN, None),
    };
    let id_column = id.map_or(Column::Ignored, |id| Column::Required(id.to_owned()));
    DocumentOptions {
        text_column: text.to_owned(),
        id_column,
        source_column: Column::Ignored,
        ..DocumentOptions::default()
    }
}
