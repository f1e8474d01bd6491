//! Connections: accepted, bounded, drained.

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, http::Request};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tokio_rustls::TlsAcceptor;

use super::{auth::Peer, tls::late};

/// Limits of the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at a time; more wait to be accepted.
    pub connections: usize,
    /// Time for a request's head to arrive, and for an idle connection to stay.
    pub head_time: Duration,
}

impl ConnectionLimits {
    /// [`ConnectionLimits::connections`] unless told otherwise.
    pub const DEFAULT_CONNECTIONS: usize = 1024;
    /// [`ConnectionLimits::head_time`] unless told otherwise.
    pub const DEFAULT_HEAD_TIME: Duration = Duration::from_mins(1);
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self { connections: Self::DEFAULT_CONNECTIONS, head_time: Self::DEFAULT_HEAD_TIME }
    }
}

/// The listener could not be opened. The message says what to do.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {source}")]
pub struct ListenError {
    /// The address that was asked for.
    pub address: String,
    source: io::Error,
}

impl ListenError {
    /// What the user can do about it.
    pub fn hint(&self) -> &'static str {
        match self.source.kind() {
            io::ErrorKind::AddrInUse => {
                "another program listens there: stop it, or choose another port with --listen (port 0 takes any free one)"
            }
            io::ErrorKind::PermissionDenied => {
                "ports below 1024 need privileges: choose a higher one with --listen"
            }
            io::ErrorKind::AddrNotAvailable => {
                "this machine has no such address: use 127.0.0.1 or 0.0.0.0 with --listen"
            }
            _ => "give an address of this machine and a free port with --listen, such as 127.0.0.1:8080",
        }
    }
}

/// Opens the listener at `address` (`host:port`).
///
/// # Errors
///
/// [`ListenError`], where the address is taken, not ours or not resolved.
pub async fn listen(address: &str) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|source| ListenError { address: address.to_owned(), source })
}

/// The open connections of a server that takes no new ones.
pub struct Draining {
    connections: JoinSet<()>,
}

impl Draining {
    /// Waits until the last answer is sent.
    pub async fn finish(&mut self) {
        while self.connections.join_next().await.is_some() {}
    }

    /// Connections that are still open.
    pub fn open(&mut self) -> usize {
        while self.connections.try_join_next().is_some() {}
        self.connections.len()
    }
}

/// Serves `router` on `listener`, with `tls` where there is a certificate, until `stop` is over. Then the listener is closed, idle connections are closed, and
/// those that wait for an answer are given back to be waited for.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ConnectionLimits,
    tls: Option<TlsAcceptor>,
    stop: impl Future<Output = ()>,
) -> Draining {
    let slots = Arc::new(Semaphore::new(limits.connections));
    let (stopping, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    loop {
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (accept(&listener).await, slot)
        };
        let ((stream, peer), slot) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => break,
        };
        let (router, stopped, tls) = (router.clone(), stopped.clone(), tls.clone());
        connections.spawn(async move {
            shaken(stream, tls, Peer(peer.ip()), router, limits, stopped).await;
            drop(slot);
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    // Receivers that are gone belong to connections that are gone.
    let _none_left = stopping.send(true);
    Draining { connections }
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok(accepted) => return accepted,
            // The client has left already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                // Most likely too many open files: the connections that end will free some.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

async fn shaken(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    peer: Peer,
    router: Router,
    limits: ConnectionLimits,
    stopped: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch off Nagle's algorithm");
    }
    let Some(tls) = tls else { return connection(stream, peer, router, limits, stopped).await };
    let accepted = tokio::time::timeout(limits.head_time, tls.accept(stream)).await;
    match accepted.unwrap_or_else(|_late| Err(late())) {
        Ok(stream) => connection(stream, peer, router, limits, stopped).await,
        Err(error) => tracing::debug!(%error, "a handshake failed"),
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    router: Router,
    limits: ConnectionLimits,
    mut stopped: watch::Receiver<bool>,
) {
    let with_peer = tower::ServiceBuilder::new().map_request(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(peer);
        request
    });
    let service = TowerToHyperService::new(with_peer.service(router));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let stopping = async {
        // An error means that the server is gone, which is the same.
        let _gone = stopped.wait_for(|stopped| *stopped).await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}
