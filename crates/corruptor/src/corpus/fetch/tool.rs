//! Running the ordinary clients and readers: npm, pip, apt-get, dpkg-deb, mod2imp, python3.

use std::io;
use std::process::{Command, Output, Stdio};

use crate::io_error::IoError;

/// Lines of a failed tool's messages that an error quotes, from their start and from their end.
const LINES_KEPT: usize = 6;

/// Runs a tool to its end; standard input is empty, messages are in English.
///
/// `what`: for whom it runs, as errors name it; `install`: what to do where it is missing.
pub(in crate::corpus) fn run(what: &str, command: &mut Command, install: &str) -> Result<Output, IoError> {
    let tool = command.get_program().to_string_lossy().into_owned();
    let fail = |message: String| IoError::Fetch { package: what.to_owned(), message };
    let output = command.stdin(Stdio::null()).env("LC_ALL", "C.UTF-8").output().map_err(|error| {
        let hint = if error.kind() == io::ErrorKind::NotFound { ", or mend PATH" } else { "" };
        fail(format!("{tool} does not start: {error}; install {install}{hint}"))
    })?;
    if output.status.success() {
        return Ok(output);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    // The reason stands first or last; what is between is usage, or how it came about.
    let (first, last) = (lines.len().min(LINES_KEPT), lines.len().saturating_sub(LINES_KEPT).max(LINES_KEPT));
    let reason: Vec<&str> =
        lines[..first].iter().chain(lines.get(last..).unwrap_or_default()).copied().collect();
    Err(fail(format!("{tool} failed ({}): {}", output.status, reason.join("; "))))
}
