//! Which model a recipe trains.

use std::path::PathBuf;
use std::str::FromStr;

use corruptor::Recipe;
use restorer::lm::{LanguageModel, LmSettings};
use restorer::source::ModelName;
use restorer::tagger::{Tagger, TaggerConfig};
use restorer::{DeviceChoice, LoadOptions, Restorer};
use serde::Deserialize;

use crate::error::FinetuneError;
use crate::settings::TrainSettings;
use crate::train::{Outcome, TrainOptions, train};

/// Where the model to train comes from.
#[derive(Clone, Debug, Default)]
pub struct ModelSource {
    /// A checkpoint to start from; none: random weights, as the recipe's `[model]` table says.
    pub init: Option<PathBuf>,
    /// How that checkpoint was named, where it is a hub's or a registry's.
    pub name: Option<ModelName>,
    /// Where it is trained.
    pub device: DeviceChoice,
}

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// The edit tagger, on pairs.
    Tagger,
    /// The byte n-gram model, counted from texts.
    Ngram,
    /// Priors, mixed, and a tagger's second opinion.
    Ensemble,
    /// An autoregressive model that writes texts again, on pairs; by its `model_type`.
    LanguageModel(&'static str),
}

/// The one key of `[model]` that every family has.
#[derive(Deserialize)]
struct FamilyName {
    #[serde(default = "FamilyName::default_name")]
    family: String,
}

impl FamilyName {
    fn default_name() -> String {
        "tagger".to_owned()
    }
}

impl Family {
    /// Every family, with its name in recipes.
    const NAMED: [(&str, Self); 7] = [
        ("tagger", Self::Tagger),
        ("t5", Self::LanguageModel("t5")),
        ("llama", Self::LanguageModel("llama")),
        ("qwen2", Self::LanguageModel("qwen2")),
        ("qwen3", Self::LanguageModel("qwen3")),
        ("ngram", Self::Ngram),
        ("ensemble", Self::Ensemble),
    ];

    /// Its name in recipes.
    pub fn name(self) -> &'static str {
        Self::NAMED.iter().find(|(_, family)| *family == self).map_or("", |(name, _)| name)
    }

    /// The recipe for this family: where its `[model]` table is another's, it is replaced by the family's defaults.
    ///
    /// # Errors
    /// If the recipe names a family that is unknown.
    pub fn recipe(self, recipe: Recipe) -> Result<Recipe, FinetuneError> {
        if Self::of(&recipe)? == self {
            return Ok(recipe);
        }
        let model = Recipe::parse(&format!("[model]\nfamily = \"{}\"\n", self.name()), "--family")?;
        Ok(recipe.with_table_of("model", &model)?)
    }

    /// The family that a recipe names.
    ///
    /// # Errors
    /// If it is unknown.
    pub fn of(recipe: &Recipe) -> Result<Self, FinetuneError> {
        let FamilyName { family } = recipe.table("model")?;
        family.parse()
    }
}

impl FromStr for Family {
    type Err = FinetuneError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::NAMED.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, family)| family).ok_or_else(|| FinetuneError::Family { family: name.to_owned() })
    }
}

/// Trains the model that the recipe names on its pairs.
///
/// # Errors
/// As [`train`], and if the family is unknown or not trained on pairs, or the model cannot be made or loaded.
pub fn train_recipe(mut options: TrainOptions, source: &ModelSource) -> Result<Outcome, FinetuneError> {
    match Family::of(&options.recipe)? {
        Family::Tagger => {
            let model = tagger(&options, source)?;
            options.init = source.init.is_some().then(|| model.info().digest.clone());
            train(&model, &options)
        }
        Family::LanguageModel(_) => {
            let model = language_model(&options, source)?;
            options.init = source.init.is_some().then(|| model.info().digest.clone());
            train(&model, &options)
        }
        family @ (Family::Ngram | Family::Ensemble) => Err(FinetuneError::Setting {
            table: "model",
            key: "family",
            value: format!("\"{}\"", family.name()),
            expected: "a family that is trained on pairs (priors and ensembles are made from texts)",
        }),
    }
}

/// Without threads of its own: the training loop's workers are the threads.
fn tagger(options: &TrainOptions, source: &ModelSource) -> Result<Tagger, FinetuneError> {
    let config: TaggerConfig = options.recipe.table("model")?;
    let load = LoadOptions { device: source.device, raw_confidence: true, ..LoadOptions::default() };
    Ok(match &source.init {
        Some(checkpoint) => Tagger::load(checkpoint, &load)?,
        None => Tagger::random(&config, &load)?,
    })
}

/// An autoregressive model, new or from a checkpoint.
fn language_model(options: &TrainOptions, source: &ModelSource) -> Result<LanguageModel, FinetuneError> {
    let settings: LmSettings = options.recipe.table("model")?;
    let train: TrainSettings = options.recipe.table("train")?;
    let name = source.name.clone();
    let load = LoadOptions { device: source.device, raw_confidence: true, name, ..LoadOptions::default() };
    let compute = train.precision.compute(source.device == DeviceChoice::Cpu);
    Ok(match &source.init {
        Some(checkpoint) => LanguageModel::to_train(checkpoint, &settings, compute, &load)?,
        None => LanguageModel::random(&settings, compute, &load)?,
    })
}
