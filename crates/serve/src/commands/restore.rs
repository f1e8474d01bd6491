//! `serve restore`: one text.

use std::io::{self, Read, Write};

use restorer::{RestoreOptions, RestoreRequest};

use crate::{answer::RestorationBody, cli::RestoreArgs, contain::restore_each, failure::Failure};

use super::load_model;

/// Restores the text and prints it.
pub(super) fn run(args: &RestoreArgs) -> Result<(), Failure> {
    let (text, is_argument) = match args.text.as_deref() {
        None | Some("-") => (read_stdin()?, false),
        Some(text) => (text.to_owned(), true),
    };
    let model = load_model(&args.model)?;
    let options = RestoreOptions { alternatives: args.alternatives, ..RestoreOptions::from(&args.options) };
    let request = RestoreRequest::new(text).with_options(options);
    for answer in restore_each(model.as_ref(), &[request]) {
        let body = RestorationBody::from(answer?);
        print(&body, args.json, is_argument).map_err(Failure::system("write to standard output"))?;
    }
    Ok(())
}

/// Text from standard input is printed byte for byte; a line is ended only where the shell gave the text.
fn print(body: &RestorationBody, json: bool, is_argument: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        serde_json::to_writer(&mut out, body)?;
        writeln!(out)?;
    } else {
        out.write_all(body.text.as_bytes())?;
        if is_argument {
            writeln!(out)?;
        }
    }
    out.flush()
}

fn read_stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(Failure::system("read standard input"))?;
    String::from_utf8(bytes).map_err(|error| Failure::InputEncoding { at: error.utf8_error().valid_up_to() })
}
