//! A file, or every Parquet file of a directory.

use std::{
    fs,
    path::{Path, PathBuf},
};

use restorer::Restorer;

use super::{BatchError, BatchSettings, Summary, Watch, file::Input};

/// Restores the file `input` into the file `output`, or every `.parquet` file of the directory `input` into a file of
/// the same name in the directory `output`, which is made where it is missing. All inputs are checked first.
///
/// # Errors
///
/// [`BatchError`]; each output file appears whole or not at all.
pub fn restore_paths(
    input: &Path,
    output: &Path,
    model: &dyn Restorer,
    settings: &BatchSettings,
    watch: &mut dyn Watch,
) -> Result<Summary, BatchError> {
    let pairs = if input.is_dir() { in_directory(input, output)? } else { vec![single(input, output)?] };
    let mut rows = 0;
    for (input, _) in &pairs {
        rows += Input::open(input, settings)?.rows();
    }
    if input.is_dir() {
        fs::create_dir_all(output)
            .map_err(|source| BatchError::Open { path: output.to_path_buf(), source })?;
    }
    watch.start(rows);
    let mut summary = Summary::default();
    for (input, output) in &pairs {
        // Opened again, so that no more than one is open at a time.
        summary.add(&Input::open(input, settings)?.restore(output, model, settings, watch)?);
    }
    Ok(summary)
}

fn single(input: &Path, output: &Path) -> Result<(PathBuf, PathBuf), BatchError> {
    if output.is_dir() {
        let (directory, file) = (output.to_path_buf(), input.to_path_buf());
        return Err(BatchError::FileAndDirectory { directory, file });
    }
    for path in [input, output] {
        if !is_parquet(path) {
            return Err(BatchError::NotParquet(path.to_path_buf()));
        }
    }
    Ok((input.to_path_buf(), output.to_path_buf()))
}

fn in_directory(input: &Path, output: &Path) -> Result<Vec<(PathBuf, PathBuf)>, BatchError> {
    if output.is_file() {
        let (directory, file) = (input.to_path_buf(), output.to_path_buf());
        return Err(BatchError::FileAndDirectory { directory, file });
    }
    let open_error = |source| BatchError::Open { path: input.to_path_buf(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(input).map_err(open_error)? {
        let path = entry.map_err(open_error)?.path();
        if let Some(name) = path.file_name().filter(|_| is_parquet(&path) && path.is_file()) {
            names.push(name.to_owned());
        }
    }
    if names.is_empty() {
        return Err(BatchError::EmptyDirectory(input.to_path_buf()));
    }
    names.sort();
    Ok(names.iter().map(|name| (input.join(name), output.join(name))).collect())
}

/// Hidden files are those that somebody is still writing.
fn is_parquet(path: &Path) -> bool {
    let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    !hidden && path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
}
