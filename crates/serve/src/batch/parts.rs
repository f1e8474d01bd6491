//! Work that goes on where it stopped: each finished unit is a file of its own.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use corruptor::atomic::AtomicFile;

use super::{BatchError, Input, Tally, Texts, Watch, join::join, restore::restore_unit, target::Target};

/// The finished units of a file, in a directory.
#[derive(Debug)]
pub(super) struct Parts<'p> {
    directory: &'p Path,
}

impl<'p> Parts<'p> {
    pub(super) fn new(directory: &'p Path) -> Self {
        Self { directory }
    }

    /// The file of a unit.
    pub(super) fn path(&self, unit: usize) -> PathBuf {
        self.directory.join(format!("{unit:08}.part"))
    }

    fn tally_path(&self, unit: usize) -> PathBuf {
        self.directory.join(format!("{unit:08}.json"))
    }

    /// What was done for a unit, where it is finished.
    fn finished(&self, unit: usize) -> Result<Option<Tally>, BatchError> {
        if !self.path(unit).exists() {
            return Ok(None);
        }
        let path = self.tally_path(unit);
        let open_error = |source| BatchError::Open { path: path.clone(), source };
        let text = fs::read(&path).map_err(open_error)?;
        serde_json::from_slice(&text).map(Some).map_err(|error| open_error(error.into()))
    }

    /// Keeps a finished unit: its part comes last, so that where it is, everything is.
    fn keep(&self, unit: usize, part: AtomicFile, tally: &Tally) -> Result<(), BatchError> {
        let path = self.tally_path(unit);
        let text = serde_json::to_vec(tally)
            .map_err(|error| BatchError::WriteText { path: path.clone(), source: error.into() })?;
        AtomicFile::write_whole(&path, &text)?;
        part.commit()?;
        Ok(())
    }
}

/// Restores an input into the file or object `output`, which appears whole at the end or not at all. Finished units are kept in the directory
/// `parts`, which is made where it is missing; those that are there are not done again. It is the caller's to see that they are
/// of the same input, and to remove the directory at the end.
///
/// # Errors
///
/// As [`restore_into`](super::restore_into); what is finished stays.
pub fn restore_in_parts(
    input: &Input,
    output: &Path,
    parts: &Path,
    texts: &dyn Texts,
    watch: &mut dyn Watch,
) -> Result<Tally, BatchError> {
    fs::create_dir_all(parts).map_err(|source| BatchError::Open { path: parts.to_path_buf(), source })?;
    remove_unfinished(parts).map_err(|source| BatchError::Open { path: parts.to_path_buf(), source })?;
    let kept = Parts::new(parts);
    let mut tally = Tally::default();
    let units = input.unit_rows();
    for (unit, rows) in units.iter().enumerate() {
        let of_unit = if let Some(finished) = kept.finished(unit)? {
            watch.skip(*rows, &finished);
            finished
        } else {
            let path = kept.path(unit);
            let mut writer = input.writer(AtomicFile::create(&path)?, &path)?;
            let of_unit = restore_unit(input, unit, texts, watch, &mut writer)?;
            kept.keep(unit, writer.finish()?, &of_unit)?;
            watch.unit(&of_unit);
            of_unit
        };
        tally.add(&of_unit);
    }
    tally.check(&input.path)?;
    let target = join(input, &kept, units.len(), Target::create(output)?, output)?;
    target.commit()?;
    Ok(tally)
}

/// A process that was killed leaves the file that it was writing.
fn remove_unfinished(parts: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parts)? {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Opens a part.
pub(super) fn open(path: &Path) -> Result<File, BatchError> {
    File::open(path).map_err(|source| BatchError::Open { path: path.to_path_buf(), source })
}
