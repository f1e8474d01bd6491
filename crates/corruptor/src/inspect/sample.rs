//! A random sample of rows that depends on the rows alone: not on their order, the threads or the machine.

use std::collections::BTreeMap;

use crate::pair::Pair;

/// Keeps the rows whose ids, mixed, are smallest.
pub(super) struct Sample {
    size: usize,
    kept: BTreeMap<(u64, u64), Pair>,
}

impl Sample {
    pub(super) fn new(size: usize) -> Self {
        Self { size, kept: BTreeMap::new() }
    }

    pub(super) fn offer(&mut self, pair: &Pair) {
        let key = (mixed(pair.id), pair.id);
        let last = self.kept.last_key_value().map(|(key, _)| *key);
        if self.kept.len() < self.size || last.is_some_and(|last| key < last) {
            self.kept.insert(key, pair.clone());
        }
        if self.kept.len() > self.size {
            self.kept.pop_last();
        }
    }

    pub(super) fn into_pairs(self) -> impl Iterator<Item = Pair> {
        self.kept.into_values()
    }
}

/// The finalizer of `SplitMix64`: ids are hashes already, but a writer of other pairs may count them.
fn mixed(id: u64) -> u64 {
    let id = (id ^ (id >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let id = (id ^ (id >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    id ^ (id >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_does_not_depend_on_the_order_and_covers_all() {
        let pair = |id| Pair {
            id,
            doc_id: String::new(),
            source: String::new(),
            start: 0,
            copy: 0,
            noise: None,
            original: String::new(),
            corrupted: String::new(),
            events: Vec::new(),
            cer: 0.0,
        };
        let sampled = |ids: &mut dyn Iterator<Item = u64>| -> Vec<u64> {
            let mut sample = Sample::new(200);
            ids.for_each(|id| sample.offer(&pair(id)));
            sample.into_pairs().map(|pair| pair.id).collect()
        };
        let forward = sampled(&mut (0..10_000));
        assert_eq!(forward, sampled(&mut (0..10_000).rev()));
        assert_eq!(forward.len(), 200);
        let late = forward.iter().filter(|id| **id >= 5_000).count();
        assert!((60..=140).contains(&late), "{late} of 200 from the second half");
    }
}
