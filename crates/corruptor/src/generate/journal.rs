//! The record of what is finished: a line of JSON for the run, then one for each part.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::atomic::AtomicFile;
use crate::channel::AttemptCounts;
use crate::io_error::IoError;
use crate::split::Split;

/// Raised whenever the same recipe and input would give other bytes, or the journal other fields.
const VERSION: u32 = 1;

/// What a run is: two runs with the same identity make the same bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    version: u32,
    /// The program's version and the Unicode version whose graphemes are the unit.
    pub(super) program: String,
    /// The resolved recipe as TOML.
    pub(super) recipe: String,
    /// How the input is read and the output is cut.
    pub(super) options: String,
    /// Digest over the names and sizes of the input files, in order. What they hold is checked by [`Position::digest`].
    pub(super) input: String,
}

impl Identity {
    pub(super) fn new(program: String, recipe: String, options: String, files: &[(&Path, u64)]) -> Self {
        let mut listing = blake3::Hasher::new();
        for (path, bytes) in files {
            let name = path.as_os_str().as_encoded_bytes();
            listing.update(&(name.len() as u64).to_le_bytes()).update(name).update(&bytes.to_le_bytes());
        }
        let input = listing.finalize().to_hex().to_string();
        Self { version: VERSION, program, recipe, options, input }
    }

    /// What differs in another identity.
    pub(super) fn difference(&self, other: &Self) -> Option<&'static str> {
        let differences = [
            (
                self.version != other.version || self.program != other.program,
                "another version of the program",
            ),
            (self.recipe != other.recipe, "another recipe"),
            (self.options != other.options, "other options"),
            (self.input != other.input, "another input"),
        ];
        differences.into_iter().find(|(differs, _)| *differs).map(|(_, what)| what)
    }
}

/// How far the documents of a split have come with a part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Documents before the one that the last row comes from, and their passages.
    pub(super) documents: u64,
    pub(super) passages: u64,
    /// Rows of all parts so far.
    pub(super) rows: u64,
    /// Documents that the parts were made from, and the digest over their texts and keys.
    pub(super) begun: u64,
    pub(super) digest: String,
}

/// A finished part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartRecord {
    pub(super) split: Split,
    pub(super) part: u32,
    pub(super) rows: u64,
    /// Size of its file.
    pub(super) bytes: u64,
    pub(super) position: Position,
    /// What the sampler tried in all parts of the split so far.
    pub(super) attempts: AttemptCounts,
}

/// The open journal: every line is on the disk when [`append`](Self::append) returns.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
}

impl Journal {
    /// What a journal says; `None` where there is none. A line that was cut off by the end of a run, and all after it, is none.
    pub(super) fn read(path: &Path) -> Result<Option<(Identity, Vec<PartRecord>)>, IoError> {
        let text = match std::fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(IoError::file("read", path)(error)),
        };
        let mut lines = text.split_inclusive('\n').map_while(|line| line.strip_suffix('\n'));
        let Some(Ok(identity)) = lines.next().map(serde_json::from_str) else { return Ok(None) };
        Ok(Some((identity, lines.map_while(|line| serde_json::from_str(line).ok()).collect())))
    }

    /// Starts a journal with these parts, in place of what was there.
    pub(super) fn start(path: &Path, identity: &Identity, parts: &[PartRecord]) -> Result<Self, IoError> {
        let mut text = line(identity, path)?;
        for part in parts {
            text.push_str(&line(part, path)?);
        }
        AtomicFile::write_whole(path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path).map_err(IoError::file("write", path))?;
        Ok(Self { path: path.to_path_buf(), file })
    }

    pub(super) fn append(&mut self, part: &PartRecord) -> Result<(), IoError> {
        let line = line(part, &self.path)?;
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(IoError::file("write", &self.path))
    }
}

fn line(value: &impl Serialize, path: &Path) -> Result<String, IoError> {
    let mut line =
        serde_json::to_string(value).map_err(|error| IoError::file("write", path)(error.into()))?;
    line.push('\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_none() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("journal");
        let identity = Identity::new("p".into(), "r".into(), "o".into(), &[(Path::new("a"), 1)]);
        let part = |part| PartRecord {
            split: Split::Train,
            part,
            rows: 1,
            bytes: 2,
            position: Position::default(),
            attempts: AttemptCounts::default(),
        };
        assert_eq!(Journal::read(&path).unwrap(), None);
        let mut journal = Journal::start(&path, &identity, &[part(0)]).unwrap();
        journal.append(&part(1)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(Journal::read(&path).unwrap(), Some((identity.clone(), vec![part(0), part(1)])));
        let first = whole.iter().position(|&byte| byte == b'\n').unwrap();
        for cut in first + 1..whole.len() {
            std::fs::write(&path, &whole[..cut]).unwrap();
            let (found, parts) = Journal::read(&path).unwrap().unwrap();
            assert_eq!((&found, parts.len() < 2), (&identity, true), "cut at {cut}");
        }
        std::fs::write(&path, &whole[..first]).unwrap();
        assert_eq!(Journal::read(&path).unwrap(), None);
    }
}
