//! The commands: from parsed arguments to done or failed.

mod batch;
mod http;
mod key;
mod openapi;
mod restore;

use std::sync::Arc;

use restorer::{LoadOptions, Reranking, Restorer};

use crate::{
    cli::{Cli, Command, ModelArgs},
    failure::Failure,
    logging,
    model::{self, ModelSource},
};

/// Does what the command line says.
///
/// # Errors
///
/// [`Failure`], which knows its exit status and a hint.
pub fn run(cli: Cli) -> Result<(), Failure> {
    logging::start(cli.log_format, &cli.log)?;
    match cli.command {
        Command::Http(args) => http::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Batch(args) => batch::run(args),
        Command::Key(args) => key::run(&args),
        Command::Openapi => openapi::run(),
    }
}

fn load_model(args: &ModelArgs) -> Result<Arc<dyn Restorer>, Failure> {
    let source = ModelSource::find(args.model.as_ref())?;
    let judge = args.rerank.as_ref().map(|name| ModelSource::find(Some(name))).transpose()?;
    let rerank = match judge {
        Some(ModelSource::Directory(judge)) => {
            Some(Reranking { judge, weight: args.rerank_weight, candidates: args.candidates })
        }
        _ => None,
    };
    let model = model::load(
        &source,
        args.channel.as_deref(),
        LoadOptions {
            device: args.device,
            compute_type: args.compute_type,
            window_bytes: args.window_bytes,
            overlap_bytes: args.overlap_bytes,
            threads: args.threads,
            rerank,
            ..LoadOptions::default()
        },
    )?;
    let info = model.info();
    tracing::debug!(family = info.family, digest = info.digest, parameters = info.parameters, "model loaded");
    Ok(model)
}
