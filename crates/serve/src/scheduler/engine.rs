//! The engine loop: the one thread that runs the model.

use std::{
    sync::{Arc, PoisonError},
    time::Instant,
};

use restorer::Restorer;

use crate::{
    contain::{TextError, restore_each},
    metrics,
};

use super::{Shared, queue::Job};

/// Runs batches until the scheduler is closed and nothing waits.
pub(super) fn run(model: &dyn Restorer, shared: &Arc<Shared>) {
    let _stopped = StopGuard(shared);
    while let Some(batch) = next_batch(shared) {
        let tokens = batch.iter().map(|job| job.tokens).sum();
        let started = Instant::now();
        let answers = answer(model, batch, started, tokens);
        let mut state = shared.lock();
        state.rate.record(tokens, started.elapsed());
        state.running_tokens = 0;
        drop(state);
        // Sent last: whoever has its answer also sees the engine's counters moved on.
        for (sender, answer) in answers {
            // A client that is gone by now has no use for its answer.
            let _gone = sender.send(answer);
        }
    }
}

/// Waits until something waits, and takes as much as a batch holds. None once closed and empty.
fn next_batch(shared: &Shared) -> Option<Vec<Job>> {
    let mut state = shared.lock();
    loop {
        let (batch, dropped) = state.queue.next_batch();
        metrics::cancelled(dropped);
        metrics::queue(state.queue.len(), state.queue.tokens());
        if !batch.is_empty() {
            state.running_tokens = batch.iter().map(|job| job.tokens).sum();
            return Some(batch);
        }
        if !state.open {
            return None;
        }
        state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

type Answers = Vec<(
    tokio::sync::oneshot::Sender<Result<restorer::Restoration, TextError>>,
    Result<restorer::Restoration, TextError>,
)>;

fn answer(model: &dyn Restorer, batch: Vec<Job>, started: Instant, tokens: usize) -> Answers {
    let (mut requests, mut senders) = (Vec::with_capacity(batch.len()), Vec::with_capacity(batch.len()));
    let mut bytes = 0;
    for job in batch {
        metrics::queue_wait(started - job.queued);
        bytes += job.request.text.len();
        requests.push(job.request);
        senders.push(job.answer);
    }
    let answers = restore_each(model, &requests);
    metrics::batch(&metrics::Batch { texts: requests.len(), tokens, bytes, elapsed: started.elapsed() });
    for answer in &answers {
        match answer {
            Ok(restoration) => metrics::edits(restoration.edits.len()),
            Err(error) => {
                metrics::failed(matches!(error, TextError::Panicked(_)));
                tracing::error!(%error, "a text was not restored");
            }
        }
    }
    senders.into_iter().zip(answers).collect()
}

/// Marks the scheduler as stopped when the engine ends, however it ends: no client is left waiting.
struct StopGuard<'a>(&'a Shared);

impl Drop for StopGuard<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.open = false;
        state.alive = false;
        state.queue.clear();
    }
}
