//! A directory that appears whole or not at all.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::checkpoint::CONFIG;
use crate::error::RestoreError;

/// A directory under a temporary name beside its own, which it takes on [`commit`](Self::commit). Dropped before that, it
/// vanishes.
#[derive(Debug)]
pub(crate) struct WholeDirectory {
    temporary: TempDir,
    path: PathBuf,
}

impl WholeDirectory {
    /// Starts a directory that will be `path`; missing parents are made. Only an empty directory, or with `overwrite` a
    /// checkpoint, may be there.
    pub(crate) fn create(path: &Path, overwrite: bool) -> Result<Self, RestoreError> {
        check_replaceable(path, overwrite)?;
        let parent = parent(path);
        fs::create_dir_all(parent).map_err(failed(parent))?;
        let name = path.file_name().ok_or_else(|| RestoreError::Format {
            path: path.to_owned(),
            message: "does not end in the name of a directory; give one that can be made".into(),
        })?;
        let mut builder = tempfile::Builder::new();
        let prefix = format!(".{}.", name.to_string_lossy());
        builder.prefix(&prefix).suffix(".tmp");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
        let temporary = builder.tempdir_in(parent).map_err(failed(path))?;
        Ok(Self { temporary, path: path.to_owned() })
    }

    /// Where to write until then.
    pub(crate) fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Takes its own name; what was there is moved aside before and removed after.
    pub(crate) fn commit(self) -> Result<(), RestoreError> {
        let Self { temporary, path } = self;
        let aside = temporary.path().with_extension("old");
        let error = failed(&path);
        if path.exists() {
            fs::rename(&path, &aside).map_err(&error)?;
        }
        if let Err(refused) = fs::rename(temporary.path(), &path) {
            if aside.exists() {
                fs::rename(&aside, &path).map_err(&error)?;
            }
            return Err(error(refused));
        }
        // It has moved: nothing is left under the temporary name for its guard to remove.
        let _moved = temporary.keep();
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(failed(&aside))?;
        }
        fs::File::open(parent(&path)).and_then(|parent| parent.sync_all()).map_err(&error)
    }
}

fn check_replaceable(path: &Path, overwrite: bool) -> Result<(), RestoreError> {
    let is_empty = match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => true,
        Err(error) => return Err(failed(path)(error)),
    };
    let message = match (overwrite, path.join(CONFIG).exists()) {
        _ if is_empty => return Ok(()),
        (true, true) => return Ok(()),
        (false, true) => {
            "there is a checkpoint already; overwrite it (--overwrite), or name another place".to_owned()
        }
        (_, false) => format!("is not empty and no checkpoint (it has no {CONFIG}); name another place"),
    };
    Err(RestoreError::Format { path: path.to_owned(), message })
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn failed(path: &Path) -> impl Fn(io::Error) -> RestoreError {
    let path = path.to_owned();
    move |source| RestoreError::Io { path: path.clone(), source }
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
    fn it_appears_on_commit_only_and_replaces_only_checkpoints() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("models/out");
        let make = |overwrite, name: &str| {
            let directory = WholeDirectory::create(&path, overwrite)?;
            fs::write(directory.path().join(name), name).unwrap();
            directory.commit()
        };
        let unfinished = WholeDirectory::create(&path, false).unwrap();
        assert!(!path.exists());
        drop(unfinished);
        assert_eq!(names(path.parent().unwrap()), Vec::<String>::new());
        make(false, CONFIG).unwrap();
        assert!(make(false, CONFIG).unwrap_err().to_string().contains("--overwrite"));
        make(true, "notes.md").unwrap();
        assert_eq!(names(&path), ["notes.md"]);
        assert!(make(true, CONFIG).unwrap_err().to_string().contains("no checkpoint"));
        assert_eq!(names(path.parent().unwrap()), ["out"]);
    }
}
