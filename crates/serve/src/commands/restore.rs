//! `serve restore`: one text.

use std::io::{self, Read, Write};

use restorer::{
    RestoreOptions, RestoreRequest, Restorer,
    engine::{EngineLimits, News},
};

use crate::{
    api::{answer::RestorationBody, values::Alternatives},
    cli::RestoreArgs,
    failure::Failure,
    text_error::TextError,
};

use super::load_model;

/// Restores the text and prints it.
pub(super) fn run(args: &RestoreArgs) -> Result<(), Failure> {
    let (text, is_argument) = match args.text.as_deref() {
        None | Some("-") => (read_stdin()?, false),
        Some(text) => (text.to_owned(), true),
    };
    let model = load_model(&args.model)?;
    let alternatives = args.alternatives.map_or(0, Alternatives::get);
    let options = RestoreOptions { alternatives, ..RestoreOptions::from(&args.options) };
    let request = RestoreRequest::new(text).with_options(options);
    let printed = if args.json {
        print_whole(model.as_ref(), request)
    } else {
        print_pieces(model.as_ref(), request, is_argument)
    };
    printed?.map_err(Failure::system("write to standard output"))
}

/// Prints one object.
fn print_whole(model: &dyn Restorer, request: RestoreRequest) -> Result<io::Result<()>, TextError> {
    let mut out = io::stdout().lock();
    for answer in model.restore_each(&[request]) {
        let body = RestorationBody::from(answer?);
        if let Err(error) =
            serde_json::to_writer(&mut out, &body).map_err(io::Error::from).and_then(|()| writeln!(out))
        {
            return Ok(Err(error));
        }
    }
    Ok(out.flush())
}

/// Prints each piece as soon as it can no longer change. Text from standard input is printed byte for byte; a line is ended only
/// where the shell gave the text.
fn print_pieces(
    model: &dyn Restorer,
    request: RestoreRequest,
    ends_line: bool,
) -> Result<io::Result<()>, TextError> {
    let mut out = io::stdout().lock();
    let mut engine = model.engine(EngineLimits::default());
    engine.join(0, request);
    let mut news = Vec::new();
    while engine.usage().texts > 0 {
        engine.step(&mut news);
        for one in news.drain(..) {
            let written = match one {
                News::Piece(_, piece) => out.write_all(piece.text.as_bytes()).and_then(|()| out.flush()),
                News::Failed(_, error) => return Err(error.into()),
                News::Done(..) if ends_line => writeln!(out),
                News::Done(..) => Ok(()),
            };
            if written.is_err() {
                return Ok(written);
            }
        }
    }
    Ok(out.flush())
}

fn read_stdin() -> Result<String, Failure> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(Failure::system("read standard input"))?;
    String::from_utf8(bytes).map_err(|error| Failure::InputEncoding { at: error.utf8_error().valid_up_to() })
}
