//! Collecting the sources of a recipe.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::fetch;
use super::report::{CollectSummary, MissingSource};
use super::settings::CorpusSettings;
use super::share::{allowances, kept};
use super::source::Source;
use super::source_run::{Seen, Sizes, SourceRun, rewrite};
use crate::atomic::Existing;
use crate::io_error::IoError;
use crate::progress::{Observer, Progress, report};
use crate::settings::SettingsError;
use crate::store::Output;

/// Where [`collect`] writes, and what it may do without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectOptions {
    /// The output directory, or a URL of a store.
    pub out: PathBuf,
    /// What to do if it is there already.
    pub existing: Existing,
    /// Take what there is, and record it, where a source whose content moves on (deb, hub, http) is not what the recipe pins.
    pub allow_changed: bool,
    /// Leave out, and record, a source that cannot be had on this machine.
    pub allow_missing: bool,
}

impl CollectOptions {
    /// Exactly what the recipe pins, into a directory that is not there yet.
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self { out: out.into(), existing: Existing::Keep, allow_changed: false, allow_missing: false }
    }
}

/// Collects every source of `settings` into `<out>/<name>.parquet`; the output appears as a whole or not at all.
///
/// Exact duplicates, also between sources, are one document, and of extracted prose also one paragraph: the first in the
/// order of the recipe.
///
/// # Errors
/// If a setting is out of its range, a source cannot be fetched (unless `allow_missing`) or is not what the recipe pins
/// (unless `allow_changed`), a file cannot be read, a source has no text, or the output cannot be written.
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
    let out = Output::create(&options.out, options.existing)?;
    let mut summary = CollectSummary::default();
    let mut seen = Seen::default();
    let mut sizes = BTreeMap::new();
    for source in &settings.sources {
        let stage = format!("collect {}", source.name());
        report(observer, Progress { stage: &stage, done: 0, total: 0, records: 0 })?;
        let collected = fetch::fetch(source, options.allow_changed).and_then(|fetched| {
            let run =
                SourceRun { source, fetched: &fetched, stage: &stage, out: out.path(), seen: &mut seen };
            run.run(observer)
        });
        match collected {
            Ok((collected, skips, collected_sizes)) => {
                summary.sources.push(collected);
                summary.skips.merge(skips);
                sizes.insert(source.name(), collected_sizes);
            }
            Err(error) if options.allow_missing && cannot_be_had(&error) => {
                let (name, reason) = (source.name().to_owned(), error.to_string());
                summary.missing.push(MissingSource { name, reason });
            }
            Err(error) => return Err(error),
        }
    }
    if summary.sources.is_empty() {
        return Err(IoError::NoText { skipped: "every source was left out".to_owned() });
    }
    keep_shares(settings, out.path(), &mut summary, &sizes)?;
    out.commit()?;
    Ok(summary)
}

/// Whether an error means that this machine has no way to a source: not that it holds something wrong.
fn cannot_be_had(error: &IoError) -> bool {
    match error {
        IoError::Fetch { .. } => true,
        IoError::File { source, .. } => source.kind() == io::ErrorKind::NotFound,
        _ => false,
    }
}

/// Cuts each group of sources to its share of the whole.
fn keep_shares(
    settings: &CorpusSettings,
    out: &Path,
    summary: &mut CollectSummary,
    sizes: &BTreeMap<&str, Sizes>,
) -> Result<(), IoError> {
    let members = |group: &str| -> Vec<&str> {
        settings.sources.iter().filter(|source| source.group() == Some(group)).map(Source::name).collect()
    };
    let mut groups = BTreeMap::new();
    let mut others = summary.text_bytes();
    for (group, share) in &settings.max_share {
        let of_group = members(group).into_iter().filter_map(|name| sizes.get(name)).flatten();
        let bytes = of_group.map(|(_, bytes)| bytes).sum();
        others -= bytes;
        groups.insert(group.clone(), (bytes, *share));
    }
    for (group, allowed) in allowances(&groups, others) {
        if allowed >= groups[&group].0 {
            continue;
        }
        let names = members(&group);
        let documents = names.iter().filter_map(|name| sizes.get(name)).flatten().copied().collect();
        let kept = kept(documents, allowed);
        for collected in summary.sources.iter_mut().filter(|source| names.contains(&source.name.as_str())) {
            rewrite(out, collected, &kept)?;
        }
    }
    Ok(())
}
