//! What a reader reads of an open file: decompression, and a count of the stored bytes read.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::MultiGzDecoder;

use super::files::{Compression, InputFile};
use crate::io_error::IoError;

const BUFFER_BYTES: usize = 64 << 10;

/// A stream of the decompressed bytes of `stored`, the content of `file`.
pub(super) fn decompressed(
    file: &InputFile,
    stored: File,
    counter: Arc<AtomicU64>,
) -> Result<Box<dyn BufRead + Send>, IoError> {
    let stored = BufReader::with_capacity(BUFFER_BYTES, Counted { inner: stored, counter });
    Ok(match file.compression {
        Compression::None => Box::new(stored),
        Compression::Gzip => Box::new(BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(stored))),
        Compression::Zstd => {
            let decoder = zstd::Decoder::with_buffer(stored).map_err(read_error(file))?;
            Box::new(BufReader::with_capacity(BUFFER_BYTES, decoder))
        }
    })
}

/// The decompressed content for formats that need to seek; where it is compressed, in an unnamed temporary file.
pub(super) fn seekable(file: &InputFile, stored: File) -> Result<File, IoError> {
    if file.compression == Compression::None {
        return Ok(stored);
    }
    let mut stream = decompressed(file, stored, Arc::default())?;
    let mut temporary = tempfile::tempfile().map_err(IoError::file("decompress", &file.label))?;
    io::copy(&mut stream, &mut temporary).map_err(read_error(file))?;
    temporary.rewind().map_err(IoError::file("decompress", &file.label))?;
    Ok(temporary)
}

/// Names the file and, where it is compressed, the likely reason.
pub(super) fn read_error(file: &InputFile) -> impl FnOnce(io::Error) -> IoError {
    let (path, compressed) = (file.label.to_path_buf(), file.compression != Compression::None);
    move |source| {
        if compressed {
            IoError::Decompress { path, source }
        } else {
            IoError::File { action: "read", path, source }
        }
    }
}

struct Counted<R> {
    inner: R,
    counter: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.counter.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
