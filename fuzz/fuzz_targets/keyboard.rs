//! Keyboard layouts.
#![no_main]

use corruptor::{Alphabet, KeyboardLayout};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match KeyboardLayout::parse(text, "layout.toml") {
        Ok(layout) => drop(Alphabet::new(&layout.alphabet()).map_err(|error| error.to_string())),
        Err(error) => drop(error.to_string()),
    }
});
