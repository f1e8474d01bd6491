//! Files and directories that appear whole or not at all: temporary name beside the target, fsync, rename.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempDir};

use crate::io_error::IoError;

/// A file under a temporary name that takes its own name on [`commit`](Self::commit). Dropped before that, it vanishes.
///
/// Writes are not buffered.
#[derive(Debug)]
pub struct AtomicFile {
    temporary: NamedTempFile,
    path: PathBuf,
}

impl AtomicFile {
    /// Starts a file that will be `path`; its directory must exist. An existing file is replaced on commit.
    ///
    /// # Errors
    /// If the directory is missing or not writable.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, IoError> {
        let path = path.as_ref();
        let (directory, name) = parent_and_name(path)?;
        let mut builder = tempfile::Builder::new();
        let prefix = format!(".{name}.");
        builder.prefix(&prefix).suffix(".tmp");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let temporary = builder.tempfile_in(directory).map_err(IoError::file("write", path))?;
        Ok(Self { temporary, path: path.to_path_buf() })
    }

    /// Flushes everything to the disk and renames the file to its own name.
    ///
    /// # Errors
    /// If the disk is full or the rename is refused; nothing is left behind then.
    pub fn commit(self) -> Result<(), IoError> {
        let Self { temporary, path } = self;
        temporary.as_file().sync_all().map_err(IoError::file("write", &path))?;
        temporary.persist(&path).map_err(|error| IoError::file("rename", &path)(error.error))?;
        sync_parent(&path)
    }

    /// Writes a whole file at once.
    ///
    /// # Errors
    /// As [`create`](Self::create) and [`commit`](Self::commit).
    pub fn write_whole(path: impl AsRef<Path>, content: &[u8]) -> Result<(), IoError> {
        let mut file = Self::create(&path)?;
        file.write_all(content).map_err(IoError::file("write", path.as_ref()))?;
        file.commit()
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.temporary.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush()
    }
}

/// What to do with an output directory that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Existing {
    /// An error, unless it is empty.
    #[default]
    Keep,
    /// Replace it, provided that it holds nothing but Parquet files (at any depth).
    Replace,
}

/// A directory under a temporary name that takes its own name on [`commit`](Self::commit). Dropped before that, it vanishes.
#[derive(Debug)]
pub struct AtomicDir {
    temporary: TempDir,
    path: PathBuf,
}

impl AtomicDir {
    /// Starts a directory that will be `path`; missing parents are made.
    ///
    /// # Errors
    /// If `path` is there already and `existing` does not allow to replace it, or if its parent is not writable.
    pub fn create(path: impl AsRef<Path>, existing: Existing) -> Result<Self, IoError> {
        let path = path.as_ref();
        let (directory, name) = parent_and_name(path)?;
        fs::create_dir_all(directory).map_err(IoError::file("create", directory))?;
        check_replaceable(path, existing)?;
        let mut builder = tempfile::Builder::new();
        let prefix = format!(".{name}.");
        builder.prefix(&prefix).suffix(".tmp");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let temporary = builder.tempdir_in(directory).map_err(IoError::file("create", path))?;
        Ok(Self { temporary, path: path.to_path_buf() })
    }

    /// Where to write until then.
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Renames the directory to its own name; what was there before is moved aside first and removed last.
    ///
    /// # Errors
    /// If a rename is refused; what was there before is put back then.
    pub fn commit(self) -> Result<(), IoError> {
        let Self { temporary, path } = self;
        take_name(temporary.path(), &path)?;
        // The directory has moved: there is nothing left under the temporary name for its guard to remove.
        let _moved = temporary.keep();
        Ok(())
    }
}

/// Renames a directory to `path`; what was there before is moved aside first and removed last.
pub(crate) fn take_name(directory: &Path, path: &Path) -> Result<(), IoError> {
    sync_directory(directory)?;
    let (parent, name) = parent_and_name(path)?;
    let aside = parent.join(format!(".{name}.old.tmp"));
    if path.exists() {
        // Left by a program that was killed right here, after an earlier replacement.
        remove_if_there(&aside)?;
        fs::rename(path, &aside).map_err(IoError::file("rename", path))?;
    }
    if let Err(error) = fs::rename(directory, path) {
        if aside.exists() {
            fs::rename(&aside, path).map_err(IoError::file("restore", path))?;
        }
        return Err(IoError::file("rename", path)(error));
    }
    remove_if_there(&aside)?;
    sync_parent(path)
}

fn remove_if_there(directory: &Path) -> Result<(), IoError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(IoError::file("remove", directory)(error))
        }
        _ => Ok(()),
    }
}

pub(crate) fn check_replaceable(path: &Path, existing: Existing) -> Result<(), IoError> {
    if !path.exists() {
        return Ok(());
    }
    let is_empty = fs::read_dir(path).map_err(IoError::file("list", path))?.next().is_none();
    match existing {
        _ if is_empty => Ok(()),
        Existing::Keep => Err(IoError::Exists { path: path.to_path_buf() }),
        Existing::Replace => {
            for entry in walkdir::WalkDir::new(path) {
                let entry = entry.map_err(|error| IoError::file("list", path)(error.into()))?;
                let is_ours =
                    entry.file_type().is_dir() || entry.path().extension().is_some_and(|e| e == "parquet");
                if !is_ours {
                    return Err(IoError::Foreign { path: path.to_path_buf(), foreign: entry.into_path() });
                }
            }
            Ok(())
        }
    }
}

pub(crate) fn parent_and_name(path: &Path) -> Result<(&Path, String), IoError> {
    let Some(name) = path.file_name() else {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "the path does not end in a name");
        return Err(IoError::file("write", path)(error));
    };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((parent, name.to_string_lossy().into_owned()))
}

pub(crate) fn sync_parent(path: &Path) -> Result<(), IoError> {
    sync_directory(parent_and_name(path)?.0)
}

/// Makes the names in a directory durable, where the platform lets directories be opened.
pub(crate) fn sync_directory(directory: &Path) -> Result<(), IoError> {
    if cfg!(unix) {
        File::open(directory).and_then(|d| d.sync_all()).map_err(IoError::file("write", directory))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_on_commit_only() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("a.txt");
        let mut file = AtomicFile::create(&path).unwrap();
        file.write_all(b"whole").unwrap();
        assert!(!path.exists());
        file.commit().unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        drop(AtomicFile::create(&path).unwrap());
        assert_eq!(names(home.path()), ["a.txt"]);
    }

    #[test]
    fn a_directory_replaces_only_its_own_kind() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("made/out");
        let write = |existing, name: &str| {
            let directory = AtomicDir::create(&path, existing)?;
            AtomicFile::write_whole(directory.path().join(name), b"x")?;
            directory.commit()
        };
        write(Existing::Keep, "a.parquet").unwrap();
        assert!(matches!(write(Existing::Keep, "b.parquet"), Err(IoError::Exists { .. })));
        write(Existing::Replace, "b.parquet").unwrap();
        assert_eq!(names(&path), ["b.parquet"]);
        fs::write(path.join("notes.md"), "mine").unwrap();
        assert!(matches!(write(Existing::Replace, "c.parquet"), Err(IoError::Foreign { .. })));
        assert_eq!(names(&path), ["b.parquet", "notes.md"]);
        assert_eq!(names(path.parent().unwrap()), ["out"]);
    }
}
