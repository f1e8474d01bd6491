//! The bounded queue: those who wait before what can wait, each in fair shares; limited in texts and in tokens.

use std::time::Instant;

use restorer::{Priority, RestoreRequest};

use super::{
    Limits,
    shares::Shares,
    ticket::{Answer, Event},
};
use crate::{http::auth::Client, text_error::TextError};

/// One text that waits for the engine.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: RestoreRequest,
    /// Who asks.
    pub(super) client: Client,
    /// The text's cost in the model's tokens, at least 1.
    pub(super) tokens: usize,
    pub(super) queued: Instant,
    /// When its answer is of no use any more.
    pub(super) until: Option<Instant>,
    pub(super) answer: Answer,
}

impl Job {
    /// Whether nobody waits for the answer any more.
    fn cancelled(&self) -> bool {
        self.answer.is_closed()
    }

    /// Whether the answer would be of no use any more; whoever waits for it is told.
    fn is_late(&self) -> bool {
        let is_late = self.until.is_some_and(|until| until <= Instant::now());
        if is_late {
            // A client that is gone by now knows already.
            let _gone = self.answer.send(Event::Failed(TextError::Late));
        }
        is_late
    }
}

/// What may join the engine.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) jobs: Vec<Job>,
    /// How many were dropped on the way, because nobody waits for them any more or they are late.
    pub(super) cancelled: usize,
}

/// What waits, within its limits.
#[derive(Debug)]
pub(super) struct Queue {
    interactive: Shares,
    bulk: Shares,
    tokens: usize,
    limits: Limits,
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        Self { interactive: Shares::default(), bulk: Shares::default(), tokens: 0, limits }
    }

    /// Texts that wait.
    pub(super) fn len(&self) -> usize {
        self.interactive.len() + self.bulk.len()
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
        for job in jobs {
            match job.request.options.priority {
                Priority::Interactive => self.interactive.push(job),
                Priority::Bulk => self.bulk.push(job),
            }
        }
        Ok(())
    }

    /// What may join the engine beside `running` texts, in turns of those who ask. What can wait leaves a quarter of the places to those
    /// who do.
    pub(super) fn take(&mut self, running: usize) -> Taken {
        let most = self.limits.batch_texts;
        let mut taken = Taken::default();
        for (jobs, places) in [(&mut self.interactive, most), (&mut self.bulk, most - most / 4)] {
            while running + taken.jobs.len() < places {
                let Some(job) = jobs.pop() else { break };
                self.tokens -= job.tokens;
                if job.cancelled() || job.is_late() {
                    taken.cancelled += 1;
                } else {
                    taken.jobs.push(job);
                }
            }
        }
        taken
    }

    /// Drops everything that waits; its clients learn that there will be no answer.
    pub(super) fn clear(&mut self) {
        self.interactive.clear();
        self.bulk.clear();
        self.tokens = 0;
    }

    fn fits(&self, texts: usize, tokens: usize) -> bool {
        self.len() + texts <= self.limits.queue_texts && self.tokens + tokens <= self.limits.queue_tokens
    }

    fn remove_cancelled(&mut self) {
        self.interactive.retain(|job| !job.cancelled());
        self.bulk.retain(|job| !job.cancelled());
        self.tokens = self.interactive.tokens() + self.bulk.tokens();
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;
    use crate::testing::request;

    type Receiver = mpsc::UnboundedReceiver<Event>;

    fn job(text: &str, tokens: usize) -> (Job, Receiver) {
        let (answer, receiver) = mpsc::unbounded_channel();
        let client = Client::default();
        (
            Job { request: request(text), client, tokens, queued: Instant::now(), until: None, answer },
            receiver,
        )
    }

    fn bulk(text: &str) -> (Job, Receiver) {
        let (mut job, receiver) = job(text, 1);
        job.request.options.priority = Priority::Bulk;
        (job, receiver)
    }

    fn queue(queue_texts: usize, queue_tokens: usize, batch_texts: usize) -> Queue {
        Queue::new(Limits { queue_texts, queue_tokens, batch_texts, ..Limits::default() })
    }

    fn texts(jobs: &[Job]) -> Vec<&str> {
        jobs.iter().map(|job| job.request.text.as_str()).collect()
    }

    #[test]
    fn who_waits_comes_before_what_can_wait_and_each_in_order() {
        let mut queue = queue(10, 1000, 4);
        let all = [bulk("1"), bulk("2"), bulk("3"), bulk("4"), job("a", 9), job("b", 9)];
        let (jobs, _answers): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        queue.admit(jobs).unwrap();
        assert_eq!(texts(&queue.take(1).jobs), ["a", "b"]);
        assert_eq!(queue.tokens(), 4);
        // Of four places one stays free.
        assert_eq!(texts(&queue.take(0).jobs), ["1", "2", "3"]);
        assert!(queue.take(3).jobs.is_empty());
        let (late, _answer) = job("late", 1);
        queue.admit(vec![late]).unwrap();
        assert_eq!(texts(&queue.take(3).jobs), ["late"]);
        assert_eq!(texts(&queue.take(0).jobs), ["4"]);
        assert_eq!((queue.len(), queue.tokens()), (0, 0));
    }

    #[test]
    fn who_asks_for_much_does_not_take_the_turns_of_others() {
        let mut queue = queue(100, 10_000, 100);
        let mut answers = Vec::new();
        let mut of = |client: &str, text: &str, tokens| {
            let (mut job, answer) = job(text, tokens);
            job.client = Client(client.into());
            answers.push(answer);
            job
        };
        let many: Vec<Job> = (0..6).map(|at| of("many", &format!("m{at}"), 10)).collect();
        queue.admit(many).unwrap();
        assert_eq!(texts(&queue.take(99).jobs), ["m0"]);
        queue.admit(vec![of("few", "f0", 10), of("few", "f1", 10)]).unwrap();
        queue.admit(vec![of("long", "l0", 35), of("long", "l1", 1)]).unwrap();
        // In turns, of equals the oldest first; who had a long text waits longer for the next.
        assert_eq!(texts(&queue.take(0).jobs), ["f0", "l0", "m1", "f1", "m2", "m3", "l1", "m4", "m5"]);
        assert_eq!((queue.len(), queue.tokens()), (0, 0));
    }

    #[test]
    fn limits_hold_in_texts_and_in_tokens_and_for_the_whole_group() {
        let mut queue = queue(3, 100, 8);
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
    fn what_comes_too_late_is_told_so_and_not_begun() {
        let mut queue = queue(3, 100, 8);
        let (mut late, mut answer) = job("late", 1);
        late.until = Some(Instant::now());
        let (mut timely, _answer) = job("timely", 1);
        timely.until = Some(Instant::now() + std::time::Duration::from_mins(1));
        queue.admit(vec![late, timely]).unwrap();
        let Taken { jobs, cancelled } = queue.take(0);
        assert_eq!((texts(&jobs), cancelled), (vec!["timely"], 1));
        assert!(matches!(answer.try_recv(), Ok(Event::Failed(TextError::Late))));
    }

    #[test]
    fn the_cancelled_are_dropped_and_their_room_is_free_at_once() {
        let mut queue = queue(3, 100, 8);
        let (a, answer_a) = job("a", 50);
        let (b, answer_b) = job("b", 50);
        queue.admit(vec![a, b]).unwrap();
        drop(answer_a);
        let (c, _answer_c) = job("c", 50);
        queue.admit(vec![c]).unwrap();
        drop(answer_b);
        let Taken { jobs, cancelled } = queue.take(0);
        assert_eq!((texts(&jobs), cancelled), (vec!["c"], 1));
        assert_eq!((queue.len(), queue.tokens()), (0, 0));
    }
}
