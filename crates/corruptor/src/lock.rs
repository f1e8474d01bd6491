//! A file that one process at a time holds.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::io_error::IoError;

/// An advisory lock on a file, until it is dropped.
#[derive(Debug)]
pub struct FileLock {
    file: File,
}

impl FileLock {
    /// Locks the file, which is made if it does not exist; none if another holds it.
    ///
    /// # Errors
    /// If the file cannot be opened for writing, or its file system has no locks.
    pub fn acquire(path: impl AsRef<Path>) -> Result<Option<Self>, IoError> {
        let path = path.as_ref();
        let opened = File::options().create(true).truncate(false).write(true).open(path);
        let file = opened.map_err(IoError::file("write", path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(IoError::file("lock", path)(error)),
        }
    }

    /// Whether the locked file is still the one with this name: who held the lock before may have removed it.
    #[cfg(unix)]
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt as _;
        let id = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino());
        matches!((self.file.metadata(), path.metadata()), (Ok(a), Ok(b)) if id(&a) == id(&b))
    }

    #[cfg(not(unix))]
    pub(crate) fn is_at(&self, path: &Path) -> bool {
        path.exists()
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing would not do: a process that is just being started has a copy of the handle until it executes.
        let _ = self.file.unlock();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_free_even_while_a_copy_of_the_handle_is_open() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let held = FileLock::acquire(&path).unwrap().unwrap();
        assert!(FileLock::acquire(&path).unwrap().is_none());
        let copy = held.file.try_clone().unwrap();
        drop(held);
        assert!(FileLock::acquire(&path).unwrap().is_some());
        drop(copy);
    }
}
