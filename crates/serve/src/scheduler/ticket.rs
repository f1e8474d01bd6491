//! What a client holds of the texts that it has queued.

use std::time::Duration;

use restorer::{
    Restoration,
    engine::{Collector, News, Piece, Summary},
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

use crate::text_error::TextError;

/// What becomes of a text, as it comes: pieces in order, then one of the other two.
#[derive(Debug)]
pub enum Event {
    /// A piece that can no longer change.
    Piece(Piece),
    /// The text is done.
    Done(Box<Summary>, Timing),
    /// The text is not restored.
    Failed(TextError),
}

/// Where the time of a text went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// Waiting for its turn.
    pub queued: Duration,
    /// From its turn until it was done, beside others.
    pub inference: Duration,
}

impl Timing {
    /// Of several texts, the longest of each.
    fn and(self, other: Self) -> Self {
        Self { queued: self.queued.max(other.queued), inference: self.inference.max(other.inference) }
    }
}

/// Why a queued request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// One of the request's texts failed.
    #[error("text {index}: {error}")]
    Text {
        /// Index of the text in the request.
        index: usize,
        /// What happened to it.
        error: TextError,
    },
    /// The engine stopped before the text's turn.
    #[error("the engine stopped before it came to this request")]
    Stopped,
}

/// Where the events of a text go. Closed, nobody waits for them any more.
pub(super) type Answer = UnboundedSender<Event>;

/// A queued request. Dropping it cancels whatever of it is not done.
#[derive(Debug)]
pub struct Ticket {
    texts: Vec<UnboundedReceiver<Event>>,
}

/// A request whose texts are all restored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answered {
    /// One a text, in the request's order.
    pub restorations: Vec<Restoration>,
    /// The longest wait and the longest work.
    pub timing: Timing,
}

impl Ticket {
    pub(super) fn new(texts: Vec<UnboundedReceiver<Event>>) -> Self {
        Self { texts }
    }

    /// The events of the texts, one channel a text, in the request's order; without an end, the engine has stopped.
    pub fn into_events(self) -> Vec<UnboundedReceiver<Event>> {
        self.texts
    }

    /// Waits for the whole restorations.
    ///
    /// # Errors
    ///
    /// The first text that failed, or [`AnswerError::Stopped`].
    pub async fn wait(self) -> Result<Answered, AnswerError> {
        let mut answered =
            Answered { restorations: Vec::with_capacity(self.texts.len()), timing: Timing::default() };
        for (index, mut events) in self.texts.into_iter().enumerate() {
            let (restoration, timing) =
                whole(&mut events).await?.map_err(|error| AnswerError::Text { index, error })?;
            answered.restorations.push(restoration);
            answered.timing = answered.timing.and(timing);
        }
        Ok(answered)
    }
}

async fn whole(
    events: &mut UnboundedReceiver<Event>,
) -> Result<Result<(Restoration, Timing), TextError>, AnswerError> {
    let mut collector = Collector::default();
    loop {
        let (news, timing) = match events.recv().await.ok_or(AnswerError::Stopped)? {
            Event::Piece(piece) => (News::Piece(0, piece), Timing::default()),
            Event::Done(summary, timing) => (News::Done(0, *summary), timing),
            Event::Failed(error) => return Ok(Err(error)),
        };
        if let Some((_, restored)) = collector.take(news) {
            return Ok(restored.map(|restoration| (restoration, timing)).map_err(TextError::from));
        }
    }
}
