//! The bounded queue: first in, first out, limited in texts and in tokens.

use std::{collections::VecDeque, time::Instant};

use restorer::{Restoration, RestoreRequest};
use tokio::sync::oneshot;

use crate::contain::TextError;

use super::Limits;

/// One text that waits for the engine.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: RestoreRequest,
    /// The text's cost in the model's tokens, at least 1.
    pub(super) tokens: usize,
    pub(super) queued: Instant,
    pub(super) answer: oneshot::Sender<Result<Restoration, TextError>>,
}

impl Job {
    /// Whether nobody waits for the answer any more.
    fn cancelled(&self) -> bool {
        self.answer.is_closed()
    }
}

/// What waits, within its limits.
#[derive(Debug)]
pub(super) struct Queue {
    jobs: VecDeque<Job>,
    tokens: usize,
    limits: Limits,
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        Self { jobs: VecDeque::new(), tokens: 0, limits }
    }

    /// Texts that wait.
    pub(super) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Tokens that wait.
    pub(super) fn tokens(&self) -> usize {
        self.tokens
    }

    /// Takes all of `jobs`, or gives them back where they do not fit.
    pub(super) fn admit(&mut self, jobs: Vec<Job>) -> Result<(), Vec<Job>> {
        let tokens = jobs.iter().map(|job| job.tokens).sum::<usize>();
        if !self.fits(jobs.len(), tokens) {
            self.remove_cancelled();
            if !self.fits(jobs.len(), tokens) {
                return Err(jobs);
            }
        }
        self.tokens += tokens;
        self.jobs.extend(jobs);
        Ok(())
    }

    /// The next batch, oldest first: as many as the budget of a batch holds, at least one where any waits.
    /// Whoever is cancelled is dropped on the way and counted.
    pub(super) fn next_batch(&mut self) -> (Vec<Job>, usize) {
        let (mut batch, mut tokens, mut dropped) = (Vec::new(), 0, 0);
        while let Some(job) = self.jobs.front() {
            let fits =
                batch.len() < self.limits.batch_texts && tokens + job.tokens <= self.limits.batch_tokens;
            if !job.cancelled() && !fits && !batch.is_empty() {
                break;
            }
            let Some(job) = self.jobs.pop_front() else { break };
            self.tokens -= job.tokens;
            if job.cancelled() {
                dropped += 1;
            } else {
                tokens += job.tokens;
                batch.push(job);
            }
        }
        (batch, dropped)
    }

    /// Drops everything that waits; its clients learn that there will be no answer.
    pub(super) fn clear(&mut self) {
        self.jobs.clear();
        self.tokens = 0;
    }

    fn fits(&self, texts: usize, tokens: usize) -> bool {
        self.jobs.len() + texts <= self.limits.queue_texts && self.tokens + tokens <= self.limits.queue_tokens
    }

    fn remove_cancelled(&mut self) {
        self.jobs.retain(|job| !job.cancelled());
        self.tokens = self.jobs.iter().map(|job| job.tokens).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::request;

    type Answer = oneshot::Receiver<Result<Restoration, TextError>>;

    fn job(text: &str, tokens: usize) -> (Job, Answer) {
        let (answer, receiver) = oneshot::channel();
        (Job { request: request(text), tokens, queued: Instant::now(), answer }, receiver)
    }

    fn queue(queue_texts: usize, queue_tokens: usize, batch_texts: usize, batch_tokens: usize) -> Queue {
        Queue::new(Limits { queue_texts, queue_tokens, batch_texts, batch_tokens })
    }

    fn texts(batch: &[Job]) -> Vec<&str> {
        batch.iter().map(|job| job.request.text.as_str()).collect()
    }

    #[test]
    fn batches_keep_the_order_and_the_budget() {
        let mut queue = queue(10, 1000, 3, 10);
        let (jobs, _answers): (Vec<_>, Vec<_>) =
            [("a", 4), ("b", 6), ("c", 50), ("d", 1), ("e", 1), ("f", 1), ("g", 1)]
                .map(|(t, n)| job(t, n))
                .into_iter()
                .unzip();
        queue.admit(jobs).unwrap();
        let mut batches = Vec::new();
        while queue.len() > 0 {
            let (batch, dropped) = queue.next_batch();
            assert_eq!(dropped, 0);
            batches.push(texts(&batch).join(""));
        }
        // c alone is over the budget and goes alone; the fourth of d e f g waits for the next batch.
        assert_eq!(batches, ["ab", "c", "def", "g"]);
        assert_eq!(queue.tokens(), 0);
        assert!(queue.next_batch().0.is_empty());
    }

    #[test]
    fn limits_hold_in_texts_and_in_tokens_and_for_the_whole_group() {
        let mut queue = queue(3, 100, 8, 100);
        let (a, _a) = job("a", 60);
        let (b, _b) = job("b", 41);
        queue.admit(vec![a]).unwrap();
        let returned = queue.admit(vec![b]).unwrap_err();
        assert_eq!(texts(&returned), ["b"]);
        let (group, _answers): (Vec<_>, Vec<_>) =
            ["x", "y", "z"].map(|text| job(text, 1)).into_iter().unzip();
        assert_eq!(queue.admit(group).unwrap_err().len(), 3);
        assert_eq!((queue.len(), queue.tokens()), (1, 60));
    }

    #[test]
    fn the_cancelled_are_dropped_and_their_room_is_free_at_once() {
        let mut queue = queue(3, 100, 8, 100);
        let (a, answer_a) = job("a", 50);
        let (b, answer_b) = job("b", 50);
        queue.admit(vec![a, b]).unwrap();
        drop(answer_a);
        let (c, _answer_c) = job("c", 50);
        queue.admit(vec![c]).unwrap();
        drop(answer_b);
        let (batch, dropped) = queue.next_batch();
        assert_eq!((texts(&batch), dropped), (vec!["c"], 1));
        assert_eq!((queue.len(), queue.tokens()), (0, 0));
    }
}
