//! The files of a version, taken from the server's store of artifacts.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Component, Path};

use serde_json::Value;

use super::client::Client;
use crate::checkpoint::CONFIG;
use crate::directory::WholeDirectory;
use crate::error::RestoreError;
use crate::lora::ADAPTER_CONFIG;
use crate::source::error::SourceError;
use crate::source::retry::with_retries;

/// Folders within folders that a checkpoint may have.
const DEPTH: usize = 4;
/// Files that a checkpoint may have.
const FILES: usize = 1000;

/// A file that is listed below a folder.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    /// Its path there, with `/` between folders.
    path: String,
    /// Its length; not every store tells it.
    bytes: Option<u64>,
}

/// An entry of a folder.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    File(Listed),
    Folder(String),
}

/// Downloads everything in `folder` into `directory`, which appears whole or not at all.
pub(super) fn download(client: &Client, folder: &str, directory: &Path) -> Result<(), SourceError> {
    let mut files = Vec::new();
    list(client, folder, "", 0, &mut files)?;
    check(&format!("{} {folder}", client.server()), &files)?;
    let whole = WholeDirectory::create(directory, false).map_err(|error| unpack(directory, error))?;
    for file in &files {
        let path = whole.path().join(&file.path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(SourceError::io(parent))?;
        }
        with_retries(SourceError::may_pass, || take(client, folder, file, &path))?;
    }
    // Another process may have been faster, and others use what it made.
    if directory.is_dir() {
        return Ok(());
    }
    whole.commit().map_err(|error| unpack(directory, error))
}

/// Adds what is listed in `folder`, at `below` of it.
fn list(
    client: &Client,
    folder: &str,
    below: &str,
    depth: usize,
    files: &mut Vec<Listed>,
) -> Result<(), SourceError> {
    let place = format!("{folder}/{below}");
    let too_much = |limit: String| SourceError::TooMuch { place: place.clone(), limit };
    if depth > DEPTH {
        return Err(too_much(format!("{DEPTH} folders within each other")));
    }
    for entry in entries(&client.list(place.trim_end_matches('/'))?, &place, below)? {
        match entry {
            Entry::Folder(path) => list(client, folder, &format!("{path}/"), depth + 1, files)?,
            Entry::File(_) if files.len() == FILES => return Err(too_much(format!("{FILES} files"))),
            Entry::File(file) => files.push(file),
        }
    }
    Ok(())
}

/// What an answer lists; each name is a plain one.
fn entries(answer: &Value, place: &str, below: &str) -> Result<Vec<Entry>, SourceError> {
    let listed = answer["files"].as_array().map(Vec::as_slice).unwrap_or_default();
    let entry = |file: &Value| {
        let name = file["path"].as_str().unwrap_or_default();
        if !is_file_name(name) {
            return Err(SourceError::FileName { place: place.to_owned(), name: name.to_owned() });
        }
        let path = format!("{below}{name}");
        if file["is_dir"].as_bool() == Some(true) {
            return Ok(Entry::Folder(path));
        }
        let size = &file["file_size"];
        // Some servers write 64-bit integers as strings.
        let bytes = size.as_u64().or_else(|| size.as_str()?.parse().ok());
        Ok(Entry::File(Listed { path, bytes }))
    };
    listed.iter().map(entry).collect()
}

/// Whether a name stays in its folder, on every system.
fn is_file_name(name: &str) -> bool {
    let mut components = Path::new(name).components();
    matches!(components.next(), Some(Component::Normal(_)))
        && components.next().is_none()
        && !name.contains(['/', '\\', ':'])
        && !name.chars().any(char::is_control)
}

/// Checks that there is a checkpoint, before much is downloaded.
fn check(place: &str, files: &[Listed]) -> Result<(), SourceError> {
    if files.iter().any(|file| [CONFIG, ADAPTER_CONFIG].contains(&&*file.path)) {
        return Ok(());
    }
    let names: Vec<_> = files.iter().take(5).map(|file| &*file.path).collect();
    let found =
        if names.is_empty() { "no file at all".to_owned() } else { format!("but {}", names.join(", ")) };
    Err(SourceError::NoCheckpoint { place: place.to_owned(), found })
}

/// Downloads a file, and holds its length to the one that was listed.
fn take(client: &Client, folder: &str, file: &Listed, path: &Path) -> Result<(), SourceError> {
    let answer = client.open(&format!("{folder}/{}", file.path))?;
    let expected = file.bytes.or_else(|| answer.content_length());
    let mut written = File::create(path).map_err(SourceError::io(path))?;
    // One byte more than expected is enough to know.
    let found = copy(client, answer.take(expected.map_or(u64::MAX, |bytes| bytes + 1)), &mut written, path)?;
    if let Some(expected) = expected.filter(|expected| found != *expected) {
        return Err(SourceError::Size { file: file.path.clone(), expected, found });
    }
    written.sync_all().map_err(SourceError::io(path))
}

/// Copies to the end; tells a broken connection from a full disk.
fn copy(client: &Client, mut from: impl Read, to: &mut File, path: &Path) -> Result<u64, SourceError> {
    let mut buffer = vec![0; 1 << 16];
    let mut copied = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let what = format!("{} broke off: {error}", path.file_name().unwrap_or_default().display());
                return Err(SourceError::Unreachable { server: client.server().to_owned(), what });
            }
        };
        to.write_all(&buffer[..read]).map_err(SourceError::io(path))?;
        copied += read as u64;
    }
}

/// What went wrong with the directory that is being made.
fn unpack(directory: &Path, error: RestoreError) -> SourceError {
    match error {
        RestoreError::Io { path, source } => SourceError::Io { path, source },
        other => SourceError::io(directory)(io::Error::other(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_listed_is_below_its_folder() {
        let answer = json!({"files": [
            {"path": "config.json", "is_dir": false, "file_size": 2},
            {"path": "part", "is_dir": true},
            {"path": "big", "file_size": "7"},
        ]});
        let file = |path: &str, bytes| Entry::File(Listed { path: path.to_owned(), bytes });
        assert_eq!(
            entries(&answer, "x", "a/").unwrap(),
            [file("a/config.json", Some(2)), Entry::Folder("a/part".to_owned()), file("a/big", Some(7))]
        );
        assert_eq!(entries(&json!({}), "x", "").unwrap(), []);
    }

    #[test]
    fn no_name_leads_out_of_its_folder() {
        for name in ["", ".", "..", "../a", "/a", "a/b", "a/", "a\\b", "C:a", "a\0b", "a\n"] {
            let answer = json!({"files": [{"path": name}]});
            let message = entries(&answer, "server folder", "").unwrap_err().to_string();
            assert!(message.contains("server folder"), "{name:?}: {message}");
        }
    }

    #[test]
    fn what_is_no_checkpoint_is_told_with_what_is_there() {
        let file = |path: &str| Listed { path: path.to_owned(), bytes: None };
        assert!(check("x", &[file("a"), file("adapter_config.json")]).is_ok());
        let message = |files: &[Listed]| check("x", files).unwrap_err().to_string();
        assert!(message(&[file("part/config.json"), file("MLmodel")]).contains("MLmodel"));
        assert!(message(&[]).contains("no file at all"));
    }
}
