//! What the metadata of a file says about its rows.

use std::collections::BTreeSet;
use std::path::Path;

use crate::io_error::IoError;
use crate::pair::Pair;
use crate::pairs::PairMetadata;
use crate::recipe::Recipe;
use crate::settings::CorruptSettings;

/// The noise levels that the recipe of a file allows; none are known of a file without a recipe.
#[derive(Clone, Debug, Default)]
pub(super) struct Rules {
    levels: Option<BTreeSet<u32>>,
}

/// The metadata of a file, if this program wrote it; others may have rewritten the rows without it.
pub(super) fn metadata_of(file: &Path) -> Option<PairMetadata> {
    PairMetadata::read(file).ok()
}

/// The `[corrupt]` table of the recipe in the metadata, if there is one.
pub(super) fn corrupt_of(metadata: &PairMetadata, file: &Path) -> Result<Option<CorruptSettings>, IoError> {
    let Some(text) = &metadata.recipe else { return Ok(None) };
    let settings = Recipe::parse(text, "its recipe").and_then(|recipe| recipe.table("corrupt"));
    settings.map(Some).map_err(|error| IoError::PairSchema {
        path: file.to_path_buf(),
        message: format!("{error}; it was written by version {}", metadata.version),
    })
}

impl Rules {
    pub(super) fn of(settings: &CorruptSettings) -> Self {
        let clean = (settings.clean_share > 0.0).then_some(0.0);
        let levels = settings.levels.iter().copied().filter(|_| settings.clean_share < 1.0).chain(clean);
        Self { levels: Some(levels.map(|level| (level as f32).to_bits()).collect()) }
    }

    /// Whether the row can have the noise level that it states; the message says why not.
    pub(super) fn check(&self, pair: &Pair) -> Result<(), String> {
        match (&self.levels, pair.noise) {
            (Some(_), None) => Err("it has no noise level, but its file has a recipe".to_owned()),
            (Some(levels), Some(noise)) if !levels.contains(&noise.to_bits()) => {
                let known: Vec<_> = levels.iter().map(|bits| f32::from_bits(*bits).to_string()).collect();
                Err(format!("{noise} is no noise level of its file's recipe, which has {}", known.join(", ")))
            }
            _ => Ok(()),
        }
    }
}
