//! Where the model comes from, and loading it.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use corruptor::{IoError, resolve::load_channel};
use restorer::source::ModelName;
use restorer::{LoadOptions, RestoreError, Restorer};

use crate::builtin;

/// Where a model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// The checkpoint built into this binary.
    BuiltIn,
    /// A checkpoint directory.
    Directory(PathBuf),
}

impl ModelSource {
    /// What `--model` names; a model of a hub or a registry is downloaded unless it is in the cache.
    ///
    /// # Errors
    ///
    /// If there is no such model or version, or whom to ask for it cannot be reached.
    pub fn find(name: Option<&ModelName>) -> Result<Self, ModelError> {
        name.map_or(Ok(Self::BuiltIn), |name| Self::directory(name).map(Self::Directory))
    }

    /// The directory of the model of that name.
    ///
    /// # Errors
    ///
    /// As [`ModelSource::find`].
    pub fn directory(name: &ModelName) -> Result<PathBuf, ModelError> {
        if name.is_remote() {
            tracing::info!(model = %name, "looking for the model");
        }
        name.resolve().map_err(|error| ModelError::Fetch(Box::new(error)))
    }
}

/// A model was not loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// There is no built-in checkpoint in this binary, and none was named.
    #[error("this binary has no built-in model")]
    NoneBuiltIn,
    /// The path is not a directory.
    #[error("there is no model directory at {}", .0.display())]
    NoDirectory(PathBuf),
    /// A model was not found by its name, or not downloaded.
    #[error(transparent)]
    Fetch(Box<RestoreError>),
    /// The channel that the model should decode cannot be used.
    #[error("cannot decode the channel of {}: {error}", path.display())]
    Channel {
        /// The recipe.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<IoError>,
    },
    /// The checkpoint is there and cannot be used.
    #[error("cannot load the model from {source_name}: {error}")]
    Load {
        /// The directory, or the words "the built-in checkpoint".
        source_name: String,
        /// What is wrong with it.
        error: Box<RestoreError>,
    },
}

/// Loads the model from `source`; a prior decodes the channel of the recipe at `channel`, where there is one.
///
/// # Errors
///
/// [`ModelError`]: nothing there, or nothing usable.
pub fn load(
    source: &ModelSource,
    channel: Option<&Path>,
    options: LoadOptions,
) -> Result<Arc<dyn Restorer>, ModelError> {
    let channel = channel.map(|path| {
        load_channel(path)
            .map(Arc::new)
            .map_err(|error| ModelError::Channel { path: path.to_path_buf(), error: Box::new(error) })
    });
    let options = LoadOptions { channel: channel.transpose()?, ..options };
    let loaded = match source {
        ModelSource::Directory(path) => load_directory(path, &options)?,
        ModelSource::BuiltIn => load_built_in(&options)?,
    };
    Ok(Arc::from(loaded))
}

fn load_directory(path: &Path, options: &LoadOptions) -> Result<Box<dyn Restorer>, ModelError> {
    if !path.is_dir() {
        return Err(ModelError::NoDirectory(path.to_path_buf()));
    }
    restorer::load(path, options)
        .map_err(|error| ModelError::Load { source_name: path.display().to_string(), error: Box::new(error) })
}

fn load_built_in(options: &LoadOptions) -> Result<Box<dyn Restorer>, ModelError> {
    if builtin::FILES.is_empty() {
        return Err(ModelError::NoneBuiltIn);
    }
    restorer::load_embedded(builtin::FILES, options).map_err(|error| ModelError::Load {
        source_name: "the built-in checkpoint".to_owned(),
        error: Box::new(error),
    })
}
