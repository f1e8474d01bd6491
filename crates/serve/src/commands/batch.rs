//! `serve batch`: files.

use std::sync::{Arc, atomic::AtomicBool};

use restorer::RestoreOptions;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag::{register, register_conditional_shutdown},
};

use crate::{
    batch::{BatchSettings, ExistingColumns, ModelTexts, restore_paths},
    cli::BatchArgs,
    failure::{EXIT_FAILED, Failure},
    progress::Progress,
};

use super::load_model;

/// Restores the input into the output, with progress.
pub(super) fn run(args: BatchArgs) -> Result<(), Failure> {
    let stop = stop_on_signal()?;
    let model = load_model(&args.model)?;
    let existing = ExistingColumns::overwritten(args.overwrite_columns);
    let settings = BatchSettings { column: args.column, existing };
    let options = RestoreOptions::from(&args.options);
    let texts = ModelTexts { model: model.as_ref(), options, batch_tokens: args.batch_tokens };
    let mut progress = Progress::new(stop);
    let summary = restore_paths(&args.input, &args.output, &texts, &settings, &mut progress)?;
    progress.finish(&format!("{}: {summary}", args.output.display()));
    Ok(())
}

/// A flag that the first signal sets, so that temporary files are removed; the second ends the process at once.
fn stop_on_signal() -> Result<Arc<AtomicBool>, Failure> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        register_conditional_shutdown(signal, i32::from(EXIT_FAILED), Arc::clone(&stop))
            .and_then(|_| register(signal, Arc::clone(&stop)))
            .map_err(Failure::system("listen for signals"))?;
    }
    Ok(stop)
}
