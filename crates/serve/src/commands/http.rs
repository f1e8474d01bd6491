//! `serve http`: the server from start to drained.

use std::{sync::Arc, time::Duration};

use restorer::{RestoreRequest, Restorer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::{
    cache::ResultCache,
    cli::{HttpArgs, ModelArgs},
    failure::Failure,
    http::{
        server::{ConnectionLimits, Draining, listen, serve},
        state::{AppState, RequestLimits},
        tls::acceptor,
    },
    keys::Keys,
    metrics,
    models::{Models, Served},
    routes::router,
    scheduler::{Limits, Scheduler},
    shutdown::Signals,
};

use super::load_model;

/// Text of the self-check: restored once before the server is ready.
const SELF_CHECK: &str = "The quick brwn fox jumps over the lazy dog.";

/// Serves until a signal comes and everything is answered.
pub(super) fn run(args: &HttpArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::system("start the runtime"))?;
    let served = runtime.block_on(http(args));
    // A model that still works on a batch after the time to drain must not hold up the exit.
    runtime.shutdown_background();
    served
}

async fn http(args: &HttpArgs) -> Result<(), Failure> {
    let mut signals = Signals::listen().map_err(Failure::system("listen for signals"))?;
    let keys = args.keys.as_deref().map(Keys::load).transpose()?;
    let pair = args.tls_certificate.as_deref().zip(args.tls_key.as_deref());
    let tls = pair.map(|(certificate, key)| acceptor(certificate, key)).transpose()?;
    let listener = listen(&args.listen).await?;
    let named = named(args)?;
    // Engines count from their start on.
    let recorder = metrics::install()?;
    let limits = queue_limits(args);
    let loading = tokio::task::spawn_blocking(move || {
        named
            .into_iter()
            .map(|(name, model)| started(name, &model, limits))
            .collect::<Result<Vec<_>, Failure>>()
    });
    let mut models = tokio::select! {
        loaded = loading => loaded.map_err(|error| Failure::system("load the model")(error.into()))??,
        signal = signals.next() => {
            tracing::info!(signal, "stopped before the model was loaded");
            return Ok(());
        }
    };
    let first = models.remove(0);
    let state = AppState::new(
        Models::new(first, models),
        keys,
        ResultCache::new(args.result_cache_bytes),
        recorder,
        request_limits(args),
    );
    serve_until_signal(args, listener, tls, state, signals).await
}

/// The models by name, the first first.
fn named(args: &HttpArgs) -> Result<Vec<(String, ModelArgs)>, Failure> {
    let others = args.also.iter().map(|also| {
        let model = Some(also.model.clone());
        // A channel and a second model are the first model's own.
        (also.name.clone(), ModelArgs { model, channel: None, rerank: None, ..args.model.clone() })
    });
    let named: Vec<_> =
        std::iter::once((args.model_name.clone(), args.model.clone())).chain(others).collect();
    for (at, (name, _)) in named.iter().enumerate() {
        if named[..at].iter().any(|(other, _)| other == name) {
            return Err(Failure::TwoModels(name.clone()));
        }
    }
    Ok(named)
}

/// Loads a model and starts its engine.
fn started(name: String, model: &ModelArgs, limits: Limits) -> Result<Served, Failure> {
    let model = checked_model(|| load_model(model))?;
    let scheduler = Scheduler::start(model, limits, &name).map_err(Failure::system("start the engine"))?;
    Ok(Served::new(name, scheduler))
}

/// Loads a model and lets it restore a text once.
fn checked_model(
    load: impl FnOnce() -> Result<Arc<dyn Restorer>, Failure>,
) -> Result<Arc<dyn Restorer>, Failure> {
    let model = load()?;
    for answer in model.restore_each(&[RestoreRequest::new(SELF_CHECK)]) {
        answer.map_err(|error| Failure::SelfCheck(error.into()))?;
    }
    Ok(model)
}

async fn serve_until_signal(
    args: &HttpArgs,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    state: AppState,
    mut signals: Signals,
) -> Result<(), Failure> {
    let address = listener.local_addr().map_err(Failure::system("read the address of the listener"))?;
    for model in state.models().all() {
        let info = model.info();
        metrics::model(model.name(), info);
        tracing::info!(
            name = model.name(),
            family = info.family,
            digest = info.digest,
            parameters = info.parameters,
            "model"
        );
    }
    tracing::info!(%address, keys = state.keys().is_some(), tls = tls.is_some(), "listening");
    tokio::spawn(upkeep(state.clone()));
    let stop = async {
        let signal = signals.next().await;
        tracing::info!(signal, "shutting down");
        state.start_draining();
        tokio::time::sleep(args.unready_seconds.0).await;
    };
    let draining = serve(listener, router(state.clone()), connection_limits(args), tls, stop).await;
    drain(draining, state, args.drain_seconds.0, signals).await
}

/// Waits for the last answers and the engine, for at most `time` or until another signal.
async fn drain(
    mut draining: Draining,
    state: AppState,
    time: Duration,
    mut signals: Signals,
) -> Result<(), Failure> {
    let finished = async {
        draining.finish().await;
        // The engine has nothing left to do but to end.
        let ended = tokio::task::spawn_blocking(move || state.models().drain()).await;
        ended.map_err(|error| Failure::system("end the engine")(error.into()))
    };
    let cut = tokio::select! {
        ended = finished => return ended.inspect(|()| tracing::info!("stopped")),
        () = tokio::time::sleep(time) => "the time to drain is over",
        signal = signals.next() => signal,
    };
    let connections = draining.open();
    tracing::warn!(connections, reason = cut, "stopped at once");
    Err(Failure::CutOff { connections })
}

/// Keeps the memory of the histograms bounded where nobody scrapes.
async fn upkeep(state: AppState) {
    let mut every = tokio::time::interval(Duration::from_secs(5));
    loop {
        every.tick().await;
        state.metrics().run_upkeep();
    }
}

fn queue_limits(args: &HttpArgs) -> Limits {
    Limits {
        queue_texts: args.queue_texts,
        queue_tokens: args.queue_tokens,
        batch_texts: args.batch_texts,
        batch_tokens: args.batch_tokens,
        cache_bytes: args.cache_bytes,
    }
}

fn request_limits(args: &HttpArgs) -> RequestLimits {
    RequestLimits {
        body_bytes: args.max_body_bytes,
        body_time: args.body_seconds.0,
        answer_time: args.request_seconds.0,
    }
}

fn connection_limits(args: &HttpArgs) -> ConnectionLimits {
    ConnectionLimits { connections: args.max_connections, head_time: args.idle_seconds.0 }
}
