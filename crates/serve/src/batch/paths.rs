//! A file, or every file of a directory.

use std::{
    fs,
    path::{Path, PathBuf},
};

use corruptor::store::{self, Location};

use super::{BatchError, BatchSettings, Format, Input, Summary, Texts, Watch, restore_into};

/// Restores the file `input` into the file `output`, or every file of a known format in the directory `input` into a file of
/// the same name in the directory `output`, which is made where it is missing. Either may be a URL. All inputs are checked first.
///
/// # Errors
///
/// [`BatchError`]; each output file appears whole or not at all.
pub fn restore_paths(
    input: &Path,
    output: &Path,
    texts: &dyn Texts,
    settings: &BatchSettings,
    watch: &mut dyn Watch,
) -> Result<Summary, BatchError> {
    if !store::is_directory(input)? {
        check_pair(input, output)?;
        let input = Input::open(input, settings)?;
        watch.start(input.rows());
        return restore_into(&input, output, texts, watch);
    }
    let pairs = in_directory(input, output)?;
    let mut rows = 0;
    for (input, _) in &pairs {
        rows += Input::open(input, settings)?.rows();
    }
    if let Location::Local(output) = Location::of(output)? {
        fs::create_dir_all(&output).map_err(|source| BatchError::Open { path: output, source })?;
    }
    watch.start(rows);
    let mut summary = Summary::default();
    for (input, output) in &pairs {
        // Opened again, so that no more than one is open at a time.
        summary.add(&restore_into(&Input::open(input, settings)?, output, texts, watch)?);
    }
    Ok(summary)
}

/// Whether a file can be restored into the other.
fn check_pair(input: &Path, output: &Path) -> Result<(), BatchError> {
    if output.is_dir() {
        let (directory, file) = (output.to_path_buf(), input.to_path_buf());
        return Err(BatchError::FileAndDirectory { directory, file });
    }
    let format = |path: &Path| known(path).ok_or_else(|| BatchError::UnknownFormat(path.to_path_buf()));
    if format(input)? == format(output)? {
        return Ok(());
    }
    Err(BatchError::TwoFormats { input: input.to_path_buf(), output: output.to_path_buf() })
}

fn in_directory(input: &Path, output: &Path) -> Result<Vec<(PathBuf, PathBuf)>, BatchError> {
    if output.is_file() {
        let (directory, file) = (input.to_path_buf(), output.to_path_buf());
        return Err(BatchError::FileAndDirectory { directory, file });
    }
    let mut names = names_in(input)?;
    names.retain(|name| known(Path::new(name)).is_some());
    if names.is_empty() {
        return Err(BatchError::EmptyDirectory(input.to_path_buf()));
    }
    names.sort();
    Ok(names.iter().map(|name| (input.join(name), output.join(name))).collect())
}

/// Names of the files in a directory, or of the objects right below a URL.
fn names_in(directory: &Path) -> Result<Vec<String>, BatchError> {
    let directory = match Location::of(directory)? {
        Location::Local(directory) => directory,
        Location::Remote(url) => {
            let prefix = if url.key.is_empty() { String::new() } else { format!("{}/", url.key) };
            let objects = store::objects(&url)?.into_iter();
            let names = objects.filter_map(|object| object.url.key.strip_prefix(&prefix).map(str::to_owned));
            return Ok(names.filter(|name| !name.contains('/')).collect());
        }
    };
    let open_error = |source| BatchError::Open { path: directory.clone(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).map_err(open_error)? {
        let path = entry.map_err(open_error)?.path();
        names.extend(
            path.file_name().filter(|_| path.is_file()).and_then(|name| name.to_str()).map(str::to_owned),
        );
    }
    Ok(names)
}

/// Hidden files are those that somebody is still writing.
fn known(path: &Path) -> Option<Format> {
    let is_hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
    Format::of_path(path).filter(|_| !is_hidden)
}
