//! The contents of a file: in memory, mapped, or part of the program.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use memmap2::Mmap;

/// Bytes that many may read.
#[derive(Clone, Debug)]
pub struct SharedBytes(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Owned(Arc<Vec<u8>>),
    Mapped(Arc<Mmap>),
    Static(&'static [u8]),
}

impl SharedBytes {
    /// Maps a file: pages are read when they are needed, and shared between processes.
    ///
    /// # Errors
    /// If the file cannot be opened or mapped.
    pub fn map(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        #[expect(unsafe_code, reason = "a mapped file that is cut short while it is used ends the program")]
        // SAFETY: checkpoints are replaced by renaming, never written in place; see `checkpoint::write_whole`.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self(Kind::Mapped(Arc::new(map))))
    }
}

impl From<Vec<u8>> for SharedBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Kind::Owned(Arc::new(bytes)))
    }
}

impl From<&'static [u8]> for SharedBytes {
    fn from(bytes: &'static [u8]) -> Self {
        Self(Kind::Static(bytes))
    }
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        match &self.0 {
            Kind::Owned(bytes) => bytes,
            Kind::Mapped(map) => map,
            Kind::Static(bytes) => bytes,
        }
    }
}
