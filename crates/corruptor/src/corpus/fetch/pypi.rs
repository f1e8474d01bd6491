//! Packages of Python's index, fetched by pip, which itself checks the recipe's digest before it opens anything.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Fetched, run_tool, select, temporary, unpack};
use crate::corpus::digest;
use crate::corpus::kinds::PypiSource;
use crate::io_error::IoError;

const INSTALL: &str = "Python 3 with pip (Debian: python3-pip)";

/// Fetches the file of the version whose digest the recipe pins, and unpacks it.
pub(super) fn fetch(source: &PypiSource) -> Result<Fetched, IoError> {
    let package = format!("{}=={}", source.package, source.version);
    let directory = temporary()?;
    let file = download(&package, &source.sha256, directory.path())?;
    let sha256 = digest::of_file(&file)?;
    digest::check(&package, sha256.clone(), &source.sha256)?;
    let unpacked = directory.path().join("unpacked");
    if file.extension().is_some_and(|extension| extension == "gz") {
        unpack::tarball(&file, &unpacked).map_err(IoError::file("unpack", Path::new(&package)))?;
    } else {
        let mut unzip = Command::new("python3");
        unzip.args(["-m", "zipfile", "-e"]).arg(&file).arg(&unpacked);
        run_tool(&package, &mut unzip, INSTALL)?;
    }
    Ok(Fetched {
        files: select(&package, &unpacked, &source.include, source.exclude.as_deref())?,
        package: Some(source.package.clone()),
        version: Some(source.version.clone()),
        sha256: Some(sha256),
        changed: false,
        _directory: Some(directory),
    })
}

/// Runs `pip download`; given a hash, it takes the file of the version that has it, and runs nothing of another one.
fn download(package: &str, sha256: &str, directory: &Path) -> Result<PathBuf, IoError> {
    let requirements = directory.join("requirements.txt");
    let pinned = sha256.to_ascii_lowercase();
    fs::write(&requirements, format!("{package} --hash=sha256:{pinned}\n"))
        .map_err(IoError::file("write", &requirements))?;
    let downloads = directory.join("downloads");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--no-deps", "--quiet"])
        .args(["--no-cache-dir", "--dest"])
        .arg(&downloads)
        .arg("--requirement")
        .arg(&requirements)
        .current_dir(directory);
    run_tool(package, &mut pip, INSTALL).map_err(|error| {
        let text = error.to_string();
        match found_digest(&text) {
            Some(found) => match digest::check(package, found, sha256) {
                Err(mismatch) => mismatch,
                Ok(()) => error,
            },
            None => error,
        }
    })?;
    let mut entries = fs::read_dir(&downloads).map_err(IoError::file("list", &downloads))?;
    entries.find_map(|entry| Some(entry.ok()?.path())).ok_or_else(|| {
        let message = "pip download left no file; is pip 20 or newer?".to_owned();
        IoError::Fetch { package: package.to_owned(), message }
    })
}

/// The digest that pip says it got instead of the expected one.
fn found_digest(message: &str) -> Option<String> {
    let (_, rest) = message.split_once("Got")?;
    let digest: String = rest.trim_start().chars().take_while(char::is_ascii_hexdigit).collect();
    (digest.len() == 64).then_some(digest)
}

#[cfg(test)]
mod tests {
    use super::found_digest;

    #[test]
    fn a_mismatch_is_told_from_other_failures() {
        let digest = "0123456789abcdef".repeat(4);
        let message = format!("x==1 from y:; Expected sha256 {}; Got        {digest}; z", "0".repeat(64));
        assert_eq!(found_digest(&message), Some(digest));
        assert_eq!(found_digest("No matching distribution found for x==1"), None);
        assert_eq!(found_digest("Got nothing"), None);
    }
}
