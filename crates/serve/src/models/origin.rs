//! Where the versions of a model come from.

use std::{fmt, sync::Arc};

use restorer::{Restorer, source};

use crate::failure::Failure;

/// A version of a model: two are equal as long as its origin holds the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// What people call it.
    label: String,
    /// Where it is.
    place: Place,
}

/// Where a version is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In the program.
    BuiltIn,
    /// Where its name says.
    Named(source::Version),
}

impl Version {
    /// The checkpoint in the program.
    pub(super) fn built_in() -> Self {
        Self { label: "built-in".to_owned(), place: Place::BuiltIn }
    }

    /// Where it is.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// One that a test has made up.
    #[cfg(test)]
    pub(crate) fn scripted(label: &str) -> Self {
        Self { label: label.to_owned(), place: Place::BuiltIn }
    }
}

impl From<source::Version> for Version {
    fn from(version: source::Version) -> Self {
        let label = version.label().map_or_else(|| version.name().to_string(), str::to_owned);
        Self { label, place: Place::Named(version) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

/// Where the versions of a model come from. Its methods block.
pub trait Origin: Send + Sync {
    /// The version that requests should get now.
    ///
    /// # Errors
    ///
    /// Where there is none, or nobody can be asked.
    fn version(&self) -> Result<Version, Failure>;

    /// Loads a version and checks that it works.
    ///
    /// # Errors
    ///
    /// Where it cannot be loaded, or fails its check.
    fn load(&self, version: &Version) -> Result<Arc<dyn Restorer>, Failure>;
}
