//! The program `corruptor`.

mod cli;

use std::process::ExitCode;

/// A page-retaining allocator: corruption makes and drops many short texts.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::main()
}
