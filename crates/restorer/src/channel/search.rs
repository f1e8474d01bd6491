//! The beam: hypotheses advance over the corrupted text, byte by byte, and those of the same state become one.

use std::collections::VecDeque;

use corruptor::Op;
use rustc_hash::FxHashMap;

use super::emissions::Emission;
use super::joins::Tail;
use super::lattice::{Arc, Cause, Lattice};
use super::model::ChannelModel;
use super::observed::{Move, Observed, Span, Window};
use super::settings::Beam;
use crate::prior::{END, Prior, Ranked, Symbol};

/// Bytes before a surprise within which what explains it can have begun: a span and what it does to the contexts after it.
const SURPRISE_BYTES: usize = 10;

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
    prior: &'t P,
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
    pub(super) fn new(model: &'t ChannelModel, prior: &'t P, beam: &'t Beam, window: Window<'t>) -> Self {
        Self {
            lattice: Lattice {
                levels: model.levels.clone(),
                lanes: model.lanes(),
                at: Vec::new(),
                best: Vec::new(),
                arcs: Vec::new(),
            },
            observed: Observed::new(window, &model.law, beam.longest_span),
            model,
            prior,
            beam,
            states: Vec::new(),
            is_identity: Vec::new(),
            best: Vec::new(),
            arcs: Vec::new(),
            known: FxHashMap::default(),
            ahead: VecDeque::new(),
            least: f64::NEG_INFINITY,
            copied: Vec::new(),
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
    pub(super) fn run(mut self, context: &str) -> Found<'t> {
        self.start(context);
        for at in 0..=self.observed.window.text.len() {
            let first = if at == 0 { 0 } else { self.states.len() };
            if at > 0 {
                let pending = self.ahead.pop_front().unwrap_or_default();
                self.arrive_all(at, pending);
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
                self.leave(at, &wave, missing < self.beam.longest_gap);
                wave = self.survivors(first);
            }
            self.observe_arcs();
        }
        self.finish()
    }

    fn start(&mut self, context: &str) {
        let starts = self.observed.window.starts;
        let mut state = if starts { self.prior.start() } else { self.prior.open() };
        let mut next = Vec::with_capacity(1);
        for symbol in context.bytes() {
            self.prior.advance(&[(state, symbol)], &mut next);
            let Some((_, after)) = next.pop() else { return };
            state = after;
        }
        self.listen(state.clone());
        self.states.push(State { prior: state, mode: Mode::Visit, tail: Tail::BREAK });
        self.is_identity.push(true);
        self.lattice.at.push(0);
        self.lattice.best.extend_from_slice(&self.model.start);
        let best = self.model.start.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        self.best.push(best);
        self.least = best - self.beam.margin;
    }

    /// Lets the prior read the text as it stands: where nothing that comes is surprising, no event is worth its price.
    fn listen(&mut self, mut state: P::State) {
        let text = self.observed.window.text;
        let mut next = Vec::with_capacity(1);
        let mut sum = 0.0;
        self.copied.push(sum);
        self.is_open = vec![self.beam.surprise <= 0.0; text.len() + 1];
        for (at, symbol) in text.bytes().enumerate() {
            self.prior.advance(&[(state, symbol)], &mut next);
            let Some((ln, after)) = next.pop() else { return };
            state = after;
            sum += self.model.prior_weight(ln);
            self.copied.push(sum);
            if f64::from(-ln) >= self.beam.surprise {
                self.is_open[at.saturating_sub(SURPRISE_BYTES)..=at + 1].fill(true);
            }
        }
        // What the end is surprised at is not asked: it can always have been cut.
        self.is_open[text.len().saturating_sub(SURPRISE_BYTES)..].fill(true);
    }

    /// Carries out the transitions that end at byte `at`: copies first, for what the others are measured by.
    fn arrive_all(&mut self, at: usize, pending: Vec<Pending<P::State>>) {
        self.known.clear();
        self.least = f64::NEG_INFINITY;
        let (copies, others): (Vec<_>, Vec<_>) =
            pending.into_iter().partition(|one| one.is_identity || one.cause == Cause::Copy);
        self.read(at, copies);
        let (read, unread): (Vec<_>, Vec<_>) = others.into_iter().partition(|one| one.is_read);
        for one in read {
            self.arrive(at, one);
        }
        self.read(at, unread);
    }

    /// Lets the prior read the texts of transitions, byte by byte, as long as they are worth it.
    fn read(&mut self, at: usize, mut pending: Vec<Pending<P::State>>) {
        let mut steps: Vec<(P::State, Symbol)> = Vec::with_capacity(pending.len());
        let mut next = Vec::with_capacity(pending.len());
        for byte in 0.. {
            pending.retain(|one| one.is_identity || self.weight(one) >= self.least);
            let (reading, done): (Vec<_>, Vec<_>) =
                pending.into_iter().partition(|one| (one.text.end - one.text.start) as usize > byte);
            for one in done {
                self.arrive(at, one);
            }
            if reading.is_empty() {
                return;
            }
            pending = reading;
            steps.clear();
            let symbol =
                |one: &Pending<P::State>| self.observed.strings.as_bytes()[one.text.start as usize + byte];
            steps.extend(pending.iter().map(|one| (one.state.prior.clone(), symbol(one))));
            self.prior.advance(&steps, &mut next);
            for (one, (ln, state)) in pending.iter_mut().zip(next.drain(..)) {
                one.ln += self.model.prior_weight(ln);
                one.state.prior = state;
            }
        }
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
        if best == f64::NEG_INFINITY || best < self.least && !one.is_identity {
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
        nodes.retain(|node| best[*node as usize] >= self.least || self.is_identity[*node as usize]);
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

    /// Finds what can stand at a byte, which is the same for all hypotheses.
    fn look(&mut self, at: usize) {
        self.observed.units(at, &mut self.units);
        self.observed.moves(at, &mut self.moves);
        self.observed.insertions(at, &mut self.insertions);
    }

    /// Begins all transitions of the hypotheses of a wave; `is_open` allows further deletions.
    fn leave(&mut self, at: usize, wave: &[u32], is_open: bool) {
        let (units, moves) = (std::mem::take(&mut self.units), std::mem::take(&mut self.moves));
        let insertions = std::mem::take(&mut self.insertions);
        for node in wave {
            let mode = self.states[*node as usize].mode;
            if mode != Mode::Ends {
                self.copy(at, *node, &units);
            }
            if mode != Mode::Ends && mode != Mode::Copies && self.is_open[at] {
                self.emit(at, *node, &moves, &insertions);
            }
            if mode != Mode::GoesOn && mode != Mode::Copies {
                self.end(at, *node, &insertions);
            }
        }
        (self.units, self.moves, self.insertions) = (units, moves, insertions);
        self.lose(at, wave, is_open);
    }

    /// What a hypothesis has to pay for ending its event here.
    fn stop(&self, node: u32) -> f64 {
        match self.states[node as usize].mode {
            Mode::Visit | Mode::GoesOn | Mode::Ends | Mode::Copies => 0.0,
            Mode::Deleting(length) => self.model.stops(Op::Deletion, length),
            Mode::Substituting(length) => self.model.stops(Op::Substitution, length),
        }
    }

    /// Remembers a transition until the byte where it ends, if it may be worth it there: at least as much as the best hypothesis at
    /// hand after it has copied as far.
    fn push(&mut self, at: usize, to: usize, one: Pending<P::State>) {
        let copied = (self.copied[to] - self.copied[at]).min(0.0);
        if !one.is_identity && copied > f64::NEG_INFINITY && self.weight(&one) < self.least + copied {
            return;
        }
        let ahead = to - at - 1;
        while self.ahead.len() <= ahead {
            self.ahead.push_back(Vec::new());
        }
        self.ahead[ahead].push(one);
    }

    fn copy(&mut self, at: usize, node: u32, ends: &[usize]) {
        let (stop, state) = (self.stop(node), self.states[node as usize].clone());
        if stop == f64::NEG_INFINITY {
            return;
        }
        let cause = if state.mode == Mode::Copies { Cause::Within } else { Cause::Copy };
        let text = self.observed.window.text;
        for &end in ends {
            let unit = &text[at..end];
            if self.observed.joins.joins(state.tail, unit) {
                continue;
            }
            let tail = self.observed.joins.tail(unit);
            let one = Pending {
                from: node,
                cause,
                ln: stop,
                text: Span::of(at..end),
                state: State { prior: state.prior.clone(), mode: Mode::Visit, tail },
                is_read: false,
                is_identity: self.is_identity[node as usize] && Some(&end) == ends.last(),
            };
            self.push(at, end, one);
        }
    }

    /// Insertions, duplications and reversals.
    fn emit(&mut self, at: usize, node: u32, moves: &[Move], insertions: &[(usize, f64)]) {
        let State { prior, tail, .. } = self.states[node as usize].clone();
        let stop = self.stop(node);
        let Window { text, ends, .. } = self.observed.window;
        let penalty = self.model.event_penalty();
        for &(to, ln) in insertions {
            let (cause, ln) = (Cause::Event(Op::Insertion as u8), stop + ln - penalty);
            if to < text.len() || !ends {
                let state = State { prior: prior.clone(), mode: Mode::Copies, tail };
                let one = Pending {
                    from: node,
                    cause,
                    ln,
                    text: Span::default(),
                    state,
                    is_read: true,
                    is_identity: false,
                };
                self.push(at, to, one);
            }
        }
        for one in moves {
            let first = &self.observed.strings[one.first.start as usize..one.first.end as usize];
            if self.observed.joins.joins(tail, first) {
                continue;
            }
            let is_near_end = ends && self.model.can_end(text.len() - one.to);
            let modes =
                if is_near_end { [Some(Mode::GoesOn), Some(Mode::Ends)] } else { [Some(Mode::Visit), None] };
            for (mode, length) in modes.into_iter().zip(one.ln) {
                let ln = stop + length - penalty;
                if let Some(mode) = mode.filter(|_| ln > f64::NEG_INFINITY) {
                    let state = State { prior: prior.clone(), mode, tail: one.tail };
                    let cause = Cause::Event(one.op as u8);
                    let pending = Pending {
                        from: node,
                        cause,
                        ln,
                        text: one.text,
                        state,
                        is_read: false,
                        is_identity: false,
                    };
                    self.push(at, one.to, pending);
                }
            }
        }
    }

    /// The original ends here, or, at a window's inner edge, is known no further.
    fn end(&mut self, at: usize, node: u32, insertions: &[(usize, f64)]) {
        let Window { text, ends, .. } = self.observed.window;
        let mut arc = Arc { from: node, to: 0, cause: Cause::Within, ln: 0.0, text: Span::default() };
        if !ends {
            arc.ln = self.stop(node);
            if at == text.len() && arc.ln > f64::NEG_INFINITY {
                self.finals.push(arc);
            }
            return;
        }
        if !self.model.can_end(text.len() - at) {
            return;
        }
        // A span that the end cuts has the probability of all longer ones: nothing is paid for stopping.
        let mut next = Vec::with_capacity(1);
        let prior = self.states[node as usize].prior.clone();
        self.prior.advance(&[(prior, END)], &mut next);
        let ln = next.first().map_or(f64::NEG_INFINITY, |(ln, _)| self.model.prior_weight(*ln));
        if at == text.len() {
            self.finals.push(Arc { cause: Cause::End, ln, ..arc });
        } else if let Some((_, inserted)) = insertions.iter().find(|(to, _)| *to == text.len()) {
            let ln = ln + inserted - self.model.event_penalty();
            self.finals.push(Arc { cause: Cause::Event(Op::Insertion as u8), ln, ..arc });
        }
    }

    /// Deletions and substitutions: the prior proposes what stood in the original.
    fn lose(&mut self, at: usize, wave: &[u32], is_open: bool) {
        let model = self.model;
        let text = self.observed.window.text;
        let deletes = is_open && model.has(Op::Deletion) && self.observed.is_open(at);
        let substitutes = model.has(Op::Substitution) && at < text.len();
        let drawn = model.substitutions.greatest(&text[at..]);
        let copied = self.units.first().map_or(0.0, |end| (self.copied[*end] - self.copied[at]).min(0.0));
        // The least that the prior must give a unit for it to be worth it: here, or after the byte that was put in its place.
        let least = |node: u32| {
            let mode = self.states[node as usize].mode;
            let begins = |op: Op| {
                if self.is_open[at] { self.stop(node) + model.begins(op) } else { f64::NEG_INFINITY }
            };
            let (mut deleted, mut substituted) = match mode {
                Mode::Copies | Mode::Ends => return f64::INFINITY,
                _ => (begins(Op::Deletion), begins(Op::Substitution)),
            };
            match mode {
                Mode::Deleting(length) => deleted = deleted.max(model.goes_on(Op::Deletion, length)),
                Mode::Substituting(length) => {
                    substituted = substituted.max(model.goes_on(Op::Substitution, length));
                }
                _ => {}
            }
            let slack = |may: bool, cost: f64| if may { cost } else { f64::NEG_INFINITY };
            let most = slack(deletes, deleted).max(slack(substitutes, substituted + drawn - copied));
            if most == f64::NEG_INFINITY {
                return f64::INFINITY;
            }
            (self.least - self.best[node as usize] - most) / model.weights().prior
        };
        let (mut asking, mut states) = (Vec::new(), Vec::new());
        for node in wave {
            let least = least(*node);
            if least <= 0.0 {
                asking.push(*node);
                states.push((self.states[*node as usize].prior.clone(), least));
            }
        }
        if asking.is_empty() {
            return;
        }
        let mut proposals: Ranked<u32, P::State> = Ranked::default();
        model.units.propose(self.prior, &states, self.beam.proposals, &mut proposals);
        let mut emissions: Vec<Emission> = Vec::new();
        for (i, node) in asking.into_iter().enumerate() {
            let (State { mode, tail, .. }, stop) = (self.states[node as usize].clone(), self.stop(node));
            for (unit, ln, state) in proposals.of(i) {
                let unit_text = model.units.text(*unit);
                if self.observed.joins.joins(tail, unit_text) {
                    continue;
                }
                let ln = model.prior_weight_of(*ln);
                let span = *self.unit_spans.entry(*unit).or_insert_with(|| self.observed.intern(unit_text));
                let tail = self.observed.joins.tail(unit_text);
                let lost = |op: Op, ln: f64, mode: Mode, goes_on: bool| Pending {
                    from: node,
                    cause: if goes_on { Cause::Within } else { Cause::Event(op as u8) },
                    ln,
                    text: span,
                    state: State { prior: state.clone(), mode, tail },
                    is_read: true,
                    is_identity: false,
                };
                let begin =
                    if self.is_open[at] { stop + ln - model.event_penalty() } else { f64::NEG_INFINITY };
                if deletes {
                    let op = Op::Deletion;
                    if begin > f64::NEG_INFINITY {
                        let one = lost(op, begin, Mode::Deleting(1), false);
                        self.arrive(at, one);
                    }
                    if let Mode::Deleting(length) = mode {
                        let next = Mode::Deleting(model.longer(op, length));
                        let one = lost(op, ln + model.goes_on(op, length), next, true);
                        self.arrive(at, one);
                    }
                }
                if substitutes {
                    let op = Op::Substitution;
                    model.substitutions.at(&model.law, unit_text, &text[at..], &mut emissions);
                    for (bytes, drawn) in &emissions {
                        let to = at + *bytes as usize;
                        if !self.observed.is_free(at..to) {
                            continue;
                        }
                        if begin + drawn > f64::NEG_INFINITY {
                            let one = lost(op, begin + drawn, Mode::Substituting(1), false);
                            self.push(at, to, one);
                        }
                        if let Mode::Substituting(length) = mode {
                            let next = Mode::Substituting(model.longer(op, length));
                            let one = lost(op, ln + drawn + model.goes_on(op, length), next, true);
                            self.push(at, to, one);
                        }
                    }
                }
            }
        }
    }

    /// Sorts the arcs that were found at a byte by the nodes that they lead to.
    fn observe_arcs(&mut self) {
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
