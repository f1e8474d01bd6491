//! The pairs of a split, in memory.

use std::path::Path;

use corruptor::{Pair, Split};

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

/// At most `limit` pairs, evenly spaced, so that a part of a split still comes from all of its documents.
pub fn spread(pairs: &[Pair], limit: usize) -> Vec<Pair> {
    if pairs.len() <= limit {
        return pairs.to_vec();
    }
    (0..limit).map(|i| pairs[i * pairs.len() / limit].clone()).collect()
}
