//! The pairs of a split, in memory.

use std::path::Path;

use corruptor::pairs::PairMetadata;
use corruptor::{CorruptSettings, Pair, Recipe, Split};

use crate::error::FinetuneError;

/// All pairs of a split of `pairs` (a directory with `train`, `valid` and `test`).
///
/// # Errors
/// If a file cannot be read or is not of the pair schema, or if there is no pair.
pub fn read_split(pairs: &Path, split: Split) -> Result<Vec<Pair>, FinetuneError> {
    read_pairs(&pairs.join(split.name()))
}

/// All pairs of a file or directory.
///
/// # Errors
/// If a file cannot be read or is not of the pair schema, or if there is no pair.
pub fn read_pairs(path: &Path) -> Result<Vec<Pair>, FinetuneError> {
    let pairs = corruptor::pairs::read_pairs(path)?.collect::<Result<Vec<_>, _>>()?;
    if pairs.is_empty() {
        return Err(FinetuneError::Empty { path: path.to_owned(), what: "pairs" });
    }
    Ok(pairs)
}

/// The recipe with its `[corrupt]` table resolved: where it depends on a file or on the corpus, it is taken from the metadata of
/// the pairs, which have it as it made them.
///
/// # Errors
/// If the table is malformed, or a file of pairs cannot be read or was written by another program.
pub fn resolved_recipe(recipe: Recipe, pairs: &Path) -> Result<Recipe, FinetuneError> {
    let settings: CorruptSettings = recipe.table("corrupt")?;
    let files = corruptor::pairs::pair_files(pairs)?;
    let Some(file) = files.first().filter(|_| !settings.is_resolved()) else { return Ok(recipe) };
    // Real pairs were made by no recipe.
    let Some(made_with) = PairMetadata::read(file)?.recipe else { return Ok(recipe) };
    let made_with = Recipe::parse(&made_with, &format!("the recipe in {}", file.display()))?;
    Ok(recipe.with_table_of("corrupt", &made_with)?)
}

/// A digest of pairs, for the question whether a run goes on with the same data: BLAKE3 over ids and both texts, in hex.
pub fn digest(pairs: &[Pair]) -> String {
    let mut hasher = blake3::Hasher::new();
    for pair in pairs {
        hasher.update(&pair.id.to_le_bytes());
        for text in [&pair.original, &pair.corrupted] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

/// At most `limit` items, evenly spaced, so that a part of a split still comes from all of its documents.
pub fn spread<T: Clone>(items: &[T], limit: usize) -> Vec<T> {
    if items.len() <= limit {
        return items.to_vec();
    }
    (0..limit).map(|i| items[i * items.len() / limit].clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use corruptor::corpus::CorpusSettings;
    use corruptor::pairs::PairWriter;

    #[test]
    fn what_a_recipe_leaves_open_is_taken_from_the_pairs() {
        let home = tempfile::tempdir().unwrap();
        let made_with = CorruptSettings { seed: 77, ..CorruptSettings::default() };
        let metadata = PairMetadata::of(&CorpusSettings::default(), &made_with).unwrap();
        PairWriter::create(home.path(), &metadata).unwrap().finish().unwrap();
        let corrupt = |text: &str| -> CorruptSettings {
            let recipe = Recipe::parse(text, "r.toml").unwrap();
            let recipe = resolved_recipe(recipe, home.path()).unwrap();
            assert!(recipe.text().contains("[train]"));
            recipe.table("corrupt").unwrap()
        };
        assert_eq!(corrupt("[corrupt]\ntarget_cer = 0.05\n[train]\nseed = 3"), made_with);
        assert_eq!(corrupt("[corrupt]\nalphabet = \"corpus\"\n[train]\nseed = 3"), made_with);
        assert_eq!(corrupt("[corrupt]\nseed = 5\n[train]\nseed = 3").seed, 5);
    }
}
