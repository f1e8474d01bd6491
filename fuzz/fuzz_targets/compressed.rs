//! Compressed text files: the first byte chooses gzip or Zstandard.
#![no_main]

use libfuzzer_sys::fuzz_target;
use revertant_fuzz::{read_documents, with_scratch};

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, bytes)) = bytes.split_first() else { return };
    let name = if choice % 2 == 0 { "in.txt.gz" } else { "in.jsonl.zst" };
    with_scratch(|scratch| read_documents(&scratch.write(name, bytes)));
});
