//! The loop: which windows begin, and one step of all that are under way.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

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
    /// Windows that have begun.
    begun: u64,
    /// Those whose windows are still on the list.
    failed: FxHashSet<TextId>,
    usage: Usage,
}

struct Text {
    id: TextId,
    priority: Priority,
    document: Document,
    /// A window that found no room, with the number of its core.
    waiting: Option<(usize, Arc<Window>, Cost)>,
    /// How many windows, of all texts, had begun when one of it last did.
    last: u64,
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
        Self {
            family,
            settings,
            limits,
            texts: Vec::new(),
            jobs: Vec::new(),
            begun: 0,
            failed: FxHashSet::default(),
            usage: Usage::default(),
        }
    }

    /// The windows that there is room for: those that matter more first, and of those one of the text that has the fewest under way,
    /// and has waited longest.
    fn admit(&mut self, news: &mut Vec<News>) -> Vec<(Ready, Cost)> {
        let mut running: FxHashMap<TextId, usize> = FxHashMap::default();
        for job in &self.jobs {
            *running.entry(job.text).or_default() += 1;
        }
        let place = |(at, text): (usize, &Text)| {
            Reverse((text.priority, running.get(&text.id).copied().unwrap_or(0), text.last, at))
        };
        let mut waiting: BinaryHeap<_> = self.texts.iter().enumerate().map(place).collect();
        let (mut found, mut failed) = (Vec::new(), Vec::new());
        while let Some(Reverse((priority, running, _, at))) = waiting.pop() {
            let text = &mut self.texts[at];
            let next = match text.waiting.take() {
                Some(next) => Ok(Some(next)),
                None => attempt(|| {
                    let next = text.document.next_window();
                    Ok(next.map(|(core, window)| {
                        let cost = self.family.cost(&window);
                        (core, window, cost)
                    }))
                }),
            };
            let (core, window, cost) = match next {
                Ok(Some(next)) => next,
                Ok(None) => continue,
                Err(error) => {
                    failed.push((text.id, error));
                    continue;
                }
            };
            if !self.usage.has_room(cost, &self.limits, priority) {
                // Whoever comes behind waits too, so that nobody large is passed over forever.
                text.waiting = Some((core, window, cost));
                if priority == Priority::Bulk {
                    break;
                }
                waiting.retain(|Reverse((other, ..))| *other != priority);
                continue;
            }
            self.usage.add(cost, cost.first_tokens);
            self.begun += 1;
            text.last = self.begun;
            found.push((Ready { text: text.id, priority, core, window }, cost));
            waiting.push(Reverse((priority, running + 1, text.last, at)));
        }
        for (id, error) in failed {
            self.fail(id, error, news);
        }
        found
    }

    fn begin(&mut self, news: &mut Vec<News>) {
        let admitted = self.admit(news);
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
        let found: Vec<Result<Option<WindowEdits>, RestoreError>> = match attempt(|| {
            self.family.advance(&mut states)
        }) {
            Ok(found) => found.into_iter().map(Ok).collect(),
            Err(error) if states.len() == 1 => vec![Err(error)],
            Err(_) => {
                // What was under way may be half-changed: it begins again, in halves, down to those at fault.
                let windows: Vec<Arc<Window>> = self.jobs.iter().map(|job| Arc::clone(&job.window)).collect();
                self.again(&windows).into_iter().map(|found| found.map(Some)).collect()
            }
        };
        let mut going = Vec::with_capacity(self.jobs.len());
        for (job, found) in std::mem::take(&mut self.jobs).into_iter().zip(found) {
            match found {
                Ok(None) => going.push(job),
                Ok(Some(found)) => {
                    self.usage.remove(job.cost);
                    let text = self.texts.iter_mut().find(|text| text.id == job.text);
                    let take = |text: &mut Text| {
                        attempt(|| {
                            text.document.found(job.core, found);
                            Ok(())
                        })
                    };
                    if let Some(Err(error)) = text.map(take) {
                        self.fail(job.text, error, news);
                    }
                }
                Err(error) => {
                    self.usage.remove(job.cost);
                    self.fail(job.text, error, news);
                }
            }
        }
        self.jobs = going;
    }

    /// What is found in windows by themselves, from the beginning to the end.
    fn again(&self, windows: &[Arc<Window>]) -> Vec<Result<WindowEdits, RestoreError>> {
        let restored = attempt(|| {
            let mut states = self.family.begin(windows)?;
            let mut found: Vec<Option<WindowEdits>> = windows.iter().map(|_| None).collect();
            while found.iter().any(Option::is_none) {
                let open = states.iter_mut().zip(&found).filter(|(_, found)| found.is_none());
                let mut going: Vec<_> = open.map(|(state, _)| state).collect();
                if going.is_empty() {
                    return Err(nothing());
                }
                let mut step = self.family.advance(&mut going)?.into_iter();
                for found in found.iter_mut().filter(|found| found.is_none()) {
                    *found = step.next().ok_or_else(nothing)?;
                }
            }
            Ok(found.into_iter().flatten().collect::<Vec<_>>())
        });
        match restored {
            Ok(found) => found.into_iter().map(Ok).collect(),
            Err(error) if windows.len() <= 1 => vec![Err(error)],
            Err(_) => {
                let (left, right) = windows.split_at(windows.len() / 2);
                let mut found = self.again(left);
                found.extend(self.again(right));
                found
            }
        }
    }

    /// A text leaves with an error, and takes its other windows along.
    fn fail(&mut self, id: TextId, error: RestoreError, news: &mut Vec<News>) {
        if let Some(at) = self.texts.iter().position(|text| text.id == id) {
            drop(self.texts.remove(at));
            self.failed.insert(id);
            news.push(News::Failed(id, error));
        }
    }

    /// Takes the windows of texts that have failed off the list.
    fn forget_failed(&mut self) {
        if self.failed.is_empty() {
            return;
        }
        let (failed, usage) = (std::mem::take(&mut self.failed), &mut self.usage);
        self.jobs.retain(|job| {
            let stays = !failed.contains(&job.text);
            if !stays {
                usage.remove(job.cost);
            }
            stays
        });
    }
}

impl<F: Family> Engine for Running<'_, F> {
    fn join(&mut self, id: TextId, request: RestoreRequest) {
        let priority = request.options.priority;
        let document = Document::new(request, &self.settings);
        self.texts.push(Text { id, priority, document, waiting: None, last: 0 });
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
        self.forget_failed();
        self.advance(news);
        self.forget_failed();
        let mut failed = Vec::new();
        self.texts.retain_mut(|text| {
            let given = attempt(|| {
                text.document.take_pieces(|piece| news.push(News::Piece(text.id, piece)));
                let is_done = text.document.is_done();
                Ok(is_done.then(|| text.document.summary()))
            });
            match given {
                Ok(None) => return true,
                Ok(Some(summary)) => news.push(News::Done(text.id, summary)),
                Err(error) => {
                    failed.push(text.id);
                    news.push(News::Failed(text.id, error));
                }
            }
            false
        });
        self.failed.extend(failed);
        self.forget_failed();
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
pub(crate) fn attempt<T>(work: impl FnOnce() -> Result<T, RestoreError>) -> Result<T, RestoreError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<&str>().map(|message| (*message).to_owned());
        let message = message.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(RestoreError::Panicked(message.unwrap_or_else(|| "no message".to_owned())))
    })
}
