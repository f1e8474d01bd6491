//! Which model a recipe trains.

use std::path::PathBuf;

use restorer::tagger::{Tagger, TaggerConfig};
use restorer::{DeviceChoice, LoadOptions, Restorer};
use serde::Deserialize;

use crate::error::FinetuneError;
use crate::train::{Outcome, TrainOptions, train};

/// Where the model to train comes from.
#[derive(Clone, Debug, Default)]
pub struct ModelSource {
    /// A checkpoint to start from; none: random weights, as the recipe's `[model]` table says.
    pub init: Option<PathBuf>,
    /// Where it is trained.
    pub device: DeviceChoice,
}

/// The one key of `[model]` that every family has.
#[derive(Deserialize)]
struct Family {
    #[serde(default = "Family::default_name")]
    family: String,
}

impl Family {
    fn default_name() -> String {
        "tagger".to_owned()
    }
}

/// Trains the model that the recipe names.
///
/// # Errors
/// As [`train`], and if the family is unknown or the model cannot be made or loaded.
pub fn train_recipe(mut options: TrainOptions, source: &ModelSource) -> Result<Outcome, FinetuneError> {
    let Family { family } = options.recipe.table("model")?;
    match family.as_str() {
        "tagger" => {
            let model = tagger(&options, source)?;
            options.init = source.init.is_some().then(|| model.info().digest.clone());
            train(&model, &options)
        }
        _ => Err(FinetuneError::Family { family }),
    }
}

/// Without threads of its own: the training loop's workers are the threads.
fn tagger(options: &TrainOptions, source: &ModelSource) -> Result<Tagger, FinetuneError> {
    let config: TaggerConfig = options.recipe.table("model")?;
    let load = LoadOptions { device: source.device, threads: None };
    Ok(match &source.init {
        Some(checkpoint) => Tagger::load(checkpoint, &load)?,
        None => Tagger::random(&config, &load)?,
    })
}
