//! What `mod2imp` prints, and the `.conf` file of a module.
#![no_main]

use corruptor::corpus::extract::{is_prose, sword};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Some(module) = sword::module(text) {
        assert!(!module.name.is_empty());
        drop(sword::fitting_driver(&module.driver, text.len() as u64));
    }
    for document in sword::documents(text) {
        assert!(!document.paragraphs.is_empty());
        assert!(document.paragraphs.iter().all(|paragraph| is_prose(paragraph)));
    }
});
