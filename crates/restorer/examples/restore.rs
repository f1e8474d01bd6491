//! Restores the lines of standard input in batches, timed: what `bench/restore` compares with its peers.
//!
//! `restore DIR --batch N [--compute-type float32|int8] [--threads N] [--plain]`
//!
//! All edits are applied, whatever their confidence. A line of JSON goes to standard output: the seconds of each batch, the passes of the
//! model, and what was written.

use std::io::{BufRead as _, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use restorer::{LoadOptions, RestoreOptions, RestoreRequest, Restorer as _, lm::LanguageModel};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut model, mut batch, mut options) = (None, 1, LoadOptions::default());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument}: a value is missing"));
        match argument.as_str() {
            "--batch" => batch = value()?.parse::<usize>()?.max(1),
            "--compute-type" => options.compute_type = value()?.parse()?,
            "--threads" => options.threads = Some(value()?.parse()?),
            "--plain" => options.no_drafts = true,
            _ => model = Some(PathBuf::from(argument)),
        }
    }
    let model = LanguageModel::load(&model.ok_or("usage: restore DIR --batch N")?, &options)?;
    let restore_options = RestoreOptions { min_confidence: Some(0.0), ..RestoreOptions::default() };
    let requests = std::io::stdin()
        .lock()
        .lines()
        .map(|line| Ok(RestoreRequest::new(line?).with_options(restore_options)))
        .collect::<Result<Vec<_>, std::io::Error>>()?;
    // The first batch reads weights that nobody has read before.
    model.restore(&requests[..requests.len().min(batch)])?;
    let (mut seconds, mut passes, mut texts) = (Vec::new(), 0, Vec::new());
    for requests in requests.chunks(batch) {
        let started = Instant::now();
        let restored = model.restore(requests)?;
        seconds.push(started.elapsed().as_secs_f64());
        passes += restored.iter().map(|restoration| restoration.passes).sum::<usize>();
        texts.extend(restored.into_iter().map(|restoration| restoration.text));
    }
    let line = serde_json::json!({ "seconds": seconds, "passes": passes, "texts": texts });
    writeln!(std::io::stdout(), "{line}")?;
    Ok(())
}
