//! The program `corruptor`.

mod cli;

use std::ffi::{c_int, c_long};
use std::process::ExitCode;

/// A page-retaining allocator: corruption makes and drops many short texts.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[expect(unsafe_code, reason = "the allocator's own C function, which it links")]
unsafe extern "C" {
    fn mi_option_set(option: c_int, value: c_long);
}

/// `mi_option_purge_delay` of mimalloc 2 and 3.
const PURGE_DELAY: c_int = 15;

fn main() -> ExitCode {
    // Row groups take and return megabytes all the time; giving them back to the system and clearing them again took a
    // tenth of the processor. What is kept is what was needed at once, so the largest size of the process stays the same.
    #[expect(unsafe_code, reason = "mimalloc has no safe function for it; both arguments are plain numbers")]
    unsafe {
        mi_option_set(PURGE_DELAY, -1);
    }
    cli::main()
}
