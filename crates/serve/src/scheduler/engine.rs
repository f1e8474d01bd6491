//! The engine loop: the one thread that runs the model.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use restorer::{
    RestoreError, Restorer,
    engine::{Engine, EngineLimits, News, TextId},
};

use crate::metrics::{EngineMetrics, Restored};

use super::{
    Event, Shared, Timing,
    queue::{Job, Taken},
    ticket::Answer,
};

/// Lets texts join, steps and answers until the scheduler is closed and nothing is left.
pub(super) fn run(model: &dyn Restorer, shared: &Arc<Shared>, limits: EngineLimits, metrics: EngineMetrics) {
    let _stopped = StopGuard(shared);
    let engine = model.engine(limits);
    let mut work = Work { engine, texts: HashMap::new(), next: 0, busy: Duration::ZERO, metrics };
    while let Some(jobs) = next_jobs(shared, work.texts.len(), &work.metrics) {
        work.join(jobs);
        work.leave_cancelled();
        work.step(shared);
    }
}

/// Takes what may join beside `running` texts; where there is nothing to do, waits. None once closed and empty.
fn next_jobs(shared: &Shared, running: usize, metrics: &EngineMetrics) -> Option<Vec<Job>> {
    let mut state = shared.lock();
    loop {
        let Taken { jobs, cancelled } = state.queue.take(running);
        metrics.cancelled(cancelled);
        metrics.queue(state.queue.len(), state.queue.tokens());
        state.running_tokens += jobs.iter().map(|job| job.tokens).sum::<usize>();
        if !jobs.is_empty() || running > 0 {
            return Some(jobs);
        }
        if !state.open {
            return None;
        }
        state = shared.wake.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

/// A text that is being restored.
struct Started {
    tokens: usize,
    bytes: usize,
    answer: Answer,
    queued: Duration,
    since: Instant,
    edits: usize,
    has_piece: bool,
}

/// What the engine works on.
struct Work<'m> {
    engine: Box<dyn Engine + 'm>,
    texts: HashMap<TextId, Started>,
    next: TextId,
    /// Time of the steps since a text was last finished.
    busy: Duration,
    metrics: EngineMetrics,
}

impl Work<'_> {
    fn join(&mut self, jobs: Vec<Job>) {
        for Job { request, tokens, queued, answer, .. } in jobs {
            let since = Instant::now();
            let queued = since - queued;
            self.metrics.queue_wait(queued);
            let bytes = request.text.len();
            self.texts.insert(
                self.next,
                Started { tokens, bytes, answer, queued, since, edits: 0, has_piece: false },
            );
            self.engine.join(self.next, request);
            self.next += 1;
        }
    }

    /// Gives up what nobody waits for any more.
    fn leave_cancelled(&mut self) {
        let engine = &mut self.engine;
        let before = self.texts.len();
        self.texts.retain(|id, text| {
            let stays = !text.answer.is_closed();
            if !stays {
                engine.leave(*id);
            }
            stays
        });
        if before > self.texts.len() {
            self.metrics.cancelled(before - self.texts.len());
            // What was spent on them is no measure of others.
            self.busy = Duration::ZERO;
        }
    }

    fn step(&mut self, shared: &Shared) {
        let mut news: Vec<News> = Vec::new();
        let started = Instant::now();
        self.engine.step(&mut news);
        let elapsed = started.elapsed();
        self.busy += elapsed;
        self.metrics.step(&self.engine.usage(), elapsed);
        let mut last: Vec<(Answer, Event)> = Vec::new();
        let mut finished_tokens = 0;
        for one in news {
            let (id, event) = match one {
                News::Piece(id, piece) => {
                    if let Some(text) = self.texts.get_mut(&id) {
                        if !std::mem::replace(&mut text.has_piece, true) {
                            self.metrics.first_piece(text.queued + text.since.elapsed());
                        }
                        for edit in &piece.edits {
                            self.metrics.edit(edit.confidence);
                        }
                        text.edits += piece.edits.len();
                        // A client that is gone by now is noticed before the next step.
                        let _gone = text.answer.send(Event::Piece(piece));
                    }
                    continue;
                }
                News::Done(id, summary) => (id, Ok(summary)),
                News::Failed(id, error) => (id, Err(error)),
            };
            let Some(text) = self.texts.remove(&id) else { continue };
            let Started { tokens, bytes, edits, .. } = text;
            let restored = Restored { tokens, bytes, edits, ..Restored::default() };
            finished_tokens += text.tokens;
            let event = match event {
                Ok(summary) => {
                    let (passes, confidence) = (summary.passes, summary.confidence);
                    self.metrics.restored(&Restored { passes, confidence, ..restored });
                    let timing = Timing { queued: text.queued, inference: text.since.elapsed() };
                    Event::Done(Box::new(summary), timing)
                }
                Err(error) => {
                    self.metrics.text(&restored);
                    self.metrics.failed(matches!(error, RestoreError::Panicked(_)));
                    tracing::error!(%error, "a text was not restored");
                    Event::Failed(error.into())
                }
            };
            last.push((text.answer, event));
        }
        let mut state = shared.lock();
        if !last.is_empty() {
            state.rate.record(finished_tokens, std::mem::take(&mut self.busy));
        }
        state.running_tokens = self.texts.values().map(|text| text.tokens).sum();
        drop(state);
        // Sent last: whoever has its answer also sees the engine's counters moved on.
        for (answer, event) in last {
            // A client that is gone by now has no use for its answer.
            let _gone = answer.send(event);
        }
    }
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
