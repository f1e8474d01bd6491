//! Logs on standard error: text for people, JSON for machines. With a collector of OpenTelemetry, traces to that as well.
//!
//! # Layout
//! - `trace_context` takes over the trace of a request; `otlp` sends what was traced.

#[cfg(feature = "otlp")]
mod otlp;
pub(crate) mod trace_context;

use std::io::IsTerminal;

use tracing::Metadata;
use tracing_subscriber::{
    EnvFilter,
    filter::{FilterExt, ParseError, filter_fn},
    fmt,
    layer::{Layer, SubscriberExt},
    util::SubscriberInitExt,
};

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum LogFormat {
    /// One readable line.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The log could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter is not one.
    #[error("the log filter `{filter}` cannot be read: {source}")]
    Filter {
        /// The filter that was given.
        filter: String,
        /// What is wrong with it.
        source: ParseError,
    },
    /// The collector's address or its other settings cannot be used.
    #[error("cannot send traces as OTEL_EXPORTER_OTLP_* say: {0}")]
    Traces(String),
    /// A log is installed in this process already.
    #[error("the log is set up already")]
    Twice,
}

/// What keeps the log going: dropped, what is still to be sent is sent.
#[must_use]
pub struct Log {
    #[cfg(feature = "otlp")]
    _traces: Option<otlp::Traces>,
}

/// Starts logging what `filter` (such as `info` or `serve=debug`) lets through, panics included. Where `OTEL_EXPORTER_OTLP_ENDPOINT` or
/// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` names a collector (and the feature `otlp` is on), requests are traced there.
///
/// # Errors
///
/// [`LogError`]: an unreadable filter, or a second call.
pub fn start(format: LogFormat, filter: &str) -> Result<Log, LogError> {
    let filter = EnvFilter::try_new(filter)
        .map_err(|source| LogError::Filter { filter: filter.to_owned(), source })?;
    // What is exported does not depend on what is logged.
    let is_exported = |about: &Metadata<'_>| about.target() == trace_context::EXPORTED;
    let logged = filter.and(filter_fn(move |about| !is_exported(about)));
    let registry = tracing_subscriber::registry();
    #[cfg(feature = "otlp")]
    let traces = otlp::Traces::start()?;
    #[cfg(feature = "otlp")]
    let registry =
        registry.with(traces.as_ref().map(|traces| traces.layer().with_filter(filter_fn(is_exported))));
    let lines = fmt::layer().with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => {
            let lines = lines.with_ansi(std::io::stderr().is_terminal()).with_target(false);
            registry.with(lines.with_filter(logged)).try_init()
        }
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_filter(logged)).try_init(),
    };
    started.map_err(|_installed| LogError::Twice)?;
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        tracing::error!(%place, thread, message = panic.payload_as_str().unwrap_or("no message"), "panic");
    }));
    Ok(Log {
        #[cfg(feature = "otlp")]
        _traces: traces,
    })
}
