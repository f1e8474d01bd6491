//! Lists the files of `models/default` as constants, so that the checkpoint is built into the binary.

use std::{
    env,
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

fn main() -> io::Result<()> {
    let crate_dir = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let models = crate_dir.join("../../models");
    let checkpoint = models.join("default");
    let mut files = Vec::new();
    if env::var_os("CARGO_FEATURE_BUILTIN_MODEL").is_some() {
        // A missing path would make every build start anew.
        let watched = [&checkpoint, &models].into_iter().find(|path| path.is_dir());
        println!("cargo::rerun-if-changed={}", watched.unwrap_or(&crate_dir.join("build.rs")).display());
        if checkpoint.join("config.json").is_file() {
            collect(&checkpoint, &checkpoint, &mut files)?;
        } else {
            println!(
                "cargo::warning=models/default holds no checkpoint: `serve` is built without a model and needs --model"
            );
        }
    } else {
        println!("cargo::rerun-if-changed=build.rs");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("builtin.rs");
    fs::write(out, constants(&files)?)
}

/// Adds every regular, unhidden file below `directory` with its name relative to `root`.
fn collect(root: &Path, directory: &Path, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(directory)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() {
            collect(root, &path, files)?;
        } else {
            let relative = path.strip_prefix(root).map_err(io::Error::other)?;
            let parts: Vec<_> =
                relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
            files.push((parts.join("/"), path.canonicalize()?));
        }
    }
    Ok(())
}

fn constants(files: &[(String, PathBuf)]) -> io::Result<String> {
    let mut source =
        String::from("/// Name and content of each file of the checkpoint; empty where there is none.\n");
    source.push_str("pub(crate) const FILES: &[(&str, &[u8])] = &[\n");
    for (name, path) in files {
        let path =
            path.to_str().ok_or_else(|| io::Error::other(format!("{} is not UTF-8", path.display())))?;
        writeln!(source, "    ({name:?}, include_bytes!({path:?})),").map_err(io::Error::other)?;
    }
    source.push_str("];\n");
    Ok(source)
}
