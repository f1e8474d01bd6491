//! Arguments in, library calls, words out. Exit status: 0 done, 1 failed, 2 used wrongly.

mod arguments;
mod commands;
mod fit;
mod import;
mod score;
mod watch;

use std::io::{self, Write as _};
use std::panic;
use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command};

/// Parses the command line and runs the command.
pub(crate) fn main() -> ExitCode {
    keep_guarded_panics_quiet();
    let done = match Arguments::parse().command {
        Command::Corpus(arguments) => commands::corpus(&arguments),
        Command::Generate(arguments) => commands::generate(arguments),
        Command::Apply(arguments) => commands::apply(arguments),
        Command::Import(arguments) => import::run(arguments),
        Command::Inspect(arguments) => commands::inspect(&arguments),
        Command::Score(arguments) => score::run(&arguments),
        Command::Fit(arguments) => fit::run(&arguments),
    };
    match done {
        Ok(status) => status,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to be done if standard error is closed too.
            let _ = writeln!(io::stderr(), "error: {}", corruptor::chain(error.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// A panic that becomes an error is told by that error alone.
fn keep_guarded_panics_quiet() {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !corruptor::is_guarded() {
            hook(panic);
        }
    }));
}

/// Whoever read our output has read enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
