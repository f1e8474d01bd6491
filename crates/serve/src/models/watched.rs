//! Models that only watch: they get what was answered, and how their answers differ is measured and thrown away.

use std::sync::Arc;

use corruptor::cer;
use restorer::{Priority, Restoration, RestoreRequest};

use crate::{http::auth::Client, metrics};

use super::{beside::Slot, served::Served};

/// Requests that somebody watches. Dropped, nobody does.
#[derive(Default)]
pub(crate) struct Watched(Vec<Watch>);

/// One text for one of those that watch.
struct Watch {
    model: Arc<Served>,
    /// Index of the text in its request.
    index: usize,
    request: RestoreRequest,
    client: Client,
}

impl Watched {
    pub(super) fn new(slot: &Slot, requests: &[RestoreRequest], client: &Client) -> Self {
        let of = |(index, request): (usize, &RestoreRequest)| {
            slot.watching(&request.text)
                .map(|model| {
                    let mut request = request.clone();
                    request.options.priority = Priority::Bulk;
                    Watch { model, index, request, client: client.clone() }
                })
                .collect::<Vec<_>>()
        };
        Self(requests.iter().enumerate().flat_map(of).collect())
    }

    /// How many texts somebody watches.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Compares with what `answering` made of them, once there is time for it; nobody waits for that.
    pub(crate) fn compare(self, answering: &str, restorations: &[Restoration]) {
        for watch in self.0 {
            let Some(answered) = restorations.get(watch.index) else { continue };
            tokio::spawn(watch.compare(answering.to_owned(), answered.text.clone()));
        }
    }
}

impl Watch {
    async fn compare(self, answering: String, answered: String) {
        let shadow = self.model.name().to_owned();
        let outcome = |outcome| metrics::shadow(&answering, &shadow, outcome);
        // Who only watches never makes others wait: without room, it does not look.
        let Ok(ticket) = self.model.scheduler().submit(vec![self.request], &self.client) else {
            return outcome("skipped");
        };
        let made = ticket.wait().await.ok().and_then(|answered| answered.restorations.into_iter().next());
        let Some(made) = made else { return outcome("failed") };
        outcome(if made.text == answered { "same" } else { "different" });
        // A long text that differs much takes a while to compare.
        if let Ok(distance) = tokio::task::spawn_blocking(move || cer(&answered, &made.text)).await {
            metrics::shadow_distance(&answering, &shadow, distance);
        }
    }
}
