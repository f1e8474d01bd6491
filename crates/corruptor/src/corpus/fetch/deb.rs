//! Debian packages, fetched by apt from the machine's own sources and unpacked with dpkg-deb.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Fetched, has_changed, run_tool, select, temporary};
use crate::corpus::digest;
use crate::corpus::kinds::DebSource;
use crate::io_error::IoError;

const INSTALL_APT: &str = "apt (on Debian or a system derived from it)";
const INSTALL_DPKG: &str = "dpkg (on Debian or a system derived from it)";

/// Fetches a package with `apt-get download`, checks its digest, and unpacks it.
///
/// Debian keeps the current version of a package only. With `allow_changed` that one is taken where the recipe's
/// version cannot be had any more, or is another file.
pub(super) fn fetch(source: &DebSource, allow_changed: bool) -> Result<Fetched, IoError> {
    let pinned = format!("{}={}", source.package, source.version);
    let directory = temporary()?;
    let file = match download(&pinned, directory.path()) {
        Err(_) if allow_changed => download(&source.package, directory.path())?,
        Err(IoError::Fetch { package, message }) => {
            let hint =
                "run apt-get update; if the version is superseded, --allow-changed takes the current one";
            return Err(IoError::Fetch { package, message: format!("{message}; {hint}") });
        }
        other => other?,
    };
    let version = version(&source.package, &file)?;
    let package = format!("{}={version}", source.package);
    let sha256 = digest::of_file(&file)?;
    let changed = has_changed(&package, &sha256, &source.sha256, allow_changed)?;
    let unpacked = directory.path().join("unpacked");
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.arg("-x").arg(&file).arg(&unpacked);
    run_tool(&package, &mut dpkg, INSTALL_DPKG)?;
    Ok(Fetched {
        files: select(&package, &unpacked, &source.include, source.exclude.as_deref())?,
        package: Some(source.package.clone()),
        version: Some(version),
        sha256: Some(sha256),
        changed,
        _directory: Some(directory),
    })
}

/// Runs `apt-get download` and returns the `.deb`.
fn download(package: &str, directory: &Path) -> Result<PathBuf, IoError> {
    let mut apt = Command::new("apt-get");
    // The directory is this user's alone, so apt's own user could not write there.
    apt.args(["--quiet", "--option", "APT::Sandbox::User=root", "download", package]).current_dir(directory);
    run_tool(package, &mut apt, INSTALL_APT)?;
    let entries = fs::read_dir(directory).map_err(IoError::file("list", directory))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.find(|path| path.extension().is_some_and(|extension| extension == "deb")).ok_or_else(|| {
        let message = "apt-get download left no .deb".to_owned();
        IoError::Fetch { package: package.to_owned(), message }
    })
}

/// The version that a `.deb` says it is.
fn version(package: &str, file: &Path) -> Result<String, IoError> {
    let mut dpkg = Command::new("dpkg-deb");
    dpkg.arg("-f").arg(file).arg("Version");
    let output = run_tool(package, &mut dpkg, INSTALL_DPKG)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
