//! The program `serve`.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use serve::{Failure, commands, config::command_line};

/// The model allocates and frees large buffers all the time; this allocator keeps the pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    #[expect(unsafe_code, reason = "the environment is set while there is one thread")]
    // SAFETY: no other thread has been started.
    unsafe {
        restorer::keep_operations_on_their_thread();
    }
    match command_line(std::env::args_os()).map_err(Failure::from).and_then(commands::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let mut out = io::stderr().lock();
            // Standard error may be closed; the status still tells.
            let _closed = writeln!(out, "error: {failure}");
            if let Some(hint) = failure.hint() {
                let _closed = writeln!(out, "hint: {hint}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}
