//! Going through a file.

use std::{collections::BTreeSet, io::Write, path::Path, sync::atomic::Ordering};

use serde::{Deserialize, Serialize};

use super::{
    BatchError, Input, Summary, Texts, Watch,
    input::Chunk,
    rows::{Halt, Outcome, RowText},
    target::Target,
    writer::Writer,
};

/// What was done, and what is to be known of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// The counts.
    pub summary: Summary,
    /// Texts that the model failed on; the other failures are bad rows.
    pub model_failures: u64,
    /// Why it failed on the last of them.
    pub last_failure: Option<String>,
    /// Digests of the models that have restored.
    pub digests: BTreeSet<String>,
}

impl Tally {
    /// Adds what was done later.
    pub fn add(&mut self, later: &Self) {
        self.summary.add(&later.summary);
        self.model_failures += later.model_failures;
        self.last_failure = later.last_failure.clone().or(self.last_failure.take());
        self.digests.extend(later.digests.iter().cloned());
    }

    /// # Errors
    ///
    /// Where a model failed on all texts of `path`.
    pub(super) fn check(&self, path: &Path) -> Result<(), BatchError> {
        match &self.last_failure {
            Some(reason) if self.summary.restored == 0 => Err(BatchError::AllFailed {
                path: path.to_path_buf(),
                texts: self.model_failures,
                reason: reason.clone(),
            }),
            _ => Ok(()),
        }
    }
}

/// Restores an input into the file or object `output`, which appears whole at the end or not at all.
///
/// # Errors
///
/// [`BatchError`]: where reading or writing fails, the model fails on every text, or the work is stopped.
pub fn restore_into(
    input: &Input,
    output: &Path,
    texts: &dyn Texts,
    watch: &mut dyn Watch,
) -> Result<Summary, BatchError> {
    let (target, tally) = restore_to(input, Target::create(output)?, output, texts, watch)?;
    tally.check(&input.path)?;
    target.commit()?;
    Ok(tally.summary)
}

/// Restores an input into `sink`, which messages call `output`.
pub(crate) fn restore_to<W: Write + Send>(
    input: &Input,
    mut sink: W,
    output: &Path,
    texts: &dyn Texts,
    watch: &mut dyn Watch,
) -> Result<(W, Tally), BatchError> {
    let write_error = |source| BatchError::WriteText { path: output.to_path_buf(), source };
    sink.write_all(&input.header().map_err(write_error)?).map_err(write_error)?;
    let mut writer = input.writer(sink, output)?;
    let mut tally = Tally::default();
    for unit in 0..input.unit_rows().len() {
        let of_unit = restore_unit(input, unit, texts, watch, &mut writer)?;
        watch.unit(&of_unit);
        tally.add(&of_unit);
    }
    Ok((writer.finish()?, tally))
}

/// Restores one unit.
pub(super) fn restore_unit<W: Write + Send>(
    input: &Input,
    unit: usize,
    texts: &dyn Texts,
    watch: &mut dyn Watch,
    writer: &mut Writer<W>,
) -> Result<Tally, BatchError> {
    let mut tally = Tally::default();
    for chunk in input.chunks(unit)? {
        let chunk = chunk?;
        let mut done = |rows| {
            watch.advance(rows);
            !watch.stop_flag().load(Ordering::Relaxed)
        };
        let (outcomes, of_chunk) = restore_chunk(&chunk, &input.path, texts, &mut done)?;
        writer.write(&chunk, &outcomes)?;
        tally.add(&of_chunk);
    }
    writer.end_unit()?;
    Ok(tally)
}

/// What becomes of the rows of `chunk`.
pub(super) fn restore_chunk(
    chunk: &Chunk,
    path: &Path,
    texts: &dyn Texts,
    done: &mut dyn FnMut(u64) -> bool,
) -> Result<(Vec<Outcome>, Tally), BatchError> {
    let rows = chunk.texts();
    let given: Vec<_> = rows.iter().map(|row| row.given()).collect();
    let results = texts.restore(&given, done).map_err(|halt| match halt {
        Halt::Stopped => BatchError::Stopped(path.to_path_buf()),
        Halt::Unable(reason) => BatchError::Unable { path: path.to_path_buf(), reason },
    })?;
    let mut tally = Tally { digests: texts.digests().into_iter().collect(), ..Tally::default() };
    let mut outcomes = Vec::with_capacity(rows.len());
    for (row, result) in rows.into_iter().zip(results) {
        let outcome = Outcome::new(row, result);
        tally.count(row, &outcome);
        outcomes.push(outcome);
    }
    Ok((outcomes, tally))
}

impl Tally {
    fn count(&mut self, row: RowText<'_>, outcome: &Outcome) {
        let summary = &mut self.summary;
        summary.rows += 1;
        match (row, outcome) {
            (_, Outcome::Null) => summary.nulls += 1,
            (RowText::Text(_), Outcome::Failed(reason)) => {
                summary.failed += 1;
                self.model_failures += 1;
                self.last_failure = Some(reason.clone());
            }
            (_, Outcome::Failed(_)) => summary.failed += 1,
            (row, Outcome::Restored(restoration)) => {
                summary.restored += 1;
                summary.changed += u64::from(row != RowText::Text(&restoration.text));
                summary.edits += restoration.edits.len() as u64;
            }
        }
    }
}
