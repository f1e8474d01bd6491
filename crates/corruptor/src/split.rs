//! Documents, and the split that each belongs to: a public function of its text.

use serde::{Deserialize, Serialize};

use crate::sampler::threshold;

/// Training, validation or test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Models and priors are trained on it.
    Train,
    /// Choices (best checkpoint, thresholds) are made on it.
    Valid,
    /// Reported figures come from it; nothing else reads it.
    Test,
}

impl Split {
    /// All splits.
    pub const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Test];

    /// The name of its directory.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }
}

/// Shares of the documents that are held out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SplitShares {
    /// Probability of [`Split::Valid`].
    pub valid: f64,
    /// Probability of [`Split::Test`].
    pub test: f64,
}

/// The split of a document: the first 8 bytes (little-endian) of the BLAKE3 of its text, as a fraction of 2^64, lie
/// under `test`, then under `test + valid`, else it is for training. Equal texts fall in one split.
pub fn split_of(text: &str, shares: SplitShares) -> Split {
    split_of_hash(&blake3::hash(text.as_bytes()), shares)
}

/// [`split_of`] the text with this BLAKE3.
pub(crate) fn split_of_hash(hash: &blake3::Hash, shares: SplitShares) -> Split {
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    let at = u64::from_le_bytes(first);
    if at < threshold(shares.test) {
        Split::Test
    } else if at < threshold(shares.test + shares.valid) {
        Split::Valid
    } else {
        Split::Train
    }
}

/// The id of a document that brings none: the first 128 bits of the BLAKE3 of its text, in hexadecimal.
pub fn document_id(text: &str) -> String {
    document_id_of(&blake3::hash(text.as_bytes()))
}

/// [`document_id`] of the text with this BLAKE3.
pub(crate) fn document_id_of(hash: &blake3::Hash) -> String {
    hash.to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_kept() {
        let shares = SplitShares { valid: 0.1, test: 0.2 };
        let splits: Vec<_> = (0..10_000).map(|i| split_of(&i.to_string(), shares)).collect();
        let count = |split| splits.iter().filter(|s| **s == split).count();
        assert!(count(Split::Valid).abs_diff(1000) < 120, "{}", count(Split::Valid));
        assert!(count(Split::Test).abs_diff(2000) < 160, "{}", count(Split::Test));
    }

    #[test]
    fn growing_the_validation_share_moves_no_test_document() {
        for i in 0..1000 {
            let text = i.to_string();
            let small = split_of(&text, SplitShares { valid: 0.05, test: 0.1 });
            let large = split_of(&text, SplitShares { valid: 0.3, test: 0.1 });
            assert_eq!(small == Split::Test, large == Split::Test);
        }
    }
}
