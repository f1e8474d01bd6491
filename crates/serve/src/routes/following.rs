//! One text under restoration, followed piece by piece: for events, WebSockets and chats.

use std::{sync::Arc, time::Duration};

use futures_util::{Stream, stream};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    time::{Instant, timeout_at},
};

use crate::{
    api::{
        answer::{DoneBody, PieceBody, PieceOffsets},
        request::Asked,
    },
    error::{ApiError, Kind},
    http::{auth::Client, state::AppState},
    models::served::Served,
    scheduler::Event,
};

/// The model, or the version of it, that answers `asked`, which is settled with it.
pub(super) fn answering(state: &AppState, asked: &mut Asked) -> Result<Arc<Served>, ApiError> {
    let text = asked.requests.first().map_or("", |request| request.text.as_str());
    let model = state.models().answering(asked.model.as_deref(), text)?;
    asked.settle(model.name(), model.info())?;
    Ok(model)
}

/// A text on its way. Dropping it ends the work on it.
pub(super) struct Following {
    events: Option<UnboundedReceiver<Event>>,
    offsets: PieceOffsets,
    /// When the answer is of no use any more.
    until: Instant,
    /// By how much each event moves that on, where no deadline was asked for.
    patience: Option<Duration>,
}

/// What has come of it; the last two end it.
pub(super) enum Followed {
    Piece(PieceBody),
    Done(DoneBody),
    Failed(ApiError),
}

impl Following {
    /// Queues the one text of `asked`.
    pub(super) fn start(
        model: &Served,
        asked: Asked,
        client: &Client,
        patience: Duration,
    ) -> Result<Self, ApiError> {
        let input = asked.requests.iter().map(|request| request.text.as_str()).collect();
        let offsets = PieceOffsets::new(input, asked.unit);
        let until = Instant::now() + asked.deadline.unwrap_or(patience);
        let patience = asked.deadline.is_none().then_some(patience);
        let events = model.scheduler().submit(asked.requests, client)?.into_events().pop();
        Ok(Self { events, offsets, until, patience })
    }

    /// The next event; none after the last. Given up before it is there, nothing is lost.
    pub(super) async fn next(&mut self) -> Option<Followed> {
        let events = self.events.as_mut()?;
        let received = timeout_at(self.until, events.recv()).await;
        if let Some(patience) = self.patience {
            self.until = Instant::now() + patience;
        }
        let last = match received {
            Ok(Some(Event::Piece(piece))) => return Some(Followed::Piece(self.offsets.next(piece))),
            Ok(Some(Event::Done(summary, timing))) => Followed::Done(DoneBody::new(*summary, timing)),
            Ok(Some(Event::Failed(error))) => {
                Followed::Failed(ApiError::new(Kind::Internal, error.to_string()).at("/text"))
            }
            Ok(None) => {
                Followed::Failed(ApiError::unavailable("the engine stopped before the text was done"))
            }
            Err(_late) => Followed::Failed(ApiError::new(Kind::Timeout, "the text was not done in time")),
        };
        self.events = None;
        Some(last)
    }

    /// All that comes.
    pub(super) fn into_stream(self) -> impl Stream<Item = Followed> {
        stream::unfold(self, async |mut following| {
            let next = following.next().await?;
            Some((next, following))
        })
    }
}
