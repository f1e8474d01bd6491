//! The resolved recipe: where settings depend on files or on the corpus, these are read first.

use std::path::Path;

use rayon::ThreadPool;

use super::GenerateOptions;
use super::reader::{Reader, Reading};
use crate::corpus::CorpusSettings;
use crate::documents::{Documents, UniqueDocuments};
use crate::io_error::IoError;
use crate::progress::{Observer, Progress, report};
use crate::resolve::{Survey, read_files};
use crate::settings::CorruptSettings;

/// What `corrupt` comes to for this input; one more pass over it where that must be known.
pub(super) fn resolved(
    corpus: &CorpusSettings,
    corrupt: &CorruptSettings,
    options: &GenerateOptions,
    pool: &ThreadPool,
    observer: &mut Observer<'_>,
) -> Result<CorruptSettings, IoError> {
    corrupt.validate()?;
    let settings = read_files(corrupt.clone(), Path::new(""))?;
    let Some(mut survey) = Survey::new(corpus, &settings) else { return Ok(settings) };
    let reading = Reading {
        documents: Documents::open(&options.inputs, options.documents.clone())?,
        unique: UniqueDocuments::default(),
        source: options.source.clone(),
        shares: corpus.shares(),
    };
    let reader = Reader::start(reading)?;
    let mut records = 0;
    for batch in reader.batches().into_iter().flatten() {
        let batch = batch?;
        for document in &batch.documents {
            survey.add(&document.key.source, &document.key.doc_id, &document.text);
        }
        records += batch.documents.len() as u64;
        let (done, total) = batch.progress;
        report(observer, Progress { stage: "survey", done, total, records })?;
    }
    if records == 0 {
        // Generation itself says best why there is no document.
        return Ok(CorruptSettings {
            target_cer: None,
            alphabet: crate::AlphabetChoice::default(),
            ..settings
        });
    }
    Ok(pool.install(|| survey.resolve())?)
}
