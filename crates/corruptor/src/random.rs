//! The random stream of one record: BLAKE3 of (seed, record key, copy) keys `ChaCha8`.
//!
//! Nothing here depends on a library's distributions or on the platform's floating-point functions, so a stream and
//! what is drawn from it are the same on every machine and with every version of the dependencies.

use rand::rngs::ChaCha8Rng;
use rand::{Rng as _, SeedableRng as _};

use crate::pair::Passage;

/// A deterministic stream of 64-bit words.
#[derive(Debug)]
pub struct RecordStream(ChaCha8Rng);

impl RecordStream {
    /// The stream of copy `copy` of `passage` under `seed`.
    pub fn for_record(seed: u64, passage: &Passage<'_>, copy: u32) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hash_record_key(&mut hasher, passage, copy);
        Self(ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()))
    }

    /// A stream that depends on a seed and a purpose only, for shuffles and resampling.
    pub fn for_purpose(seed: u64, purpose: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&seed.to_le_bytes());
        hash_text(&mut hasher, purpose);
        Self(ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()))
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A uniform integer in `0..n`, unbiased (Lemire, "Fast Random Integer Generation in an Interval", 2019).
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "an index needs a non-empty range");
        let mut product = u128::from(self.next_u64()) * u128::from(n);
        if (product as u64) < n {
            let rejected = n.wrapping_neg() % n;
            while (product as u64) < rejected {
                product = u128::from(self.next_u64()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// Shuffles `items` uniformly (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

/// The first 8 bytes (little-endian) of BLAKE3 over (source, `doc_id`, passage start, copy); strings carry their length.
pub fn pair_id(passage: &Passage<'_>, copy: u32) -> u64 {
    let mut hasher = blake3::Hasher::new();
    hash_record_key(&mut hasher, passage, copy);
    let mut first = [0; 8];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(first)
}

fn hash_record_key(hasher: &mut blake3::Hasher, passage: &Passage<'_>, copy: u32) {
    hash_text(hasher, passage.source);
    hash_text(hasher, passage.doc_id);
    hasher.update(&passage.start.to_le_bytes());
    hasher.update(&copy.to_le_bytes());
}

fn hash_text(hasher: &mut blake3::Hasher, text: &str) {
    hasher.update(&(text.len() as u64).to_le_bytes());
    hasher.update(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_is_uniform() {
        let mut stream = RecordStream::for_purpose(1, "test");
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1;
        }
        // Standard error of each count is about 93.
        assert!(counts.iter().all(|&c| c.abs_diff(10_000) < 400), "{counts:?}");
    }

    #[test]
    fn keys_are_not_confused_with_each_other() {
        let passage = |source, doc_id| Passage { source, doc_id, start: 0, text: "" };
        assert_ne!(pair_id(&passage("ab", "c"), 0), pair_id(&passage("a", "bc"), 0));
        assert_ne!(pair_id(&passage("a", "b"), 0), pair_id(&passage("a", "b"), 1));
    }
}
