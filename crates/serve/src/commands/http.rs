//! `serve http`: the server from start to drained.

use std::{collections::HashSet, io::Write, path::Path, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tokio::{net::TcpListener, runtime::Handle, sync::oneshot};
use tokio_rustls::TlsAcceptor;

use crate::{
    cache::ResultCache,
    cli::HttpArgs,
    config::{Declared, ModelEntry},
    failure::Failure,
    http::{
        cors,
        server::{ConnectionLimits, Draining, listen, serve},
        state::{AppState, Parts, RequestLimits},
        tls::acceptor,
    },
    jobs::{JobLimits, Jobs},
    keys::{AddressRate, Keys},
    metrics,
    model::ModelError,
    models::{Models, checkpoint::Checkpoint, golden::Golden, keep},
    routes::router,
    scheduler::Limits,
    shutdown::Signals,
};

/// Work of a server beside its requests, on threads of its own.
pub(super) trait Beside: Send + Sync {
    /// Begins, once the models are loaded; `ended` is told when it has ended, whether by itself or not. It may block.
    fn start(
        &self,
        state: &AppState,
        runtime: &Handle,
        ended: oneshot::Sender<Result<(), Failure>>,
    ) -> Result<(), Failure>;
    /// Why the server is not ready, as far as this goes.
    fn unready(&self) -> Option<&'static str>;
    /// Begins nothing new.
    fn stop(&self);
    /// Blocks until what was begun is done.
    fn join(&self);
}

/// Serves until a signal comes and everything is answered, or until the work beside has ended.
pub(super) fn run(args: &HttpArgs, beside: Option<Arc<dyn Beside>>) -> Result<(), Failure> {
    if let Some(printed) = &args.printed {
        return std::io::stdout()
            .write_all(printed.as_bytes())
            .map_err(Failure::system("print the configuration"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(Failure::system("start the runtime"))?;
    let served = runtime.block_on(http(args, beside));
    // A model that still works on a batch after the time to drain must not hold up the exit.
    runtime.shutdown_background();
    served
}

async fn http(args: &HttpArgs, beside: Option<Arc<dyn Beside>>) -> Result<(), Failure> {
    let signals = Signals::listen().map_err(Failure::system("listen for signals"))?;
    let keys = args.keys.as_deref().map(Keys::load).transpose()?;
    let pair = args.tls_certificate.as_deref().zip(args.tls_key.as_deref());
    let tls = pair.map(|(certificate, key)| acceptor(certificate, key)).transpose()?;
    let models = declared(args)?;
    let jobs = args.jobs.as_deref().map(|directory| Jobs::open(directory, &args.roots, job_limits(args)));
    let jobs = jobs.transpose()?;
    let listener = listen(&args.listen).await?;
    let state = AppState::from(Parts {
        models,
        keys,
        addresses: args.requests_per_second.map(AddressRate::new),
        cache: ResultCache::new(args.result_cache_bytes),
        // Engines count from their start on.
        metrics: metrics::install()?,
        limits: request_limits(args),
    });
    if let Some(jobs) = jobs {
        jobs.start(&state, &Handle::current()).map_err(Failure::system("start the jobs"))?;
        state.take_jobs(jobs);
    }
    if let Some(beside) = beside.clone() {
        state.also_ready_by(Box::new(move || beside.unready()));
    }
    serve_until_signal(args, listener, tls, state, beside, signals).await
}

/// The models that are named, none of them loaded.
fn declared(args: &HttpArgs) -> Result<Models, Failure> {
    let limits = queue_limits(args);
    let golden = |path: Option<&Path>, share| path.map(|path| Golden::load(path, share)).transpose();
    let named = if args.models.is_empty() {
        let golden = golden(args.golden.as_deref(), f64::from(args.golden_share.0))?;
        named(args, golden)
    } else {
        let defaults = (args.golden.as_deref(), f64::from(args.golden_share.0));
        let entry = |entry: &ModelEntry| {
            let golden =
                golden(entry.golden.as_deref().or(defaults.0), entry.golden_share.unwrap_or(defaults.1))?;
            entry.declared(&args.model, golden)
        };
        args.models.iter().map(entry).collect::<Result<_, Failure>>()?
    };
    let mut names = HashSet::new();
    let all = named
        .iter()
        .flat_map(|one| std::iter::once(&one.name).chain(one.beside.iter().map(|(name, ..)| name)));
    for name in all {
        if !names.insert(name.clone()) {
            return Err(Failure::TwoModels(name.clone()));
        }
    }
    let mut slots = named.into_iter().map(|one| one.slot(limits));
    // One at least is always named.
    let first = slots.next().ok_or(ModelError::NoneBuiltIn)?;
    Ok(Models::new(first, slots.collect()))
}

/// The models of the flags, the first first.
fn named(args: &HttpArgs, golden: Option<Golden>) -> Vec<Declared> {
    let first = Checkpoint { golden, ..Checkpoint::from(&args.model) };
    let first = Declared { name: args.model_name.clone(), checkpoint: first, beside: Vec::new() };
    let others = args.also.iter().map(|also| {
        // A channel, a second model and golden texts are the first model's own.
        let name = Some(also.model.clone());
        let checkpoint = Checkpoint { name, channel: None, judge: None, ..Checkpoint::from(&args.model) };
        Declared { name: also.name.clone(), checkpoint, beside: Vec::new() }
    });
    std::iter::once(first).chain(others).collect()
}

async fn serve_until_signal(
    args: &HttpArgs,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    state: AppState,
    beside: Option<Arc<dyn Beside>>,
    mut signals: Signals,
) -> Result<(), Failure> {
    let address = listener.local_addr().map_err(Failure::system("read the address of the listener"))?;
    tracing::info!(%address, keys = state.keys().is_some(), tls = tls.is_some(), "listening");
    tokio::spawn(upkeep(state.clone()));
    let (told, ended) = oneshot::channel();
    tokio::spawn(loaded_and_kept(state.clone(), args.poll_seconds.0, beside.clone(), told));
    let mut ended = ended.fuse();
    let mut outcome = Ok(());
    let stop = async {
        tokio::select! {
            signal = signals.next() => {
                tracing::info!(signal, "shutting down");
                state.start_draining();
                if let Some(beside) = &beside {
                    beside.stop();
                }
                tokio::time::sleep(args.unready_seconds.0).await;
            }
            Ok(told) = &mut ended => {
                state.start_draining();
                outcome = told;
            }
        }
    };
    let mut app = router(state.clone());
    if let Some(cors) = cors::layer(&args.cors_origin) {
        app = app.layer(cors);
    }
    let draining = serve(listener, app, connection_limits(args), tls, stop).await;
    outcome?;
    let is_beside = beside.is_some();
    drain(draining, state, beside, args.drain_seconds.0, signals).await?;
    if !is_beside {
        return Ok(());
    }
    // What went wrong while it ended is told by now.
    let told = tokio::time::timeout(Duration::from_secs(1), ended).await;
    told.map_or(Ok(()), |told| told.unwrap_or(Ok(())))
}

/// Loads the models, begins the work beside and looks for new versions; the sender is told why the server ends.
async fn loaded_and_kept(
    state: AppState,
    every: Duration,
    beside: Option<Arc<dyn Beside>>,
    ended: oneshot::Sender<Result<(), Failure>>,
) {
    if let Err(error) = keep::load(state.models()).await {
        // Nobody listens any more where the server was stopped meanwhile.
        let _stopped = ended.send(Err(error));
        return;
    }
    if let Some(beside) = beside {
        let (state, runtime) = (state.clone(), Handle::current());
        let (told, outcome) = oneshot::channel();
        let started = tokio::task::spawn_blocking(move || beside.start(&state, &runtime, told)).await;
        let started = started.unwrap_or_else(|error| Err(Failure::system("begin the stream")(error.into())));
        if let Err(error) = started {
            let _stopped = ended.send(Err(error));
            return;
        }
        tokio::spawn(async move {
            if let Ok(outcome) = outcome.await {
                let _stopped = ended.send(outcome);
            }
        });
    }
    tracing::info!("ready");
    if !every.is_zero() {
        let tracks = state.models().tracks().cloned().collect();
        keep::keep(tracks, every).await;
    }
}

/// Waits for the last answers and the engine, for at most `time` or until another signal.
async fn drain(
    mut draining: Draining,
    state: AppState,
    beside: Option<Arc<dyn Beside>>,
    time: Duration,
    mut signals: Signals,
) -> Result<(), Failure> {
    let finished = async {
        draining.finish().await;
        // The engine has nothing left to do but to end.
        let ended = tokio::task::spawn_blocking(move || {
            state.jobs().inspect(|jobs| jobs.join());
            beside.inspect(|beside| beside.join());
            state.models().drain();
        })
        .await;
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

/// Keeps the memory of histograms and addresses bounded.
async fn upkeep(state: AppState) {
    let mut every = tokio::time::interval(Duration::from_secs(5));
    loop {
        every.tick().await;
        if let Some(addresses) = state.addresses() {
            addresses.forget();
        }
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

fn job_limits(args: &HttpArgs) -> JobLimits {
    let kept = Duration::from_hours(24).saturating_mul(u32::try_from(args.jobs_days).unwrap_or(u32::MAX));
    JobLimits { at_once: args.jobs_at_once, waiting: args.queue_jobs, kept }
}

fn request_limits(args: &HttpArgs) -> RequestLimits {
    RequestLimits {
        body_bytes: args.max_body_bytes,
        upload_bytes: args.max_upload_bytes,
        body_time: args.body_seconds.0,
        answer_time: args.request_seconds.0,
    }
}

fn connection_limits(args: &HttpArgs) -> ConnectionLimits {
    ConnectionLimits { connections: args.max_connections, head_time: args.idle_seconds.0 }
}
