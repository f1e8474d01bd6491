//! Where the versions of a model come from.

use std::{fmt, sync::Arc};

use restorer::Restorer;

use crate::{failure::Failure, model::ModelSource};

/// A version of a model: two are equal as long as its origin holds the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// What tells it from others.
    pub id: String,
    /// Where its files are.
    pub source: ModelSource,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.id)
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
