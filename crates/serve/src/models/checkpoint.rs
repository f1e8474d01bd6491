//! Checkpoints as the origin of versions: named, found, loaded, checked.

use std::{path::PathBuf, sync::Arc};

use restorer::{LoadOptions, Reranking, RestoreRequest, Restorer, source::ModelName};

use crate::{
    failure::Failure,
    model::{self, ModelError, ModelSource},
};

use super::{
    golden::Golden,
    origin::{Origin, Place, Version},
};

/// Text of the self-check: restored once before a model is served, which also warms it up.
const SELF_CHECK: &str = "The quick brwn fox jumps over the lazy dog.";

/// A second model that weighs what the first holds possible.
#[derive(Debug, Clone, PartialEq)]
pub struct Judge {
    /// Where it comes from.
    pub name: ModelName,
    /// What its nats count beside the first's.
    pub weight: f64,
    /// Originals that it is asked about, at most.
    pub candidates: usize,
}

/// A checkpoint by name, and how it is loaded.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// Its name; none for the one in the program.
    pub name: Option<ModelName>,
    /// The recipe of the channel that a prior decodes.
    pub channel: Option<PathBuf>,
    /// Who weighs its originals.
    pub judge: Option<Judge>,
    /// The rest.
    pub options: LoadOptions,
    /// What it has to restore before it is served.
    pub golden: Option<Golden>,
}

impl Checkpoint {
    /// Finds the checkpoint and loads it, unchecked.
    ///
    /// # Errors
    ///
    /// Where it is not there or cannot be loaded.
    pub fn load_now(&self) -> Result<Arc<dyn Restorer>, Failure> {
        self.load_from(&ModelSource::find(self.name.as_ref())?)
    }

    fn load_from(&self, source: &ModelSource) -> Result<Arc<dyn Restorer>, Failure> {
        let rerank = match &self.judge {
            None => None,
            Some(Judge { name, weight, candidates }) => {
                let judge = ModelSource::directory(name)?;
                Some(Reranking { judge, weight: *weight, candidates: *candidates })
            }
        };
        let model =
            model::load(source, self.channel.as_deref(), LoadOptions { rerank, ..self.options.clone() })?;
        let info = model.info();
        tracing::debug!(
            family = info.family,
            digest = info.digest,
            parameters = info.parameters,
            "model loaded"
        );
        Ok(model)
    }
}

impl Origin for Checkpoint {
    fn version(&self) -> Result<Version, Failure> {
        let Some(name) = &self.name else { return Ok(Version::built_in()) };
        let version = name.version().map_err(|error| ModelError::Fetch(Box::new(error)))?;
        Ok(Version::from(version))
    }

    fn load(&self, version: &Version) -> Result<Arc<dyn Restorer>, Failure> {
        let source = match version.place() {
            Place::Named(named) => {
                let directory = named.fetch().map_err(|error| ModelError::Fetch(Box::new(error)))?;
                ModelSource::Directory(directory)
            }
            Place::BuiltIn => ModelSource::BuiltIn,
        };
        let model = self.load_from(&source)?;
        for answer in model.restore_each(&[RestoreRequest::new(SELF_CHECK)]) {
            answer.map_err(|error| Failure::SelfCheck(error.into()))?;
        }
        if let Some(golden) = &self.golden {
            golden.check(model.as_ref())?;
        }
        Ok(model)
    }
}
