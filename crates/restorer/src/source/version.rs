//! Which version of a model its name stands for now.

use std::path::{Path, PathBuf};

use super::ModelName;
use super::error::SourceError;
#[cfg(feature = "mlflow")]
use super::mlflow::Registered;
use super::state::state_of;
use super::versions::find;
use crate::error::RestoreError;

/// A model as its name stood for it when it was asked. Two are equal exactly if nothing has changed between.
#[derive(Clone, Debug)]
pub struct Version {
    name: ModelName,
    label: Option<String>,
    identity: String,
    place: Place,
}

/// Where a version's files are.
#[derive(Clone, Debug)]
enum Place {
    Directory(PathBuf),
    Hub,
    #[cfg(feature = "mlflow")]
    Registered(Registered),
}

impl Version {
    /// What `name` stands for now: one request, one small file, or the times and sizes of a checkpoint's files.
    pub(super) fn of(name: &ModelName) -> Result<Self, RestoreError> {
        let failed = |error| RestoreError::Source { model: name.to_string(), source: Box::new(error) };
        match name {
            ModelName::Directory(path) => {
                let identity = state_of(path).map_err(failed)?;
                Ok(Self { name: name.clone(), label: None, identity, place: Place::Directory(path.clone()) })
            }
            ModelName::Hub { revision, .. } => Ok(Self {
                name: name.clone(),
                label: revision.clone(),
                identity: format!("hub {name}"),
                place: Place::Hub,
            }),
            ModelName::Versions { directory, version } => {
                Self::of_directory(directory, version).map_err(failed)
            }
            ModelName::Registered { name: model, version } => {
                Self::of_registry(model, version).map_err(failed)
            }
        }
    }

    fn of_directory(directory: &Path, wanted: &str) -> Result<Self, SourceError> {
        let version = find(directory, wanted)?;
        let whole = std::fs::canonicalize(directory).map_err(SourceError::io(directory))?;
        Ok(Self {
            identity: format!("directory {}@{version}", whole.display()),
            place: Place::Directory(directory.join(&version)),
            name: ModelName::Versions { directory: directory.to_owned(), version: version.clone() },
            label: Some(version),
        })
    }

    #[cfg(feature = "mlflow")]
    fn of_registry(model: &str, wanted: &super::Wanted) -> Result<Self, SourceError> {
        let registered = Registered::find(model, wanted)?;
        Ok(Self {
            name: ModelName::Registered {
                name: model.to_owned(),
                version: super::Wanted::Version(registered.version().to_owned()),
            },
            label: Some(registered.version().to_owned()),
            identity: registered.identity(),
            place: Place::Registered(registered),
        })
    }

    #[cfg(not(feature = "mlflow"))]
    fn of_registry(_: &str, _: &super::Wanted) -> Result<Self, SourceError> {
        Err(SourceError::NotBuilt)
    }

    /// What changes exactly when the name comes to stand for something else: an alias that moves, a checkpoint that is replaced
    /// in its directory. Never for a hub, whose models are taken once. Opaque.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    /// The version's name or number, where there are versions; of a hub the revision, where one was named.
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// The name that stands for this version also when an alias has moved.
    pub fn name(&self) -> &ModelName {
        &self.name
    }

    /// The directory with the version's files, downloaded unless they are in a cache.
    ///
    /// # Errors
    /// As [`ModelName::resolve`].
    pub fn fetch(&self) -> Result<PathBuf, RestoreError> {
        match &self.place {
            Place::Directory(path) => Ok(path.clone()),
            Place::Hub => self.name.fetch_from_hub(),
            #[cfg(feature = "mlflow")]
            Place::Registered(registered) => registered.fetch().map_err(|error| RestoreError::Source {
                model: self.name.to_string(),
                source: Box::new(error),
            }),
        }
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.identity == other.identity
    }
}

impl Eq for Version {}
