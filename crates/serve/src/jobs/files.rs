//! What jobs have on the disk: each a directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The directories of all jobs.
#[derive(Debug, Clone)]
pub struct Files {
    directory: PathBuf,
}

impl Files {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_path_buf() }
    }

    /// The directory of them.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// All that a job has.
    pub fn of(&self, id: &str) -> PathBuf {
        self.directory.join(id)
    }

    /// What was sent with the request.
    pub fn upload(&self, id: &str, extension: &str) -> PathBuf {
        self.of(id).join(format!("upload.{extension}"))
    }

    /// Its finished units.
    pub(super) fn parts(&self, id: &str) -> PathBuf {
        self.of(id).join("parts")
    }

    /// Its output, where it has no other place.
    pub fn result(&self, id: &str, extension: &str) -> PathBuf {
        self.of(id).join(format!("result.{extension}"))
    }

    /// Makes the directory of a new job, which is removed again unless it is kept.
    ///
    /// # Errors
    ///
    /// Where it cannot be made.
    pub fn begin(&self, id: &str) -> io::Result<Begun> {
        let path = self.of(id);
        fs::create_dir(&path)?;
        Ok(Begun { path: Some(path) })
    }

    /// Removes all that a job has.
    pub(super) fn remove(&self, id: &str) {
        remove(&self.of(id));
    }

    /// Removes what a job no longer needs once it has ended.
    pub(super) fn remove_inputs(&self, id: &str, extension: &str) {
        remove(&self.parts(id));
        remove(&self.upload(id, extension));
    }

    /// Removes what belongs to none of the jobs `known`: uploads that were never accepted.
    pub(super) fn remove_others(&self, known: &[String]) -> io::Result<()> {
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            // What is not called like a job is not ours.
            let Some(id) = name.to_str().filter(|name| is_id(name)) else { continue };
            if entry.file_type()?.is_dir() && !known.iter().any(|known| known == id) {
                remove(&entry.path());
            }
        }
        Ok(())
    }
}

/// An id that no other job has.
pub(crate) fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn is_id(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The directory of a job that is not accepted yet.
#[derive(Debug)]
pub struct Begun {
    path: Option<PathBuf>,
}

impl Begun {
    /// The job is accepted.
    pub fn keep(mut self) {
        self.path = None;
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            remove(path);
        }
    }
}

/// What stays where it cannot be removed is removed at the next start, with what belongs to no job.
fn remove(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "cannot remove what a job has left");
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uploads_that_were_never_accepted_are_removed_and_what_is_not_ours_stays() {
        let home = tempfile::tempdir().unwrap();
        let files = Files::new(home.path());
        let [known, lost, left] = [new_id(), new_id(), new_id()];
        for id in [&known, &lost] {
            files.begin(id).unwrap().keep();
            fs::write(files.upload(id, "csv"), "a").unwrap();
        }
        drop(files.begin(&left).unwrap());
        assert!(!files.of(&left).exists());
        for other in ["notes", "0123456789ABCDEF0123456789ABCDEF"] {
            fs::create_dir(home.path().join(other)).unwrap();
        }
        files.remove_others(std::slice::from_ref(&known)).unwrap();
        assert!(files.upload(&known, "csv").exists() && !files.of(&lost).exists());
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 3);
    }
}
