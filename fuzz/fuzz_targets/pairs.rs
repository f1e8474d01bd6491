//! Files of pairs: rows, metadata, and the inspection of both.
#![no_main]

use corruptor::inspect::{InspectOptions, html_report, inspect};
use corruptor::pairs::{PairMetadata, read_pairs};
use corruptor::progress::unobserved;
use libfuzzer_sys::fuzz_target;
use revertant_fuzz::{pass_guarded_panics, with_scratch};

fuzz_target!(init: pass_guarded_panics(), |bytes: &[u8]| {
    with_scratch(|scratch| {
        let path = scratch.write("pairs.parquet", bytes);
        drop(PairMetadata::read(&path).map_err(|error| error.to_string()));
        let Ok(pairs) = read_pairs(&path) else { return };
        let mut are_small = true;
        for pair in pairs {
            match pair {
                Ok(pair) => are_small &= pair.original.len().max(pair.corrupted.len()) < 1 << 16,
                Err(error) => return drop(error.to_string()),
            }
        }
        let options = InspectOptions { threads: Some(1), ..InspectOptions::default() };
        if are_small && let Ok(inspection) = inspect(&path, &options, &mut unobserved) {
            drop(html_report(&inspection));
        }
    });
});
