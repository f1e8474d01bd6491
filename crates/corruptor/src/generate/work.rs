//! The directory beside the output in which a run works, so that the next one can go on where it stopped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::journal::{Identity, Journal, PartRecord};
use crate::atomic::{self, Existing, sync_directory};
use crate::io_error::IoError;
use crate::lock::FileLock;
use crate::pairs::part_name;
use crate::split::Split;
use crate::store::{self, Location, ObjectUrl};

/// `.NAME.partial` beside the output `NAME`, locked: `journal`, `lock`, and the output to be in `out`.
///
/// Where the output goes to a store, it lies in the current directory, and `out` is uploaded when it is complete.
#[derive(Debug)]
pub(super) struct WorkDir {
    directory: PathBuf,
    target: Location,
    existing: Existing,
    _lock: FileLock,
    /// What an earlier run has finished, in the order in which it did.
    finished: Vec<PartRecord>,
}

impl WorkDir {
    /// Opens the directory for `target`, taking over what an interrupted run with the same identity has finished.
    ///
    /// # Errors
    /// If the output is there already or another run is at it; if what is there was begun with something else, unless
    /// `existing` allows to replace it.
    pub(super) fn open(
        target: &Path,
        existing: Existing,
        identity: &Identity,
    ) -> Result<(Self, Journal), IoError> {
        store::check_replaceable(target, existing)?;
        let location = Location::of(target)?;
        let directory = match &location {
            Location::Local(path) => {
                let (parent, name) = atomic::parent_and_name(path)?;
                fs::create_dir_all(parent).map_err(IoError::file("create", parent))?;
                path.with_file_name(format!(".{name}.partial"))
            }
            Location::Remote(url) => PathBuf::from(format!(".{}.partial", file_name(url))),
        };
        let lock = lock(&directory, target)?;
        let mut work = Self { directory, target: location, existing, _lock: lock, finished: Vec::new() };
        if let Some((found, parts)) = Journal::read(&work.journal())? {
            match found.difference(identity) {
                None => work.finished = work.intact(parts),
                Some(_) if existing == Existing::Replace => {}
                Some(difference) => {
                    return Err(IoError::OtherRun { partial: work.directory.clone(), difference });
                }
            }
        }
        for split in Split::ALL {
            let directory = work.split(split);
            fs::create_dir_all(&directory).map_err(IoError::file("create", &directory))?;
        }
        work.sweep(&work.finished)?;
        let journal = Journal::start(&work.journal(), identity, &work.finished)?;
        Ok((work, journal))
    }

    /// What is finished already.
    pub(super) fn finished(&self) -> &[PartRecord] {
        &self.finished
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.directory
    }

    /// The file of a part.
    pub(super) fn part(&self, split: Split, part: u32) -> PathBuf {
        self.split(split).join(part_name(part))
    }

    fn split(&self, split: Split) -> PathBuf {
        self.out().join(split.name())
    }

    fn out(&self) -> PathBuf {
        self.directory.join("out")
    }

    fn journal(&self) -> PathBuf {
        self.directory.join("journal")
    }

    /// The parts whose files are as they were recorded; of each split, those before the first that is not.
    fn intact(&self, parts: Vec<PartRecord>) -> Vec<PartRecord> {
        let mut next = [0; 3];
        let is_intact = |record: &PartRecord| {
            let path = self.part(record.split, record.part);
            let has_size = path.metadata().is_ok_and(|metadata| metadata.len() == record.bytes);
            has_size && crate::pairs::Pairs::rows_in(&path).is_ok_and(|rows| rows == record.rows)
        };
        let keeps = |record: &PartRecord| {
            let next = &mut next[record.split as usize];
            let kept = record.part == *next && is_intact(record);
            *next += u32::from(kept);
            kept
        };
        parts.into_iter().filter(keeps).collect()
    }

    /// Removes every file but these parts: half a part is none.
    pub(super) fn sweep(&self, kept: &[PartRecord]) -> Result<(), IoError> {
        for split in Split::ALL {
            let directory = self.split(split);
            for entry in fs::read_dir(&directory).map_err(IoError::file("list", &directory))? {
                let path = entry.map_err(IoError::file("list", &directory))?.path();
                let is_kept = |r: &PartRecord| r.split == split && path.ends_with(part_name(r.part));
                if !kept.iter().any(is_kept) {
                    fs::remove_file(&path).map_err(IoError::file("remove", &path))?;
                }
            }
        }
        Ok(())
    }

    /// Gives the output its name, or uploads it, and removes everything else.
    ///
    /// # Errors
    /// If a rename is refused; what was there before is put back then. If a store refuses; the parts are kept here then.
    pub(super) fn commit(self) -> Result<(), IoError> {
        for split in Split::ALL {
            sync_directory(&self.split(split))?;
        }
        match &self.target {
            Location::Local(path) => atomic::take_name(&self.out(), path)?,
            Location::Remote(url) => {
                if let Err(error) = store::upload_directory(&self.out(), url, self.existing) {
                    return Err(self.abandon(error));
                }
            }
        }
        self.discard()
    }

    /// Keeps what is finished for the next run, if there is anything; the error, with how to go on.
    pub(super) fn abandon(self, error: IoError) -> IoError {
        let finished = match Journal::read(&self.journal()) {
            Ok(found) => found.map(|(_, parts)| parts).unwrap_or_default(),
            Err(_) => return error,
        };
        // What cannot be removed now is removed by the next run; the first error is the one that matters.
        if matches!(error, IoError::InputChanged { .. }) {
            return error;
        }
        if finished.is_empty() {
            let _ = self.discard();
            return error;
        }
        let _ = self.sweep(&finished);
        let (partial, parts) = (self.directory, finished.len());
        match error {
            IoError::Stopped => IoError::Paused { partial, parts },
            cause => IoError::Interrupted { cause: Box::new(cause), partial, parts },
        }
    }

    /// Removes the directory with all that is in it.
    pub(super) fn discard(self) -> Result<(), IoError> {
        fs::remove_dir_all(&self.directory).map_err(IoError::file("remove", &self.directory))?;
        atomic::sync_parent(&self.directory)
    }
}

/// A file name for a URL: what can stand in one, and a digest, so that no two are the same.
fn file_name(url: &ObjectUrl) -> String {
    let url = url.to_string();
    let readable: String =
        url.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(100).collect();
    format!("{readable}-{}", &blake3::hash(url.as_bytes()).to_hex()[..8])
}

/// Makes a part that was written durable and records it: from now on it is finished.
pub(super) fn commit_part(
    file: &File,
    path: &Path,
    record: &mut PartRecord,
    journal: &mut Journal,
) -> Result<(), IoError> {
    file.sync_all().map_err(IoError::file("write", path))?;
    atomic::sync_parent(path)?;
    record.bytes = file.metadata().map_err(IoError::file("read", path))?.len();
    journal.append(record)
}

/// Makes the directory and locks it for this run.
fn lock(directory: &Path, target: &Path) -> Result<FileLock, IoError> {
    let path = directory.join("lock");
    loop {
        fs::create_dir_all(directory).map_err(IoError::file("create", directory))?;
        match FileLock::acquire(&path) {
            Ok(Some(lock)) if lock.is_at(&path) => return Ok(lock),
            Ok(None) => return Err(IoError::Busy { path: target.to_path_buf() }),
            // Another run has just ended and removed the directory.
            Ok(Some(_)) => {}
            Err(IoError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}
