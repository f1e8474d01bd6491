//! The beam: hypotheses advance over the corrupted text, byte by byte, and those of the same state become one.

mod transitions;

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use super::asking::Asking;
use super::joins::Tail;
use super::lattice::{Arc, Cause, Lattice};
use super::model::ChannelModel;
use super::observed::{Move, Observed, Span, Window};
use super::settings::Beam;
use crate::prior::{Prior, Symbol};

/// Bytes before a surprise within which what explains it can have begun: a span and what it does to the contexts after it.
const SURPRISE_BYTES: usize = 10;
/// Bytes after which a search looks whether its turn is over.
const TURN_BYTES: usize = 8;

/// Where in the channel's transitions a hypothesis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Mode {
    /// A position is visited.
    Visit,
    /// As [`Self::Visit`], but the original does not end here: the event before was not cut.
    GoesOn,
    /// The original ends here: the event before was cut.
    Ends,
    /// Something was inserted, the position's own grapheme is to be copied.
    Copies,
    /// So many graphemes have been deleted; the event ends here or goes on.
    Deleting(u32),
    /// So many graphemes have been substituted; the event ends here or goes on.
    Substituting(u32),
}

impl Mode {
    /// Whether it has paid for what is lost, while what that explains is yet to come.
    fn is_fresh(self) -> bool {
        matches!(self, Self::Deleting(_) | Self::Substituting(_))
    }
}

/// A hypothesis: equal states have equal futures.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State<S> {
    prior: S,
    mode: Mode,
    tail: Tail,
}

/// A transition that has been begun and is looked at where it ends.
#[derive(Clone, Debug)]
struct Pending<S> {
    from: u32,
    cause: Cause,
    /// ln of its weight without the prior.
    ln: f64,
    text: Span,
    state: State<S>,
    /// Whether the prior is already behind `text`.
    is_read: bool,
    /// Whether it continues the hypothesis that nothing has happened.
    is_identity: bool,
}

/// A search through one window.
pub(super) struct Search<'t, P: Prior> {
    model: &'t ChannelModel,
    asking: &'t Asking<'t, P>,
    beam: &'t Beam,
    observed: Observed<'t>,
    lattice: Lattice,
    states: Vec<State<P::State>>,
    is_identity: Vec<bool>,
    /// Best weight of each node, of all levels.
    best: Vec<f64>,
    /// Arcs of the nodes at hand, by the order of their creation.
    arcs: Vec<Arc>,
    known: FxHashMap<State<P::State>, u32>,
    /// Transitions that end at the current byte and at later ones.
    ahead: VecDeque<Vec<Pending<P::State>>>,
    /// Weights below it are not followed at the byte at hand.
    least: f64,
    /// By byte: what the prior weighs up to it where nothing has happened.
    copied: Vec<f64>,
    /// The states that this went through: a prior that reads at a cost need not read them again.
    heard: Vec<(f32, P::State)>,
    /// By byte: whether events can start there, since something near it is surprising.
    is_open: Vec<bool>,
    /// Paths to the end.
    finals: Vec<Arc>,
    lanes: Vec<f64>,
    /// What can stand at the byte at hand.
    units: Vec<usize>,
    moves: Vec<Move>,
    insertions: Vec<(usize, f64)>,
    /// Where units are that have been proposed.
    unit_spans: FxHashMap<u32, Span>,
}

/// What a search has found.
pub(super) struct Found<'t> {
    pub(super) lattice: Lattice,
    pub(super) observed: Observed<'t>,
}

impl<'t, P: Prior> Search<'t, P> {
    pub(super) fn new(
        model: &'t ChannelModel,
        asking: &'t Asking<'t, P>,
        beam: &'t Beam,
        window: Window<'t>,
    ) -> Self {
        Self {
            lattice: Lattice {
                levels: model.weighted_levels(window.clean),
                lanes: model.lanes(),
                at: Vec::new(),
                best: Vec::new(),
                arcs: Vec::new(),
            },
            observed: Observed::new(window, model, beam.longest_span),
            model,
            asking,
            beam,
            states: Vec::new(),
            is_identity: Vec::new(),
            best: Vec::new(),
            arcs: Vec::new(),
            known: FxHashMap::default(),
            ahead: VecDeque::new(),
            least: f64::NEG_INFINITY,
            copied: Vec::new(),
            heard: Vec::new(),
            is_open: Vec::new(),
            finals: Vec::new(),
            lanes: vec![0.0; model.lanes()],
            units: Vec::new(),
            moves: Vec::new(),
            insertions: Vec::new(),
            unit_spans: FxHashMap::default(),
        }
    }

    /// Searches the whole window; `context` is what the prior has read before it.
    pub(super) async fn run(mut self, context: &str) -> Found<'t> {
        self.start(context);
        for at in 0..=self.observed.window.text.len() {
            let first = if at == 0 { 0 } else { self.states.len() };
            if at > 0 {
                if at % TURN_BYTES == 0 {
                    self.asking.pause().await;
                }
                let pending = self.ahead.pop_front().unwrap_or_default();
                self.arrive_all(at, pending).await;
            }
            let mut wave = self.survivors(first);
            if !wave.is_empty() {
                self.look(at);
            }
            for missing in 0.. {
                if wave.is_empty() {
                    break;
                }
                let first = self.states.len();
                self.leave(at, &wave, missing < self.beam.longest_gap).await;
                wave = self.survivors(first);
            }
            self.sort_arcs();
        }
        self.finish()
    }

    fn start(&mut self, context: &str) {
        let starts = self.observed.window.starts;
        let prior = self.asking.prior();
        let mut state = if starts { prior.start() } else { prior.open() };
        let mut next = Vec::with_capacity(context.len());
        prior.read(&state, context.as_bytes(), &mut next);
        if let Some((_, after)) = next.pop() {
            state = after;
        }
        self.listen(&state);
        self.states.push(State { prior: state, mode: Mode::Visit, tail: Tail::BREAK });
        self.is_identity.push(true);
        self.lattice.at.push(0);
        self.lattice.best.extend_from_slice(&self.model.start);
        let best = self.model.start.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        self.best.push(best);
        self.least = best - self.beam.margin;
    }

    /// Lets the prior read the text as it stands: where nothing that comes is surprising, no event is worth its price.
    fn listen(&mut self, state: &P::State) {
        let text = self.observed.window.text;
        let mut next = Vec::with_capacity(text.len());
        self.asking.prior().read(state, text.as_bytes(), &mut next);
        let mut sum = 0.0;
        self.copied.push(sum);
        self.is_open = vec![self.beam.surprise <= 0.0; text.len() + 1];
        for (at, (ln, _)) in next.iter().enumerate() {
            sum += self.model.prior_weight(*ln);
            self.copied.push(sum);
            if f64::from(-*ln) >= self.beam.surprise {
                self.is_open[at.saturating_sub(SURPRISE_BYTES)..=at + 1].fill(true);
            }
        }
        // What the end is surprised at is not asked: it can always have been cut.
        self.is_open[text.len().saturating_sub(SURPRISE_BYTES)..].fill(true);
        self.heard = next;
    }

    /// Carries out the transitions that end at byte `at`: copies first, for what the others are measured by.
    async fn arrive_all(&mut self, at: usize, mut pending: Vec<Pending<P::State>>) {
        self.known.clear();
        self.least = f64::NEG_INFINITY;
        let copies = pending
            .extract_if(.., |one| one.is_identity || matches!(one.cause, Cause::Copy | Cause::Spared))
            .collect();
        self.read(at, copies).await;
        for one in pending.extract_if(.., |one| one.is_read) {
            self.arrive(at, one);
        }
        self.read(at, pending).await;
    }

    /// Lets the prior read the texts of transitions, byte by byte, as long as they are worth it.
    async fn read(&mut self, at: usize, mut pending: Vec<Pending<P::State>>) {
        let mut steps: Vec<(P::State, Symbol)> = Vec::with_capacity(pending.len());
        let mut next = Vec::with_capacity(pending.len());
        for byte in 0.. {
            pending.retain(|one| one.is_identity || self.weight(one) >= self.least_of(one.state.mode));
            for one in pending.extract_if(.., |one| (one.text.end - one.text.start) as usize <= byte) {
                self.arrive(at, one);
            }
            if pending.is_empty() {
                return;
            }
            steps.clear();
            let symbol =
                |one: &Pending<P::State>| self.observed.strings.as_bytes()[one.text.start as usize + byte];
            steps.extend(pending.iter().map(|one| (one.state.prior.clone(), symbol(one))));
            self.asking.advance(&mut steps, &mut next).await;
            for (one, (ln, state)) in pending.iter_mut().zip(next.drain(..)) {
                one.ln += self.model.prior_weight(ln);
                one.state.prior = state;
            }
        }
    }

    /// The least weight of a hypothesis that is followed.
    fn least_of(&self, mode: Mode) -> f64 {
        if mode.is_fresh() { self.least - self.beam.credit } else { self.least }
    }

    /// Whether a hypothesis can begin events: one on credit has to earn it first.
    fn is_settled(&self, node: u32) -> bool {
        self.best[node as usize] >= self.least
    }

    /// The best weight, of all levels, that a transition leads to.
    fn weight(&self, one: &Pending<P::State>) -> f64 {
        let levels = &self.lattice.levels[one.cause.index() * self.lattice.lanes..][..self.lattice.lanes];
        let weights = self.lattice.best_of(one.from).iter().zip(levels).map(|(before, level)| before + level);
        weights.fold(f64::NEG_INFINITY, f64::max) + one.ln
    }

    /// A transition leads to a hypothesis: a new one, or one that is known.
    fn arrive(&mut self, at: usize, one: Pending<P::State>) {
        let lanes = self.lattice.lanes;
        let levels = &self.lattice.levels[one.cause.index() * lanes..][..lanes];
        let mut best = f64::NEG_INFINITY;
        for ((lane, before), level) in self.lanes.iter_mut().zip(self.lattice.best_of(one.from)).zip(levels) {
            *lane = before + level + one.ln;
            best = best.max(*lane);
        }
        if best == f64::NEG_INFINITY || best < self.least_of(one.state.mode) && !one.is_identity {
            return;
        }
        self.least = self.least.max(best - self.beam.margin);
        let new = self.states.len() as u32;
        let node = *self.known.entry(one.state.clone()).or_insert(new);
        self.arcs.push(Arc { from: one.from, to: node, cause: one.cause, ln: one.ln, text: one.text });
        if node == new {
            self.states.push(one.state);
            self.is_identity.push(one.is_identity);
            self.lattice.at.push(at as u32);
            self.lattice.best.extend_from_slice(&self.lanes);
            self.best.push(best);
        } else {
            let node = node as usize;
            if best > self.best[node] {
                // The states are equal; where a prior forgets what is far back, the better path's is kept.
                self.states[node] = one.state;
            }
            let known = &mut self.lattice.best[node * lanes..][..lanes];
            known.iter_mut().zip(&self.lanes).for_each(|(known, lane)| *known = known.max(*lane));
            self.best[node] = self.best[node].max(best);
            self.is_identity[node] |= one.is_identity;
        }
    }

    /// Of the hypotheses from `first` on, those that are followed.
    fn survivors(&mut self, first: usize) -> Vec<u32> {
        self.known.clear();
        let best = &self.best;
        let mut nodes: Vec<u32> = (first as u32..self.states.len() as u32).collect();
        nodes.retain(|node| {
            let at = *node as usize;
            best[at] >= self.least_of(self.states[at].mode) || self.is_identity[at]
        });
        let width = self.beam.width;
        if nodes.len() > width {
            // Of equal ones the first: what is kept depends on the text alone.
            let order = |a: &u32, b: &u32| best[*b as usize].total_cmp(&best[*a as usize]).then(a.cmp(b));
            nodes.select_nth_unstable_by(width - 1, order);
            let spare = nodes.split_off(width);
            nodes.extend(spare.into_iter().filter(|node| self.is_identity[*node as usize]));
            nodes.sort_unstable();
        }
        nodes
    }

    /// Sorts the arcs that were found at a byte by the nodes that they lead to.
    fn sort_arcs(&mut self) {
        self.arcs.sort_by_key(|arc| arc.to);
        self.lattice.arcs.append(&mut self.arcs);
    }

    /// Leads all paths to one node, and from there to the end.
    fn finish(mut self) -> Found<'t> {
        let read = self.states.len() as u32;
        self.finals.sort_by_key(|arc| arc.from);
        let last = Arc { from: read, to: read + 1, cause: Cause::Done, ln: 0.0, text: Span::default() };
        let mut arcs = std::mem::take(&mut self.finals);
        for node in [read, read + 1] {
            let mut best = vec![f64::NEG_INFINITY; self.lattice.lanes];
            for arc in &mut arcs {
                arc.to = node;
                for (lane, (best, weight)) in best.iter_mut().zip(self.lattice.weights(arc)).enumerate() {
                    *best = best.max(self.lattice.best_of(arc.from)[lane] + weight);
                }
            }
            self.lattice.at.push(self.observed.window.text.len() as u32);
            self.lattice.best.append(&mut best);
            self.lattice.arcs.append(&mut arcs);
            arcs = vec![last];
        }
        Found { lattice: self.lattice, observed: self.observed }
    }
}
