//! `serve key`: a new key of the API.

use std::io::{self, Write};

use crate::{cli::KeyArgs, failure::Failure, keys::generate};

/// Prints the key's table, for the file, and on standard error the key itself, so that it does not get into the file.
pub(super) fn run(args: &KeyArgs) -> Result<(), Failure> {
    let (secret, table) = generate(&args.name, args.role, args.requests_per_second);
    let written = || {
        writeln!(io::stdout(), "{table}")?;
        writeln!(io::stderr(), "The key of {}, shown only now: {secret}", args.name)
    };
    written().map_err(Failure::system("write to standard output"))
}
