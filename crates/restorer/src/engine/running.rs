//! The loop: which windows begin, and one step of all that are under way.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::document::{Document, DocumentSettings};
use super::family::{Cost, Family};
use super::window::{Window, WindowEdits};
use super::{Engine, EngineLimits, News, TextId, Usage};
use crate::error::RestoreError;
use crate::restorer::{Priority, RestoreRequest};

/// The engine of a family.
pub(crate) struct Running<'f, F: Family> {
    family: &'f F,
    settings: DocumentSettings,
    limits: EngineLimits,
    /// In the order of their arrival.
    texts: Vec<Text>,
    jobs: Vec<Job<F::Job<'f>>>,
    usage: Usage,
}

struct Text {
    id: TextId,
    priority: Priority,
    document: Document,
    /// A window that found no room.
    waiting: Option<(usize, Arc<Window>)>,
}

struct Job<J> {
    text: TextId,
    priority: Priority,
    core: usize,
    window: Arc<Window>,
    cost: Cost,
    state: J,
}

impl<'f, F: Family> Running<'f, F> {
    pub(crate) fn new(family: &'f F, settings: DocumentSettings, limits: EngineLimits) -> Self {
        Self { family, settings, limits, texts: Vec::new(), jobs: Vec::new(), usage: Usage::default() }
    }

    /// The windows that there is room for: of each text one after the other, those that matter more first.
    fn admit(&mut self) -> Vec<(Ready, Cost)> {
        let mut found = Vec::new();
        for priority in [Priority::Interactive, Priority::Bulk] {
            let mut going: Vec<usize> =
                (0..self.texts.len()).filter(|i| self.texts[*i].priority == priority).collect();
            while !going.is_empty() {
                let mut next = Vec::with_capacity(going.len());
                for i in going {
                    let text = &mut self.texts[i];
                    let Some((core, window)) = text.waiting.take().or_else(|| text.document.next_window())
                    else {
                        continue;
                    };
                    let cost = self.family.cost(&window);
                    if !self.usage.has_room(cost, &self.limits, priority) {
                        text.waiting = Some((core, window));
                        return found;
                    }
                    self.usage.add(cost, cost.first_tokens);
                    found.push((Ready { text: text.id, priority, core, window }, cost));
                    next.push(i);
                }
                going = next;
            }
        }
        found
    }

    fn begin(&mut self, news: &mut Vec<News>) {
        let admitted = self.admit();
        if admitted.is_empty() {
            return;
        }
        let windows: Vec<Arc<Window>> = admitted.iter().map(|(one, _)| Arc::clone(&one.window)).collect();
        let states = match attempt(|| self.family.begin(&windows)) {
            Ok(states) => states.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) if windows.len() == 1 => vec![Err(error)],
            Err(_) => {
                let alone = |window| attempt(|| self.family.begin(std::slice::from_ref(window)));
                let one = |states: Vec<_>| states.into_iter().next().ok_or_else(nothing);
                windows.iter().map(|window| alone(window).and_then(one)).collect()
            }
        };
        for ((Ready { text, priority, core, window }, cost), state) in admitted.into_iter().zip(states) {
            self.usage.first_is_over(cost);
            match state {
                Ok(state) => self.jobs.push(Job { text, priority, core, window, cost, state }),
                Err(error) => {
                    self.usage.remove(cost);
                    self.fail(text, error, news);
                }
            }
        }
        // Those that matter more go first; of the others the oldest.
        self.jobs.sort_by_key(|job| job.priority);
    }

    fn advance(&mut self, news: &mut Vec<News>) {
        if self.jobs.is_empty() {
            return;
        }
        let mut states: Vec<&mut F::Job<'f>> = self.jobs.iter_mut().map(|job| &mut job.state).collect();
        let found: Vec<Result<Option<WindowEdits>, RestoreError>> =
            match attempt(|| self.family.advance(&mut states)) {
                Ok(found) => found.into_iter().map(Ok).collect(),
                Err(error) if states.len() == 1 => vec![Err(error)],
                // What was under way may be half-changed: each begins again, by itself, and does not wait for others.
                Err(_) => self.jobs.iter().map(|job| self.alone(&job.window).map(Some)).collect(),
            };
        let mut going = Vec::with_capacity(self.jobs.len());
        for (job, found) in std::mem::take(&mut self.jobs).into_iter().zip(found) {
            match found {
                Ok(None) => going.push(job),
                Ok(Some(found)) => {
                    self.usage.remove(job.cost);
                    if let Some(text) = self.texts.iter_mut().find(|text| text.id == job.text) {
                        text.document.found(job.core, found);
                    }
                }
                Err(error) => {
                    self.usage.remove(job.cost);
                    self.fail(job.text, error, news);
                }
            }
        }
        self.jobs = going;
        // A text that has failed takes its other windows along.
        let (texts, usage) = (&self.texts, &mut self.usage);
        self.jobs.retain(|job| {
            let stays = texts.iter().any(|text| text.id == job.text);
            if !stays {
                usage.remove(job.cost);
            }
            stays
        });
    }

    /// What is found in a window when nothing else is under way.
    fn alone(&self, window: &Arc<Window>) -> Result<WindowEdits, RestoreError> {
        attempt(|| {
            let mut states = self.family.begin(std::slice::from_ref(window))?;
            let mut one: Vec<_> = states.iter_mut().take(1).collect();
            loop {
                match self.family.advance(&mut one)?.pop() {
                    Some(None) => {}
                    Some(Some(found)) => return Ok(found),
                    None => return Err(nothing()),
                }
            }
        })
    }

    fn fail(&mut self, id: TextId, error: RestoreError, news: &mut Vec<News>) {
        if let Some(at) = self.texts.iter().position(|text| text.id == id) {
            drop(self.texts.remove(at));
            news.push(News::Failed(id, error));
        }
    }
}

impl<F: Family> Engine for Running<'_, F> {
    fn join(&mut self, id: TextId, request: RestoreRequest) {
        let priority = request.options.priority;
        let document = Document::new(request, &self.settings);
        self.texts.push(Text { id, priority, document, waiting: None });
    }

    fn leave(&mut self, id: TextId) {
        self.texts.retain(|text| text.id != id);
        let usage = &mut self.usage;
        self.jobs.retain(|job| {
            if job.text == id {
                usage.remove(job.cost);
            }
            job.text != id
        });
    }

    fn step(&mut self, news: &mut Vec<News>) {
        self.begin(news);
        self.advance(news);
        self.texts.retain_mut(|text| {
            text.document.take_pieces(|piece| news.push(News::Piece(text.id, piece)));
            let is_done = text.document.is_done();
            if is_done {
                news.push(News::Done(text.id, text.document.summary()));
            }
            !is_done
        });
    }

    fn usage(&self) -> Usage {
        Usage { texts: self.texts.len(), windows: self.jobs.len(), ..self.usage }
    }
}

/// A window that begins.
struct Ready {
    text: TextId,
    priority: Priority,
    core: usize,
    window: Arc<Window>,
}

impl Usage {
    /// Whether something fits the limits. What can wait leaves a quarter of them to what cannot.
    fn has_room(&self, cost: Cost, limits: &EngineLimits, priority: Priority) -> bool {
        let share = |limit: usize| match priority {
            Priority::Interactive => limit,
            Priority::Bulk => limit - limit / 4,
        };
        let is_idle = self.step_tokens == 0 && self.cache_bytes == 0;
        is_idle
            || self.step_tokens + cost.first_tokens <= share(limits.step_tokens)
                && self.cache_bytes + cost.cache_bytes <= share(limits.cache_bytes)
    }

    fn add(&mut self, cost: Cost, tokens: usize) {
        self.step_tokens += tokens;
        self.cache_bytes += cost.cache_bytes;
    }

    /// It has begun: it costs what every further step does.
    fn first_is_over(&mut self, cost: Cost) {
        self.step_tokens -= cost.first_tokens;
        self.step_tokens += cost.step_tokens;
    }

    fn remove(&mut self, cost: Cost) {
        self.step_tokens -= cost.step_tokens;
        self.cache_bytes -= cost.cache_bytes;
    }
}

fn nothing() -> RestoreError {
    RestoreError::Panicked("it answered nothing".to_owned())
}

/// Does what may fail or panic. Models are shared and take `&self`: a panic leaves nothing of theirs half-changed.
fn attempt<T>(work: impl FnOnce() -> Result<T, RestoreError>) -> Result<T, RestoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<&str>().map(|message| (*message).to_owned());
        let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(RestoreError::Panicked(message.unwrap_or_else(|| "no message".to_owned())))
    })
}
