//! Groups of sources that may have a share of the corpus at most.

use std::collections::BTreeMap;

/// Bytes that each group may keep, so that none has more than its share of what all keep together.
///
/// `groups`: bytes and largest share of each group; `others`: bytes outside of groups. With nothing outside, shares cannot
/// be kept by leaving documents out of groups, and all is kept.
pub(super) fn allowances(groups: &BTreeMap<String, (u64, f64)>, others: u64) -> BTreeMap<String, u64> {
    let mut allowed: BTreeMap<String, u64> =
        groups.iter().map(|(name, (bytes, _))| (name.clone(), *bytes)).collect();
    // What a capped group gives up lowers the total, and with it the others' bounds: at most one more group is capped a round.
    let mut capped: BTreeMap<&str, f64> = BTreeMap::new();
    loop {
        let free: u64 = others
            + allowed
                .iter()
                .filter(|(name, _)| !capped.contains_key(name.as_str()))
                .map(|(_, b)| b)
                .sum::<u64>();
        let total = free as f64 / (1.0 - capped.values().sum::<f64>());
        for (name, share) in &capped {
            allowed.insert((*name).to_owned(), (share * total) as u64);
        }
        let over = groups.iter().find(|(name, (bytes, share))| {
            !capped.contains_key(name.as_str()) && *bytes as f64 > share * total
        });
        match over {
            Some((name, (_, share))) if free > groups[name].0 || !capped.is_empty() || others > 0 => {
                capped.insert(name, *share);
            }
            _ => return allowed,
        }
    }
}

/// Which documents of a group stay: in the order of their digests, as many as fit. So the choice neither favours the start of
/// a book nor depends on the order of sources.
pub(super) fn kept(mut documents: Vec<(u128, u64)>, allowed: u64) -> std::collections::HashSet<u128> {
    documents.sort_unstable();
    let mut left = allowed;
    let mut kept = std::collections::HashSet::new();
    for (digest, bytes) in documents {
        if bytes <= left {
            left -= bytes;
            kept.insert(digest);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(groups: &[(&str, u64, f64)], others: u64) -> Vec<u64> {
        let groups =
            groups.iter().map(|(name, bytes, share)| ((*name).to_owned(), (*bytes, *share))).collect();
        allowances(&groups, others).into_values().collect()
    }

    #[test]
    fn a_group_keeps_its_share_of_what_is_kept() {
        assert_eq!(allowed(&[("a", 50, 0.2)], 80), [20], "a fifth of 100");
        assert_eq!(allowed(&[("a", 20, 0.2)], 80), [20], "just fits");
        assert_eq!(allowed(&[("a", 500, 0.25), ("b", 500, 0.25)], 50), [25, 25]);
        // `b` fits only as long as `a` is not cut.
        assert_eq!(allowed(&[("a", 1000, 0.5), ("b", 30, 0.1)], 80), [100, 20]);
        assert_eq!(allowed(&[("a", 50, 0.2)], 0), [50], "there is nothing else");
    }

    proptest::proptest! {
        #[test]
        fn no_group_exceeds_its_share(a in 0_u64..9999, b in 0_u64..9999, others in 1_u64..9999, s in 0.01_f64..0.45, t in 0.01_f64..0.45) {
            let found = allowed(&[("a", a, s), ("b", b, t)], others);
            let total = (found[0] + found[1] + others) as f64;
            // A byte is lost to rounding down.
            proptest::prop_assert!(found[0] as f64 <= s * (total + 2.0) && found[1] as f64 <= t * (total + 2.0));
            proptest::prop_assert!(found[0] <= a && found[1] <= b);
        }
    }

    #[test]
    fn documents_are_kept_by_digest_and_fit() {
        let documents = vec![(3, 10), (1, 50), (2, 60), (4, 30)];
        assert_eq!(kept(documents, 95), [1, 3, 4].into_iter().collect());
    }
}
