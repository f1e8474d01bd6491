//! Asks an autoregressive model: `lm likelihood DIR` says how probable each line of standard input is, in nats a token; `lm write
//! DIR` how the model goes on after each, `\n` standing for a new line.

use std::io::{BufRead as _, Write as _};
use std::path::Path;

use restorer::lm::LanguageModel;
use restorer::{LoadOptions, RestoreError};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [task, directory] = arguments.as_slice() else { return Err("usage: lm likelihood|write DIR".into()) };
    let model = LanguageModel::load(Path::new(directory), &LoadOptions::default())?;
    let answer = |line: &str| -> Result<String, RestoreError> {
        if task == "write" {
            return Ok(model.write(&line.replace("\\n", "\n"), 64)?.replace('\n', "\\n"));
        }
        Ok(match model.likelihood(line)? {
            Some(found) => format!("{:.4} {}", found.nats / found.tokens.max(1) as f64, found.tokens),
            None => "an encoder-decoder knows no text by itself".to_owned(),
        })
    };
    for line in std::io::stdin().lock().lines() {
        writeln!(std::io::stdout(), "{}", answer(&line?)?)?;
    }
    Ok(())
}
