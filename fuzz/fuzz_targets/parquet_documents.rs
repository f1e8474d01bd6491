//! Documents of a Parquet file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use revertant_fuzz::{pass_guarded_panics, read_documents, with_scratch};

fuzz_target!(init: pass_guarded_panics(), |bytes: &[u8]| {
    with_scratch(|scratch| read_documents(&scratch.write("in.parquet", bytes)));
});
