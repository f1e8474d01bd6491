//! Where an output goes: a file or an object, whole or not at all.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use corruptor::{
    IoError,
    atomic::AtomicFile,
    store::{self, Location},
};
use tempfile::NamedTempFile;

/// An output that takes its name on [`commit`](Self::commit). Dropped before that, nothing of it is left.
#[derive(Debug)]
pub(super) enum Target {
    Local(AtomicFile),
    /// Written here first, then uploaded.
    Remote {
        local: NamedTempFile,
        url: PathBuf,
    },
}

impl Target {
    /// Starts an output at a path or URL.
    pub(super) fn create(path: &Path) -> Result<Self, IoError> {
        match Location::of(path)? {
            Location::Local(path) => Ok(Self::Local(AtomicFile::create(path)?)),
            Location::Remote(url) => {
                let local = NamedTempFile::new().map_err(|source| IoError::Copy {
                    url: url.to_string(),
                    directory: std::env::temp_dir(),
                    source,
                })?;
                Ok(Self::Remote { local, url: url.to_path() })
            }
        }
    }

    /// Makes it durable under its name.
    pub(super) fn commit(self) -> Result<(), IoError> {
        match self {
            Self::Local(file) => file.commit(),
            Self::Remote { local, url } => store::upload_file(local.path(), &url),
        }
    }
}

impl Write for Target {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Local(file) => file.write(buffer),
            Self::Remote { local, .. } => local.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Local(file) => file.flush(),
            Self::Remote { local, .. } => local.flush(),
        }
    }
}
