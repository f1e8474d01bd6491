//! Packages of the npm registry, fetched by the ordinary client and checked against the recipe's digest.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use flate2::read::GzDecoder;
use tempfile::TempDir;

use super::digest;
use super::glob;
use super::settings::NpmSource;
use crate::documents::InputFile;
use crate::io_error::IoError;

/// The files of a package that a source includes, unpacked into a temporary directory that lives as long as this.
pub(super) struct Package {
    /// In the order of their paths in the package.
    pub(super) files: Vec<InputFile>,
    _directory: TempDir,
}

/// Fetches a package with `npm pack`, checks its digest, and unpacks what the source includes.
pub(super) fn fetch(source: &NpmSource) -> Result<Package, IoError> {
    let package = format!("{}@{}", source.package, source.version);
    let directory = tempfile::tempdir().map_err(IoError::file("create", &std::env::temp_dir()))?;
    let tarball = pack(&package, directory.path())?;
    digest::check(&package, digest::of_file(&tarball)?, &source.sha256)?;
    let unpacked = unpack(&tarball, &directory.path().join("unpacked"), &source.include)
        .map_err(IoError::file("unpack", Path::new(&package)))?;
    let mut files = Vec::new();
    for (name, path) in unpacked {
        // As in directories, files that hold no documents are passed over.
        match InputFile::new(&path) {
            Ok(file) => files.push(InputFile { label: Path::new(&package).join(name).into(), ..file }),
            Err(IoError::UnknownFormat { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    if files.is_empty() {
        let message = format!(
            "the package has no text file that {:?} matches; correct the key `include`",
            source.include
        );
        return Err(IoError::Fetch { package, message });
    }
    Ok(Package { files, _directory: directory })
}

/// Runs `npm pack` and returns the tarball's path.
fn pack(package: &str, directory: &Path) -> Result<PathBuf, IoError> {
    let fail = |message: String| IoError::Fetch { package: package.to_owned(), message };
    let output = Command::new("npm")
        .args(["pack", package, "--ignore-scripts", "--loglevel=error", "--pack-destination"])
        .arg(directory)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            fail(format!("npm does not start: {error}; install Node.js with npm, or mend PATH"))
        })?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let message =
            format!("npm pack failed: {}; check the network and npm's registry setting", stderr.trim());
        return Err(fail(message));
    }
    let entries = fs::read_dir(directory).map_err(IoError::file("list", directory))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .ok_or_else(|| fail("npm pack left no tarball; is npm 7 or newer?".to_owned()))
}

/// Unpacks the regular files that `include` matches; keys are paths in the package.
fn unpack(tarball: &Path, into: &Path, include: &str) -> io::Result<BTreeMap<String, PathBuf>> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(tarball)?));
    let mut files = BTreeMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let Some(name) = name_in_package(&entry.path()?) else { continue };
        if entry.header().entry_type().is_file() && glob::matches(include, &name) {
            let path = into.join(&name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            io::copy(&mut entry, &mut File::create(&path)?)?;
            files.insert(name, path);
        }
    }
    Ok(files)
}

/// The path below the package's root folder; `None` where it would lead out of it.
fn name_in_package(path: &Path) -> Option<String> {
    let names: Option<Vec<&str>> = path
        .components()
        .skip(1)
        .map(|component| match component {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    names.filter(|names| !names.is_empty()).map(|names| names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_package() {
        let name = |path: &str| name_in_package(Path::new(path));
        assert_eq!(name("package/data/a.txt").as_deref(), Some("data/a.txt"));
        assert_eq!(name("package/../../etc/passwd"), None);
        assert_eq!(name("package"), None);
    }

    #[test]
    fn only_included_files_are_unpacked() {
        let home = tempfile::tempdir().unwrap();
        let tarball = home.path().join("p.tgz");
        let gzip =
            flate2::write::GzEncoder::new(File::create(&tarball).unwrap(), flate2::Compression::fast());
        let mut builder = tar::Builder::new(gzip);
        for name in ["package/data/b.txt", "package/data/a.txt", "package/data/a.json", "package/README.md"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(name.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, name.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();
        let files = unpack(&tarball, &home.path().join("out"), "data/*.txt").unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["data/a.txt", "data/b.txt"]);
        assert_eq!(fs::read_to_string(&files["data/a.txt"]).unwrap(), "package/data/a.txt");
    }
}
