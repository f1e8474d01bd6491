//! The commands: from parsed arguments to done or failed.

mod batch;
mod http;
mod key;
mod openapi;
mod restore;
#[cfg(feature = "kafka")]
mod stream;

use std::sync::Arc;

use restorer::Restorer;

use crate::{
    cli::{Cli, Command, ModelArgs},
    failure::Failure,
    logging,
    models::checkpoint::Checkpoint,
};

/// Does what the command line says.
///
/// # Errors
///
/// [`Failure`], which knows its exit status and a hint.
pub fn run(cli: Cli) -> Result<(), Failure> {
    let _log = logging::start(cli.log_format, &cli.log)?;
    match cli.command {
        Command::Http(args) => http::run(&args, None),
        #[cfg(feature = "kafka")]
        Command::Stream(args) => stream::run(*args),
        Command::Restore(args) => restore::run(&args),
        Command::Batch(args) => batch::run(args),
        Command::Key(args) => key::run(&args),
        Command::Openapi => openapi::run(),
    }
}

fn load_model(args: &ModelArgs) -> Result<Arc<dyn Restorer>, Failure> {
    Checkpoint::from(args).load_now()
}
