//! How searches ask a prior: at once, or all that are under way together.
//!
//! A search is a future that waits for the prior's answers, and for its turn. Nobody wakes it: whoever polls it, in this file, has
//! answered before or gives it its turn.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use rayon::prelude::*;

use crate::prior::{Prior, Ranked, Symbol};

/// States with the symbol to read after each.
type Steps<S> = Vec<(S, Symbol)>;
/// ln of probabilities in nats, and the states after them.
type Next<S> = Vec<(f32, S)>;

/// What a search wants to know.
#[derive(Debug)]
enum Question<S> {
    Advance(Steps<S>),
    Likely(Vec<(S, f64)>, usize),
}

#[derive(Debug)]
enum Answer<S> {
    Advance(Next<S>),
    Likely(Ranked<Symbol, S>),
}

/// What lies between a search and whoever polls it.
#[derive(Debug)]
struct Mailbox<S> {
    question: Option<Question<S>>,
    answer: Option<Answer<S>>,
    /// Its turn is over then.
    until: Option<Instant>,
}

/// A search's side: the prior, asked at once where asking together is not cheaper.
#[derive(Debug)]
pub(super) struct Asking<'p, P: Prior> {
    prior: &'p P,
    mailbox: Arc<Mutex<Mailbox<P::State>>>,
}

/// A future that others poll, and what it asks.
pub(super) struct Asker<'p, P: Prior, T> {
    future: Pin<Box<dyn Future<Output = T> + Send + 'p>>,
    mailbox: Arc<Mutex<Mailbox<P::State>>>,
    result: Option<T>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<'p, P: Prior> Asking<'p, P> {
    /// The prior, for what is not worth asking together.
    pub(super) fn prior(&self) -> &'p P {
        self.prior
    }

    /// As [`Prior::advance`]; `steps` may be gone afterwards.
    pub(super) async fn advance(&self, steps: &mut Steps<P::State>, next: &mut Next<P::State>) {
        next.clear();
        if steps.is_empty() {
            return;
        }
        if !self.prior.is_asked_together() {
            self.prior.advance(steps, next);
        } else if let Answer::Advance(found) = self.ask(Question::Advance(std::mem::take(steps))).await {
            *next = found;
        }
    }

    /// As [`Prior::likely`].
    pub(super) async fn likely(
        &self,
        states: &[(P::State, f64)],
        most: usize,
        found: &mut Ranked<Symbol, P::State>,
    ) {
        if !self.prior.is_asked_together() {
            self.prior.likely(states, most, found);
        } else if let Answer::Likely(answer) = self.ask(Question::Likely(states.to_vec(), most)).await {
            *found = answer;
        }
    }

    /// Gives others their turn, if this one's is over.
    pub(super) async fn pause(&self) {
        let mut has_paused = false;
        std::future::poll_fn(|_| {
            let is_over = lock(&self.mailbox).until.is_some_and(|until| Instant::now() >= until);
            if has_paused || !is_over {
                return Poll::Ready(());
            }
            has_paused = true;
            Poll::Pending
        })
        .await;
    }

    async fn ask(&self, question: Question<P::State>) -> Answer<P::State> {
        lock(&self.mailbox).question = Some(question);
        std::future::poll_fn(|_| lock(&self.mailbox).answer.take().map_or(Poll::Pending, Poll::Ready)).await
    }
}

impl<'p, P: Prior, T: Send> Asker<'p, P, T> {
    /// Makes a future of what asks.
    pub(super) fn new<F>(prior: &'p P, work: impl FnOnce(Asking<'p, P>) -> F) -> Self
    where
        F: Future<Output = T> + Send + 'p,
    {
        let mailbox = Arc::new(Mutex::new(Mailbox { question: None, answer: None, until: None }));
        let future = Box::pin(work(Asking { prior, mailbox: Arc::clone(&mailbox) }));
        Self { future, mailbox, result: None }
    }

    /// What has come of it, once it is done.
    pub(super) fn take(&mut self) -> Option<T> {
        self.result.take()
    }

    /// Goes on until it asks, its turn is over, or it is done.
    fn poll(&mut self, until: Option<Instant>) {
        lock(&self.mailbox).until = until;
        if let Poll::Ready(result) = self.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            self.result = Some(result);
        }
    }

    /// Goes on to the end, alone.
    #[cfg(test)]
    pub(super) fn finish(mut self, prior: &P) -> Option<T> {
        while self.result.is_none() {
            advance(prior, &mut [&mut self], None);
        }
        self.result
    }
}

/// Lets all go on until `until`, the first ones first: in parallel, and what they ask together is asked together.
pub(super) fn advance<P: Prior, T: Send>(
    prior: &P,
    all: &mut [&mut Asker<'_, P, T>],
    until: Option<Instant>,
) {
    let is_over = || until.is_some_and(|until| Instant::now() >= until);
    let goes_on = |one: &Asker<'_, P, T>| one.result.is_none();
    let is_first = std::sync::atomic::AtomicBool::new(true);
    loop {
        // Taken in order, so that the first ones are done first. One at least goes on, however short the time.
        all.iter_mut().filter(|one| goes_on(one)).par_bridge().for_each(|one| {
            if is_first.swap(false, std::sync::atomic::Ordering::Relaxed) || !is_over() {
                one.poll(until);
            }
        });
        let (mut mailboxes, mut questions) = (Vec::new(), Vec::new());
        for one in all.iter_mut().filter(|one| goes_on(one)) {
            if let Some(question) = lock(&one.mailbox).question.take() {
                mailboxes.push(Arc::clone(&one.mailbox));
                questions.push(question);
            }
        }
        let asked = !questions.is_empty();
        for (mailbox, answer) in mailboxes.into_iter().zip(answers(prior, questions)) {
            lock(&mailbox).answer = Some(answer);
        }
        if !asked || is_over() {
            return;
        }
    }
}

/// Answers in the order of the questions; each thread asks for its share of them.
fn answers<P: Prior>(prior: &P, questions: Vec<Question<P::State>>) -> Vec<Answer<P::State>> {
    let share = questions.len().div_ceil(rayon::current_num_threads()).max(1);
    let mut shares: Vec<Vec<Question<P::State>>> = Vec::new();
    for question in questions {
        match shares.last_mut().filter(|last| last.len() < share) {
            Some(last) => last.push(question),
            None => shares.push(vec![question]),
        }
    }
    shares.into_par_iter().flat_map_iter(|questions| together(prior, questions)).collect()
}

/// Asks each kind of question once.
fn together<P: Prior>(prior: &P, questions: Vec<Question<P::State>>) -> Vec<Answer<P::State>> {
    let (mut steps, mut states, mut greatest) = (Vec::new(), Vec::new(), 0);
    let lengths: Vec<(bool, usize)> = questions
        .into_iter()
        .map(|question| match question {
            Question::Advance(mut own) => {
                let length = own.len();
                steps.append(&mut own);
                (true, length)
            }
            Question::Likely(mut own, most) => {
                let length = own.len();
                greatest = greatest.max(most);
                states.append(&mut own);
                (false, length)
            }
        })
        .collect();
    let (mut next, mut found) = (Vec::new(), Ranked::default());
    if !steps.is_empty() {
        prior.advance(&steps, &mut next);
    }
    if !states.is_empty() {
        // All searches of one restorer ask for as many.
        prior.likely(&states, greatest, &mut found);
    }
    let (mut next, mut found) = (next.into_iter(), found.into_states());
    let answer = |(is_advance, length)| {
        if is_advance {
            Answer::Advance(next.by_ref().take(length).collect())
        } else {
            Answer::Likely(found.by_ref().take(length).collect())
        }
    };
    lengths.into_iter().map(answer).collect()
}
