//! `serve openapi`: the description of the HTTP API.

use std::io::{self, Write};

use crate::{failure::Failure, routes};

/// Prints it.
pub(super) fn run() -> Result<(), Failure> {
    let written = || {
        let mut out = io::stdout().lock();
        serde_json::to_writer_pretty(&mut out, &routes::openapi())?;
        writeln!(out)
    };
    written().map_err(Failure::system("write to standard output"))
}
