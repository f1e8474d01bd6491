//! `GET /v1/ws`: texts over a WebSocket, restored while they are typed.

use std::time::Duration;

use axum::{
    Extension,
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, Utf8Bytes, WebSocket, close_code, rejection::WebSocketUpgradeRejection},
    },
    response::Response,
};
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    api::{
        answer::{DoneBody, PieceBody},
        request::RestoreBody,
    },
    error::{ApiError, Kind},
    http::{auth::Client, body::typed, problem::ProblemBody, state::AppState},
};

use super::following::{Followed, Following, answering};

/// Messages of a client in a second; one that sends more is cut off.
const MESSAGES_A_SECOND: usize = 100;
/// How long a client that is cut off is still read from.
const LINGER: Duration = Duration::from_secs(1);
/// Seconds between two pings.
const PING_SECONDS: u64 = 20;
/// Seconds without a sign of life after which the connection is closed.
const SILENT_SECONDS: u64 = 3 * PING_SECONDS;

/// Restore texts over a WebSocket.
///
/// Each message is an object as `/v1/restore` takes it, with one `text`; the answers are objects whose `type` is `piece`, `done` or
/// `error`, and whose `message` is the number of the message that they answer. A new message takes the place of the one before: what of
/// that was not done is given up, so that a text can be sent again with every key that is pressed.
#[utoipa::path(
    get,
    path = "/v1/ws",
    tag = "restore",
    responses((status = 101, description = "From here on messages")),
)]
pub(crate) async fn ws(
    State(state): State<AppState>,
    Extension(client): Extension<Client>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, ApiError> {
    let upgrade = upgrade.map_err(|error| {
        ApiError::new(Kind::UpgradeRequired, format!("this path takes WebSockets only: {error}"))
    })?;
    let most = state.limits().body_bytes;
    let upgrade = upgrade.max_message_size(most).max_frame_size(most);
    Ok(upgrade.on_upgrade(|socket| Talk::new(socket, state, client).hold()))
}

/// An answer to a message.
#[derive(Serialize)]
struct Said {
    /// Number of the message that it answers, from 1.
    message: u64,
    #[serde(flatten)]
    what: What,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum What {
    Piece(PieceBody),
    Done(DoneBody),
    Error { problem: ProblemBody },
}

/// A connection.
struct Talk {
    socket: WebSocket,
    state: AppState,
    client: Client,
    /// Messages that have come.
    messages: u64,
    /// Of the second that runs: when it began, and messages in it.
    second: (Instant, usize),
    heard: Instant,
    following: Option<Following>,
}

/// Why a connection ends.
enum End {
    /// The client has closed it, or is gone.
    Gone,
    /// We close it.
    Close(u16, &'static str),
}

impl Talk {
    fn new(socket: WebSocket, state: AppState, client: Client) -> Self {
        let now = Instant::now();
        Self { socket, state, client, messages: 0, second: (now, 0), heard: now, following: None }
    }

    async fn hold(mut self) {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut tick = 0u64;
        let end = loop {
            let next = async {
                match &mut self.following {
                    Some(following) => following.next().await,
                    None => std::future::pending().await,
                }
            };
            let done = tokio::select! {
                message = self.socket.recv() => match message {
                    Some(Ok(message)) => self.take(message).await,
                    Some(Err(_)) | None => Err(End::Gone),
                },
                followed = next => self.tell(followed).await,
                _ = ticks.tick() => {
                    tick += 1;
                    self.check(tick).await
                }
            };
            if let Err(end) = done {
                break end;
            }
        };
        if let End::Close(code, reason) = end {
            let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
            if self.socket.send(Message::Close(Some(frame))).await.is_ok() {
                // Who is cut off while it sends often does not see why.
                let rest = async { while let Some(Ok(_)) = self.socket.recv().await {} };
                let _ended = tokio::time::timeout(LINGER, rest).await;
            }
        }
    }

    /// Once a second: whether the client is there, and the server stays.
    async fn check(&mut self, tick: u64) -> Result<(), End> {
        if self.state.is_draining() {
            return Err(End::Close(close_code::AWAY, "the server is shutting down"));
        }
        if self.heard.elapsed() > Duration::from_secs(SILENT_SECONDS) {
            return Err(End::Close(close_code::POLICY, "nothing was heard for a minute"));
        }
        if tick.is_multiple_of(PING_SECONDS) {
            self.socket.send(Message::Ping(axum::body::Bytes::new())).await.map_err(|_gone| End::Gone)?;
        }
        Ok(())
    }

    async fn take(&mut self, message: Message) -> Result<(), End> {
        self.heard = Instant::now();
        if self.heard - self.second.0 >= Duration::from_secs(1) {
            self.second = (self.heard, 0);
        }
        self.second.1 += 1;
        if self.second.1 > MESSAGES_A_SECOND {
            return Err(End::Close(close_code::POLICY, "too many messages a second"));
        }
        let bytes = match &message {
            Message::Text(text) => text.as_bytes(),
            Message::Binary(bytes) => bytes,
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(End::Gone),
        };
        self.messages += 1;
        // First of all: what was under way gives its place up.
        self.following = None;
        match self.follow(bytes) {
            Ok(following) => {
                self.following = Some(following);
                Ok(())
            }
            Err(error) => self.tell(Some(Followed::Failed(error))).await,
        }
    }

    fn follow(&self, bytes: &[u8]) -> Result<Following, ApiError> {
        let mut asked = typed::<RestoreBody>(bytes)?.check_one()?;
        let model = answering(&self.state, &mut asked)?;
        Following::start(&model, asked, &self.client, self.state.limits().answer_time)
    }

    async fn tell(&mut self, followed: Option<Followed>) -> Result<(), End> {
        let what = match followed {
            Some(Followed::Piece(piece)) => What::Piece(piece),
            Some(Followed::Done(done)) => What::Done(done),
            Some(Followed::Failed(error)) => What::Error { problem: ProblemBody::from(&error) },
            None => {
                self.following = None;
                return Ok(());
            }
        };
        let said = serde_json::to_string(&Said { message: self.messages, what });
        // Strings, numbers and arrays of them are always written.
        let Ok(said) = said else { return Ok(()) };
        self.socket.send(Message::text(said)).await.map_err(|_gone| End::Gone)
    }
}
