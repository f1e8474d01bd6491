//! Paragraphs of prose out of HTML.
#![no_main]

use corruptor::corpus::extract::{html, is_prose};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|page: &str| {
    for paragraph in html::paragraphs(page) {
        assert!(is_prose(&paragraph) && !paragraph.contains('\n'));
    }
});
