//! What trackers are told about a run before its first step.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

/// A set of pairs that a run reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetFacts {
    /// What it is called: the names of its sources.
    pub name: String,
    /// What it is used for: `training` or `validation`.
    pub context: &'static str,
    /// Digest of its pairs, in hexadecimal.
    pub digest: String,
    /// Where it lies.
    pub place: PathBuf,
    /// Its pairs.
    pub pairs: usize,
}

/// A run, as it stands before its first step or before it goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFacts {
    /// What it is called: the last part of its directory.
    pub name: String,
    /// The model family.
    pub family: String,
    /// The run's directory.
    pub directory: PathBuf,
    /// The recipe, with its overrides, as TOML.
    pub recipe: String,
    /// Keys of the recipe that training depends on, with dots between table and key, and other facts of that kind.
    pub parameters: BTreeMap<String, Value>,
    /// What it reads.
    pub datasets: Vec<DatasetFacts>,
    /// Where it goes on: the last step whose state was saved. None: it starts.
    pub resumed_at: Option<u64>,
    /// Whether it may be a run that an earlier call began, even where that call saved no state.
    pub goes_on: bool,
}

impl RunFacts {
    /// A digest of all that makes it this run: recipe and data.
    pub fn identity(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let digests = self.datasets.iter().map(|dataset| &dataset.digest);
        for text in std::iter::once(&self.recipe).chain(digests) {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}
