//! What tells one state of a checkpoint directory from another, without reading its files.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::error::SourceError;
use crate::checkpoint::{CONFIG, RESTORER};
use crate::gguf::{GENERATION_CONFIG, TOKENIZER};
use crate::lora::ADAPTER_CONFIG;

/// Files that decide what a checkpoint does, beside its weights.
const DECIDING: [&str; 5] = [CONFIG, RESTORER, ADAPTER_CONFIG, TOKENIZER, GENERATION_CONFIG];

/// The place, and name, length and time of each file that decides what the checkpoint in it does, its parts' included. A directory
/// that is not there has a state too.
pub(super) fn state_of(directory: &Path) -> Result<String, SourceError> {
    let place = match fs::canonicalize(directory) {
        Ok(place) => place,
        Err(error) if error.kind() == ErrorKind::NotFound => directory.to_owned(),
        Err(error) => return Err(SourceError::io(directory)(error)),
    };
    let mut state = blake3::Hasher::new();
    for path in files(&place, true)? {
        // What vanishes meanwhile is as if it had never been there.
        let Some(about) = found(&path, fs::metadata(&path))? else { continue };
        let written = about.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let nanoseconds = written.map_or(0, |since| since.as_nanos());
        state.update(format!("{}\n{}\n{nanoseconds}\n", path.display(), about.len()).as_bytes());
    }
    Ok(format!("directory {} {}", place.display(), &state.finalize().to_hex()[..32]))
}

/// The files, sorted; with `parts` those of subdirectories that are checkpoints too.
fn files(directory: &Path, parts: bool) -> Result<Vec<PathBuf>, SourceError> {
    let mut files = Vec::new();
    let entries = found(directory, fs::read_dir(directory))?.into_iter().flatten();
    for entry in entries {
        let path = entry.map_err(SourceError::io(directory))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if DECIDING.contains(&&*name) || name.contains(".safetensors") {
            files.push(path);
        } else if parts && path.join(CONFIG).is_file() {
            files.extend(self::files(&path, false)?);
        }
    }
    files.sort();
    Ok(files)
}

/// Something of a path that is there.
fn found<T>(path: &Path, result: std::io::Result<T>) -> Result<Option<T>, SourceError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(SourceError::io(path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn what_decides_changes_the_state_and_nothing_else() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        let missing = state_of(home.path().join("none").as_path()).unwrap();
        assert_eq!(missing, state_of(home.path().join("none").as_path()).unwrap());
        for name in ["prior", "state"] {
            fs::create_dir(at(name)).unwrap();
        }
        for name in ["config.json", "restorer.json", "model.safetensors", "prior/config.json"] {
            fs::write(at(name), "one").unwrap();
        }
        let mut last = state_of(home.path()).unwrap();
        for name in ["log.jsonl", "metrics.json", "state/run-1.safetensors"] {
            fs::write(at(name), "new").unwrap();
            assert_eq!(state_of(home.path()).unwrap(), last, "{name}");
        }
        for name in ["restorer.json", "model.safetensors", "prior/config.json", "prior/model.safetensors"] {
            fs::write(at(name), "longer").unwrap();
            let state = state_of(home.path()).unwrap();
            assert_ne!(state, last, "{name}");
            last = state;
        }
        let weights = fs::File::options().write(true).open(at("model.safetensors")).unwrap();
        weights.set_modified(SystemTime::now() + Duration::from_secs(9)).unwrap();
        assert_ne!(state_of(home.path()).unwrap(), last);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_leads_elsewhere_is_another_state() {
        let home = tempfile::tempdir().unwrap();
        let link = home.path().join("current");
        let mut states = Vec::new();
        for name in ["one", "two"] {
            fs::create_dir(home.path().join(name)).unwrap();
            let _ = fs::remove_file(&link);
            std::os::unix::fs::symlink(name, &link).unwrap();
            states.push(state_of(&link).unwrap());
        }
        assert_ne!(states[0], states[1]);
    }
}
