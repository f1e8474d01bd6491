//! Chapters and paragraphs out of plain text; tidying twice is tidying once.
#![no_main]

use corruptor::corpus::extract::{is_prose, text, tidy};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let once = tidy(input);
    assert_eq!(tidy(&once), once);
    for document in text::documents(input) {
        assert!(!document.paragraphs.is_empty());
        assert!(document.paragraphs.iter().all(|paragraph| is_prose(paragraph)));
    }
});
