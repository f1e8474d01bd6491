//! Unpacking tarballs.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path};

use flate2::read::GzDecoder;

/// Unpacks the regular files of a gzipped tarball into a directory, without the root folder that packages have.
pub(super) fn tarball(tarball: &Path, into: &Path) -> io::Result<()> {
    let mut archive = tar::Archive::new(GzDecoder::new(File::open(tarball)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let Some(name) = name_in_package(&entry.path()?) else { continue };
        if entry.header().entry_type().is_file() {
            let path = into.join(&name);
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            io::copy(&mut entry, &mut File::create(&path)?)?;
        }
    }
    Ok(())
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
    fn files_are_unpacked_below_the_root_folder() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("p.tgz");
        let gzip = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        let mut builder = tar::Builder::new(gzip);
        for name in ["package/data/b.txt", "package/data/a.txt", "package/README.md"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(name.len() as u64);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, name.as_bytes()).unwrap();
        }
        builder.into_inner().unwrap().finish().unwrap();
        let out = home.path().join("out");
        tarball(&path, &out).unwrap();
        assert_eq!(fs::read_to_string(out.join("data/a.txt")).unwrap(), "package/data/a.txt");
        assert!(out.join("data/b.txt").is_file() && out.join("README.md").is_file());
    }
}
