//! Packages of the npm registry, fetched by the ordinary client and checked against the recipe's digest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Fetched, run_tool, select, temporary, unpack};
use crate::corpus::digest;
use crate::corpus::kinds::NpmSource;
use crate::io_error::IoError;

/// Fetches a package with `npm pack`, checks its digest, and unpacks it.
pub(super) fn fetch(source: &NpmSource) -> Result<Fetched, IoError> {
    let package = format!("{}@{}", source.package, source.version);
    let directory = temporary()?;
    let tarball = pack(&package, directory.path())?;
    let sha256 = digest::of_file(&tarball)?;
    digest::check(&package, sha256.clone(), &source.sha256)?;
    let unpacked = directory.path().join("unpacked");
    unpack::tarball(&tarball, &unpacked).map_err(IoError::file("unpack", Path::new(&package)))?;
    Ok(Fetched {
        files: select(&package, &unpacked, &source.include, source.exclude.as_deref())?,
        package: Some(source.package.clone()),
        version: Some(source.version.clone()),
        sha256: Some(sha256),
        changed: false,
        _directory: Some(directory),
    })
}

/// Runs `npm pack` and returns the tarball's path.
fn pack(package: &str, directory: &Path) -> Result<PathBuf, IoError> {
    let mut npm = Command::new("npm");
    npm.args(["pack", package, "--ignore-scripts", "--loglevel=error", "--pack-destination"])
        .arg(directory)
        .current_dir(directory);
    run_tool(package, &mut npm, "Node.js with npm")?;
    let entries = fs::read_dir(directory).map_err(IoError::file("list", directory))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    paths.find(|path| path.extension().is_some_and(|extension| extension == "tgz")).ok_or_else(|| {
        let message = "npm pack left no tarball; is npm 7 or newer?".to_owned();
        IoError::Fetch { package: package.to_owned(), message }
    })
}
