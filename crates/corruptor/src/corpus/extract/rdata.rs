//! R data, read by the Python library `rdata`: the character vectors in it are books, a string a line.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::{Extracted, text};
use crate::corpus::fetch::run_tool;
use crate::documents::Place;
use crate::io_error::IoError;

const SCRIPT: &str = include_str!("rdata.py");
const INSTALL: &str = "Python 3 with the package rdata (python3 -m pip install rdata)";

/// A character vector.
#[derive(Deserialize)]
struct Variable {
    name: String,
    lines: Vec<String>,
}

/// The chapters of all texts in an R data file.
pub(super) fn documents(label: &Path, path: &Path) -> Result<Vec<Extracted>, IoError> {
    let what = label.display().to_string();
    let mut python = Command::new("python3");
    python.args(["-c", SCRIPT]).arg(path);
    let output = run_tool(&what, &mut python, INSTALL).map_err(|error| match error {
        IoError::Fetch { package, message } if message.contains("No module named") => {
            let message = format!("Python has no package rdata; install {INSTALL}");
            IoError::Fetch { package, message }
        }
        // Python's last line is the reason; what stands before it is where it happened.
        IoError::Fetch { package, message } if message.contains("Traceback") => {
            let reason = message.rsplit("; ").next().unwrap_or_default().to_owned();
            let place = Box::new(Place::file(package));
            IoError::Malformed { place, message: format!("rdata cannot read it: {reason}") }
        }
        other => other,
    })?;
    let variables: Vec<Variable> = serde_json::from_slice(&output.stdout).map_err(|error| {
        let place = Box::new(Place::file(label));
        IoError::Malformed { place, message: format!("rdata gave no list of texts: {error}") }
    })?;
    let mut documents = Vec::new();
    for Variable { name, lines } in variables {
        for chapter in text::documents(&lines.join("\n")) {
            documents.push(Extracted { part: format!("{name} {}", chapter.part), ..chapter });
        }
    }
    Ok(documents)
}
