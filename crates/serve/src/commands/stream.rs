//! `serve stream`: the server, with a stream beside it that shares its engine.

use std::{
    fs,
    sync::{Arc, OnceLock},
};

use tokio::{runtime::Handle, sync::oneshot};

use super::http::{self, Beside};
use crate::{
    cli::{
        HttpArgs,
        stream::{StreamArgs, properties},
    },
    config::ConfigError,
    failure::Failure,
    http::state::AppState,
    stream::{Settings, Stream},
};

/// Streams until a signal comes and what was read is written; a replay also ends by itself.
pub(super) fn run(args: StreamArgs) -> Result<(), Failure> {
    let of_file = args.properties_file.as_deref().map_or(Ok(Vec::new()), |path| {
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Read { path: path.to_path_buf(), source })?;
        properties(&text).map_err(|message| ConfigError::Content { path: path.to_path_buf(), message })
    })?;
    let settings = args.settings(of_file, &host()).check()?;
    let listen = if settings.replay {
        // The stream that runs beside it listens there already.
        "127.0.0.1:0".to_owned()
    } else {
        args.http.listen.clone()
    };
    let http = HttpArgs { listen, ..args.http };
    http::run(&http, Some(Arc::new(StreamBeside { settings, stream: OnceLock::new() })))
}

/// The name of this machine.
fn host() -> String {
    let named = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = named.or_else(|| std::env::var("HOSTNAME").ok());
    named
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "host".to_owned())
}

struct StreamBeside {
    settings: Settings,
    stream: OnceLock<Stream>,
}

impl Beside for StreamBeside {
    fn start(
        &self,
        state: &AppState,
        runtime: &Handle,
        ended: oneshot::Sender<Result<(), Failure>>,
    ) -> Result<(), Failure> {
        let stream = Stream::start(self.settings.clone(), state, runtime, move |outcome| {
            // Nobody listens where the server has ended before.
            let _gone = ended.send(outcome.map_err(Failure::from));
        })?;
        let Settings { input, output, group, instance, .. } = &self.settings;
        tracing::info!(input, output, group, instance, "streaming");
        let _started = self.stream.set(stream);
        Ok(())
    }

    fn unready(&self) -> Option<&'static str> {
        match self.stream.get() {
            Some(stream) if stream.health().is_member() => None,
            _ => Some("the stream takes no part in its group"),
        }
    }

    fn stop(&self) {
        if let Some(stream) = self.stream.get() {
            stream.stop();
        }
    }

    fn join(&self) {
        if let Some(stream) = self.stream.get() {
            stream.join();
        }
    }
}
