//! SHA-256 of files, to hold what is read to what the recipe pins.

use std::fmt::Write as _;
use std::io::{BufReader, Read as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::io_error::IoError;
use crate::store;

/// The SHA-256 of a file, in hex.
pub(crate) fn of_file(path: &Path) -> Result<String, IoError> {
    let mut reader = BufReader::new(store::open(path)?);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match reader.read(&mut buffer).map_err(IoError::file("read", path))? {
            0 => return Ok(hex(&hasher.finalize())),
            read => hasher.update(&buffer[..read]),
        }
    }
}

/// The SHA-256 of a text, in hex.
#[cfg(feature = "corpora")]
pub(super) fn of_text(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Fails unless `found` is what the recipe pins.
#[cfg(feature = "corpora")]
pub(super) fn check(what: &str, found: String, pinned: &str) -> Result<(), IoError> {
    if found.eq_ignore_ascii_case(pinned) {
        return Ok(());
    }
    Err(IoError::Digest { what: what.to_owned(), found, pinned: pinned.to_owned() })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
