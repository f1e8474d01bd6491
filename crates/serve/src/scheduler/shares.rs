//! Who is next: each client gets the same share of tokens, however much it asks for (start-time fair queueing, Goyal, Vin and Cheng 1996).

use std::collections::{HashMap, VecDeque};

use crate::http::auth::Client;

use super::queue::Job;

/// Jobs that wait, by client.
#[derive(Debug, Default)]
pub(super) struct Shares {
    clients: HashMap<Client, Line>,
    jobs: usize,
    /// Virtual time: what the client that was served last had been served before. Who comes anew begins here.
    now: u64,
}

/// The jobs of one client, first in, first out.
#[derive(Debug)]
struct Line {
    jobs: VecDeque<Job>,
    /// Tokens that it was served, or would have been if it had always asked.
    served: u64,
}

impl Shares {
    /// Jobs that wait.
    pub(super) fn len(&self) -> usize {
        self.jobs
    }

    pub(super) fn push(&mut self, job: Job) {
        let now = self.now;
        let line = self.clients.entry(job.client.clone());
        line.or_insert_with(|| Line { jobs: VecDeque::new(), served: now }).jobs.push_back(job);
        self.jobs += 1;
    }

    /// The oldest job of the client that was served least; of equals the one that waits longest.
    pub(super) fn pop(&mut self) -> Option<Job> {
        let waits = |line: &Line| line.jobs.front().map(|job| (line.served, job.queued));
        let next = self.clients.iter().filter_map(|(client, line)| Some((waits(line)?, client)));
        let client = next.min_by_key(|(place, _)| *place)?.1.clone();
        let line = self.clients.get_mut(&client)?;
        let job = line.jobs.pop_front()?;
        self.now = line.served;
        line.served += job.tokens as u64;
        if line.jobs.is_empty() {
            self.clients.remove(&client);
        }
        self.jobs -= 1;
        Some(job)
    }

    /// Keeps the jobs that `stays` says so of.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(&Job) -> bool) {
        for line in self.clients.values_mut() {
            line.jobs.retain(&mut stays);
        }
        self.clients.retain(|_, line| !line.jobs.is_empty());
        self.jobs = self.clients.values().map(|line| line.jobs.len()).sum();
    }

    pub(super) fn clear(&mut self) {
        self.clients.clear();
        self.jobs = 0;
    }

    /// Tokens of all jobs.
    pub(super) fn tokens(&self) -> usize {
        self.clients.values().flat_map(|line| &line.jobs).map(|job| job.tokens).sum()
    }
}
