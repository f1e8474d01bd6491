//! The transitions that a hypothesis can begin: a copy, an event, the end.

use corruptor::Op;

use super::{Mode, Pending, Search, State};
use crate::channel::emissions::Emission;
use crate::channel::lattice::{Arc, Cause};
use crate::channel::observed::{Move, Span, Window};
use crate::prior::{END, Prior, Ranked};

impl<P: Prior> Search<'_, P> {
    /// Finds what can stand at a byte, which is the same for all hypotheses.
    pub(super) fn look(&mut self, at: usize) {
        self.observed.units(at, &mut self.units);
        self.moves.clear();
        self.insertions.clear();
        let Window { text, ends, .. } = self.observed.window;
        if self.is_open[at] {
            self.observed.moves(at, &mut self.moves);
        }
        if self.is_open[at] || ends && self.model.can_end(text.len() - at) {
            self.observed.insertions(at, &mut self.insertions);
        }
    }

    /// Begins all transitions of the hypotheses of a wave; `is_open` allows further deletions.
    pub(super) async fn leave(&mut self, at: usize, wave: &[u32], is_open: bool) {
        let (units, moves) = (std::mem::take(&mut self.units), std::mem::take(&mut self.moves));
        let insertions = std::mem::take(&mut self.insertions);
        let mut ending = Vec::new();
        for node in wave {
            let mode = self.states[*node as usize].mode;
            if mode != Mode::Ends {
                self.copy(at, *node, &units);
            }
            if mode != Mode::Ends && mode != Mode::Copies && self.is_open[at] && self.is_settled(*node) {
                self.emit(at, *node, &moves, &insertions);
            }
            if mode != Mode::GoesOn && mode != Mode::Copies {
                ending.push(*node);
            }
        }
        self.end(at, &ending, &insertions).await;
        (self.units, self.moves, self.insertions) = (units, moves, insertions);
        self.lose(at, wave, is_open).await;
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
        if !one.is_identity
            && copied > f64::NEG_INFINITY
            && self.weight(&one) < self.least_of(one.state.mode) + copied
        {
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
        let text = self.observed.window.text;
        for &end in ends {
            let unit = &text[at..end];
            if self.observed.joins.joins(state.tail, unit) {
                continue;
            }
            let tail = self.observed.joins.tail(unit);
            let cause = match state.mode {
                Mode::Copies => Cause::Within,
                _ if self.model.confused.spares(unit) => Cause::Spared,
                _ => Cause::Copy,
            };
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

    /// The original of hypotheses ends here, or, at a window's inner edge, is known no further.
    async fn end(&mut self, at: usize, nodes: &[u32], insertions: &[(usize, f64)]) {
        let Window { text, ends, .. } = self.observed.window;
        let arc = |from: u32| Arc { from, to: 0, cause: Cause::Within, ln: 0.0, text: Span::default() };
        if !ends {
            if at == text.len() {
                let stopped = nodes.iter().map(|node| Arc { ln: self.stop(*node), ..arc(*node) });
                let stopped: Vec<Arc> = stopped.filter(|arc| arc.ln > f64::NEG_INFINITY).collect();
                self.finals.extend(stopped);
            }
            return;
        }
        if !self.model.can_end(text.len() - at) {
            return;
        }
        let inserted = insertions.iter().find(|(to, _)| *to == text.len()).map(|(_, inserted)| *inserted);
        let (cause, own) = match inserted {
            _ if at == text.len() => (Cause::End, 0.0),
            Some(inserted) => (Cause::Event(Op::Insertion as u8), inserted - self.model.event_penalty()),
            None => return,
        };
        // A span that the end cuts has the probability of all longer ones: nothing is paid for stopping.
        let mut steps: Vec<_> =
            nodes.iter().map(|node| (self.states[*node as usize].prior.clone(), END)).collect();
        let mut next = Vec::with_capacity(nodes.len());
        self.asking.advance(&mut steps, &mut next).await;
        for (node, (ln, _)) in nodes.iter().zip(next) {
            let ln = self.model.prior_weight(ln) + own;
            self.finals.push(Arc { cause, ln, ..arc(*node) });
        }
    }

    /// Whether a hypothesis can begin a deletion or a substitution at a byte.
    fn can_begin(&self, at: usize, node: u32) -> bool {
        self.is_open[at] && self.is_settled(node)
    }

    /// ln of the least probability that the prior must give to a unit for it to be worth it: deleted here, or, where `substitution`
    /// says what that gains, after the byte that was put in its place.
    fn least_of_unit(&self, at: usize, node: u32, deletes: bool, substitution: Option<f64>) -> f64 {
        let model = self.model;
        let mode = self.states[node as usize].mode;
        let begins = |op: Op| {
            if self.can_begin(at, node) { self.stop(node) + model.begins(op) } else { f64::NEG_INFINITY }
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
        let deleted = if deletes { deleted } else { f64::NEG_INFINITY };
        let most = deleted.max(substitution.map_or(f64::NEG_INFINITY, |gain| substituted + gain));
        if most == f64::NEG_INFINITY {
            return f64::INFINITY;
        }
        (self.least - self.beam.credit - self.best[node as usize] - most) / model.weights().prior
    }

    /// Deletions and substitutions: the prior proposes what stood in the original.
    async fn lose(&mut self, at: usize, wave: &[u32], is_open: bool) {
        let model = self.model;
        let text = self.observed.window.text;
        let deletes = is_open && model.has(Op::Deletion) && self.observed.is_open(at);
        let substitutes = model.substitutes() && at < text.len();
        let drawn = model.substitutions.greatest(&text[at..]);
        let copied = self.units.first().map_or(0.0, |end| (self.copied[*end] - self.copied[at]).min(0.0));
        let substitution = substitutes.then_some(drawn - copied);
        let (mut asking, mut states) = (Vec::new(), Vec::new());
        for node in wave {
            let least = self.least_of_unit(at, *node, deletes, substitution);
            if least <= 0.0 {
                asking.push(*node);
                states.push((self.states[*node as usize].prior.clone(), least));
            }
        }
        if asking.is_empty() {
            return;
        }
        let mut proposals: Ranked<u32, P::State> = Ranked::default();
        model.units.propose(self.asking, &states, self.beam.proposals, &mut proposals).await;
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
                let begin = if self.can_begin(at, node) {
                    stop + ln - model.event_penalty()
                } else {
                    f64::NEG_INFINITY
                };
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
}
