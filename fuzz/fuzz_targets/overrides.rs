//! `--set` overrides: what they make is a recipe that reads as it was made.
#![no_main]

use corruptor::{CorruptSettings, Recipe};
use libfuzzer_sys::fuzz_target;

const BASE: &str = "[corpus]\nwindow_bytes = 99\n[corrupt]\nseed = 3\n[corrupt.deletion]\nrate = 0.1\n";

fuzz_target!(|text: &str| {
    let overrides: Vec<&str> = text.lines().collect();
    let recipe = Recipe::parse(BASE, "base").expect("the base is a recipe");
    match recipe.with_overrides(&overrides) {
        Ok(recipe) => {
            Recipe::parse(recipe.text(), "again").expect("an overridden recipe is a recipe");
            drop(recipe.table::<CorruptSettings>("corrupt").map_err(|error| error.to_string()));
        }
        Err(error) => drop(error.to_string()),
    }
});
