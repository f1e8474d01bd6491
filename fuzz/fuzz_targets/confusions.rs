//! Confusion tables: a bad row is named with its line.
#![no_main]

use corruptor::{ConfusionRow, Confusions};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match ConfusionRow::parse(text, "table.tsv") {
        Ok(rows) => drop(Confusions::new(&rows).map_err(|error| error.to_string())),
        Err(error) => assert!(error.to_string().contains("table.tsv")),
    }
});
