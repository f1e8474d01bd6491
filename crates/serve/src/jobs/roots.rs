//! Where jobs may read and write.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use corruptor::store::{Location, ObjectUrl};

use super::JobsError;

/// Directories and URLs under which jobs may name paths; without any they may name none.
#[derive(Debug, Clone, Default)]
pub struct Roots {
    local: Vec<PathBuf>,
    remote: Vec<ObjectUrl>,
}

/// Why a job may not read or write at a place.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Jobs may name no path.
    #[error("this server takes uploads only: it was started without --root")]
    NoRoots,
    /// It is under no root.
    #[error("`{0}` is under no root of this server")]
    Outside(String),
    /// There is nothing, or it cannot be looked at.
    #[error("cannot read `{given}`: {source}")]
    Missing {
        /// What was named.
        given: String,
        /// The operating system's reason.
        source: io::Error,
    },
    /// It is something else.
    #[error("`{0}` is no file")]
    NoFile(String),
    /// The URL cannot be read.
    #[error("{0}")]
    Url(String),
}

impl Roots {
    /// Checks what was given on the command line.
    ///
    /// # Errors
    ///
    /// [`JobsError::Root`].
    pub fn new(given: &[PathBuf]) -> Result<Self, JobsError> {
        let mut roots = Self::default();
        for root in given {
            let wrong = |message: String| JobsError::Root { root: root.clone(), message };
            match Location::of(root).map_err(|error| wrong(error.to_string()))? {
                Location::Remote(url) => roots.remote.push(url),
                Location::Local(path) => {
                    let path = fs::canonicalize(path).map_err(|error| wrong(error.to_string()))?;
                    if !path.is_dir() {
                        return Err(wrong("it is no directory".to_owned()));
                    }
                    roots.local.push(path);
                }
            }
        }
        Ok(roots)
    }

    /// The place of an existing file or of an object, without symbolic links.
    ///
    /// # Errors
    ///
    /// [`PlaceError`].
    pub fn input(&self, given: &Path) -> Result<PathBuf, PlaceError> {
        let path = match self.location(given)? {
            Location::Remote(url) => return self.object(&url),
            Location::Local(path) => path,
        };
        let found = fs::canonicalize(&path).map_err(|source| self.missing(&path, source))?;
        self.under(&found, given)?;
        if found.is_file() { Ok(found) } else { Err(PlaceError::NoFile(shown(given))) }
    }

    /// The place of a file or object to be written, in a directory without symbolic links.
    ///
    /// # Errors
    ///
    /// [`PlaceError`].
    pub fn output(&self, given: &Path) -> Result<PathBuf, PlaceError> {
        let path = match self.location(given)? {
            Location::Remote(url) => return self.object(&url),
            Location::Local(path) => path,
        };
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(PlaceError::NoFile(shown(given)));
        };
        let parent = fs::canonicalize(parent).map_err(|source| self.missing(&path, source))?;
        self.under(&parent, given)?;
        let found = parent.join(name);
        // A link would be replaced by the output, not followed.
        if found.is_dir() { Err(PlaceError::NoFile(shown(given))) } else { Ok(found) }
    }

    fn location(&self, given: &Path) -> Result<Location, PlaceError> {
        if self.local.is_empty() && self.remote.is_empty() {
            return Err(PlaceError::NoRoots);
        }
        Location::of(given).map_err(|error| PlaceError::Url(error.to_string()))
    }

    fn under(&self, found: &Path, given: &Path) -> Result<(), PlaceError> {
        if self.local.iter().any(|root| found.starts_with(root)) {
            return Ok(());
        }
        Err(PlaceError::Outside(shown(given)))
    }

    /// Whether something is there is told under the roots only.
    fn missing(&self, path: &Path, source: io::Error) -> PlaceError {
        let climbs = path.components().any(|part| part == Component::ParentDir);
        if !climbs && self.local.iter().any(|root| path.starts_with(root)) {
            return PlaceError::Missing { given: shown(path), source };
        }
        PlaceError::Outside(shown(path))
    }

    fn object(&self, url: &ObjectUrl) -> Result<PathBuf, PlaceError> {
        let is_under = |root: &ObjectUrl| {
            let below = url.key.strip_prefix(root.key.as_str());
            let is_below = below.is_some_and(|rest| root.key.is_empty() || rest.starts_with('/'));
            (url.scheme, &url.bucket) == (root.scheme, &root.bucket) && is_below
        };
        if url.key.is_empty() || !self.remote.iter().any(is_under) {
            return Err(PlaceError::Outside(url.to_string()));
        }
        Ok(url.to_path())
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(found: &Result<PathBuf, PlaceError>) -> bool {
        matches!(found, Err(PlaceError::Outside(_)))
    }

    #[cfg(unix)]
    #[test]
    fn paths_are_taken_under_the_roots_whatever_they_are_called() {
        use std::os::unix::fs::symlink;
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let (root, secret) = (home.join("root"), home.join("root-secret"));
        for directory in [&root, &secret] {
            fs::create_dir(directory).unwrap();
            fs::write(directory.join("a.csv"), "a").unwrap();
        }
        symlink(secret.join("a.csv"), root.join("out.csv")).unwrap();
        symlink(&secret, root.join("out")).unwrap();
        symlink(root.join("a.csv"), root.join("in.csv")).unwrap();
        symlink(&root, home.join("link")).unwrap();
        // A root may be a link itself.
        let roots = Roots::new(&[home.join("link")]).unwrap();
        let input = |name: &str| roots.input(&home.join(name));
        for name in ["root/a.csv", "root/in.csv", "link/a.csv", "root-secret/../root/a.csv"] {
            assert_eq!(input(name).unwrap(), root.join("a.csv"), "{name}");
        }
        for name in ["root-secret/a.csv", "root/../root-secret/a.csv", "root/out.csv", "root/out/a.csv"] {
            assert!(outside(&input(name)), "{name}");
        }
        // What is not there is told under the roots only.
        assert!(matches!(input("root/none.csv"), Err(PlaceError::Missing { .. })));
        assert!(outside(&input("root-secret/none.csv")) && outside(&input("root/../none.csv")));
        assert!(matches!(input("root"), Err(PlaceError::NoFile(_))));

        let output = |name: &str| roots.output(&home.join(name));
        assert_eq!(output("link/new.csv").unwrap(), root.join("new.csv"));
        assert_eq!(output("root/out.csv").unwrap(), root.join("out.csv"));
        for name in ["root/out/new.csv", "new.csv", "root-secret/a.csv", "root/../new.csv"] {
            assert!(outside(&output(name)), "{name}");
        }
        assert!(Roots::new(&[home.join("none")]).is_err());
        assert!(matches!(Roots::default().input(&root.join("a.csv")), Err(PlaceError::NoRoots)));
    }

    #[test]
    fn urls_are_taken_under_whole_names() {
        let roots = Roots::new(&["s3://texts/in".into(), "gs://all".into()]).unwrap();
        for url in ["s3://texts/in/a.csv", "s3://texts/in/b/a.csv", "gs://all/a.csv"] {
            assert_eq!(roots.input(Path::new(url)).unwrap(), Path::new(url));
            assert_eq!(roots.output(Path::new(url)).unwrap(), Path::new(url));
        }
        for url in
            ["s3://texts/in2/a.csv", "s3://texts/a.csv", "s3://other/in/a.csv", "az://all/a.csv", "gs://all"]
        {
            assert!(outside(&roots.input(Path::new(url))), "{url}");
        }
        assert!(matches!(roots.input(Path::new("s3://texts/in/../a.csv")), Err(PlaceError::Url(_))));
    }
}
