//! The most probable event log of a pair.

use std::collections::BTreeMap;

use super::forward::{Forward, Tables};
use super::lattice::Lattice;
use super::mass::Best;
use super::strip::Strip;
use super::{Certified, Likelihood, TOLERANCE};
use crate::event::Event;
use crate::law::LevelLaw;
use crate::op::Op;

/// Two logarithms that differ by less are ties, broken by order.
const TIE: f64 = 1e-9;

/// What most probably happened to a text.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// ln of the probability (nats) of the noise level and everything that was drawn: the path through the channel.
    pub ln_probability: f64,
    /// The noise level; `None` for a record that was kept clean.
    pub level: Option<f64>,
    /// The log of that path: what changed nothing is left out. Replayed over the original it gives the corrupted text.
    pub events: Vec<Event>,
}

/// A transition into a cell.
#[derive(Clone, Copy, Debug)]
struct Step {
    /// The operation; `None` for a copy.
    op: Option<Op>,
    /// The cell it comes from.
    from: (usize, usize),
    /// Where what the event emits ends; an insertion is followed by the copy of a grapheme.
    emitted_to: usize,
}

/// The best of several steps; of equal ones the first.
struct Choice {
    ln: f64,
    step: Option<Step>,
}

impl Choice {
    fn offer(&mut self, ln: f64, step: Step) {
        if ln > self.ln + TIE || self.step.is_none() && ln > f64::NEG_INFINITY {
            *self = Self { ln, step: Some(step) };
        }
    }
}

impl Likelihood {
    /// The most probable path from `original` to `corrupted`, jointly over noise levels (clean records included), places,
    /// operations, span lengths and symbols; `None` if there is none.
    ///
    /// Of equally probable paths, a clean record comes first, then the first noise level; within a text, events lie as far to the
    /// left as they can, operations in the order of [`Op::ALL`], short spans before long ones.
    pub fn explain(&self, original: &str, corrupted: &str) -> Option<Explanation> {
        let mut ln_tolerance = TOLERANCE.ln();
        loop {
            let certified = self.certified(original, corrupted, ln_tolerance)?;
            let tables = Tables::<Best>::new(&certified.lattice);
            let (ln, level) = self.best_level(&certified, &tables);
            // What lies outside the band must not be able to hold a better path.
            if ln < certified.ln_lost {
                ln_tolerance = ln - certified.ln - 1.0;
                continue;
            }
            let events = match level {
                None => Vec::new(),
                Some(level) => self.trace(&certified, &tables, level),
            };
            let level = level.map(|level| self.law.settings().levels[level]);
            return Some(Explanation { ln_probability: ln, level, events });
        }
    }

    fn pass<'a>(
        &'a self,
        certified: &'a Certified<'_>,
        tables: &'a Tables<Best>,
        level: usize,
    ) -> Forward<'a, Best> {
        let law = self.law.at_level(self.law.settings().levels[level]);
        Forward::new(&certified.lattice, &self.law, law, tables, &certified.band)
    }

    /// The best level, `None` for clean, and ln of the best path.
    fn best_level(&self, certified: &Certified<'_>, tables: &Tables<Best>) -> (f64, Option<usize>) {
        let lattice = &certified.lattice;
        let mut best = (self.ln_clean(lattice.original, lattice.corrupted), None);
        for level in 0..certified.levels.len() {
            let ln = self.ln_level() + self.pass(certified, tables, level).run(None).total.0;
            if ln > best.0 + TIE || best.0 == f64::NEG_INFINITY && ln > best.0 {
                best = (ln, Some(level));
            }
        }
        best
    }

    fn trace(&self, certified: &Certified<'_>, tables: &Tables<Best>, level: usize) -> Vec<Event> {
        let rows = self.pass(certified, tables, level).keeping().run(None).rows;
        let law = self.law.at_level(self.law.settings().levels[level]).ln();
        let lattice = &certified.lattice;
        let trace = Trace { likelihood: self, lattice, law, rows: &rows };
        let mut events = Vec::new();
        let mut at = (lattice.count(), lattice.corrupted.len());
        // At the end of the text there may be an insertion that no grapheme follows.
        if let Some(step) = trace.last_insertion(at.1) {
            events.extend(trace.event(&step, at.0));
            at = step.from;
        }
        while at != (0, 0) {
            let Some(step) = trace.step_into(at) else { break };
            events.extend(trace.event(&step, at.0));
            at = step.from;
        }
        events.reverse();
        events
    }
}

struct Trace<'a> {
    likelihood: &'a Likelihood,
    lattice: &'a Lattice<'a>,
    /// Logarithms.
    law: LevelLaw,
    rows: &'a [Strip<Best>],
}

impl Trace<'_> {
    fn ln(&self, i: usize, at: usize) -> f64 {
        self.rows[i].get(at).0
    }

    /// The event of a step into position `to`, if it changes anything.
    fn event(&self, step: &Step, to: usize) -> Option<Event> {
        let op = step.op?;
        let (i, at) = step.from;
        let removed = if op == Op::Insertion { "" } else { self.lattice.span(i, to) };
        let replacement = self.lattice.corrupted.get(at..step.emitted_to)?;
        (removed != replacement).then(|| Event {
            op: op.into(),
            start: self.lattice.start(i) as u32,
            length: removed.len() as u32,
            removed: removed.to_owned(),
            replacement: replacement.to_owned(),
        })
    }

    /// The insertion at the end of the text, if the best path has one.
    fn last_insertion(&self, end: usize) -> Option<Step> {
        let n = self.lattice.count();
        let mut choice = Choice { ln: self.ln(n, end) + self.law.end, step: None };
        let rate = self.law.event[Op::Insertion as usize];
        for (from, ln) in self.insertions(end, n) {
            let step = Step { op: Some(Op::Insertion), from: (n, from), emitted_to: end };
            let ln = self.ln(n, from) + rate + ln;
            if ln > choice.ln + TIE {
                choice = Choice { ln, step: Some(step) };
            }
        }
        choice.step
    }

    /// The best transition into a cell.
    fn step_into(&self, (i, at): (usize, usize)) -> Option<Step> {
        let mut choice = Choice { ln: f64::NEG_INFINITY, step: None };
        let before = i.checked_sub(1)?;
        let grapheme = self.lattice.span(before, i);
        let copied = self.lattice.corrupted[..at].ends_with(grapheme);
        if copied {
            let from = at - grapheme.len();
            let substitution = self.law.event[Op::Substitution as usize];
            let is_unconfused = self.lattice.is_unconfused(before);
            let copy =
                if is_unconfused { (self.law.copy.exp() + substitution.exp()).ln() } else { self.law.copy };
            choice
                .offer(self.ln(before, from) + copy, Step { op: None, from: (before, from), emitted_to: at });
        }
        self.deletions(i, at, &mut choice);
        self.substitutions(i, at, &mut choice);
        if copied {
            let emitted_to = at - grapheme.len();
            let rate = self.law.event[Op::Insertion as usize];
            for (from, ln) in self.insertions(emitted_to, before) {
                let step = Step { op: Some(Op::Insertion), from: (before, from), emitted_to };
                choice.offer(self.ln(before, from) + rate + ln, step);
            }
        }
        self.moves(i, at, &mut choice);
        choice.step
    }

    fn deletions(&self, i: usize, at: usize, choice: &mut Choice) {
        let (rate, lengths) =
            (self.law.event[Op::Deletion as usize], self.likelihood.law.length(Op::Deletion));
        if rate == f64::NEG_INFINITY {
            return;
        }
        for length in 1..=i.min(lengths.longest().unwrap_or(i)) {
            let from = i - length;
            let p = lengths.consumes(length, self.lattice.count() - from);
            let step = Step { op: Some(Op::Deletion), from: (from, at), emitted_to: at };
            choice.offer(self.ln(from, at) + rate + p.ln(), step);
        }
    }

    fn substitutions(&self, i: usize, at: usize, choice: &mut Choice) {
        let law = &self.likelihood.law;
        let rate = self.law.event[Op::Substitution as usize];
        if rate == f64::NEG_INFINITY || law.confusions().is_some() {
            return;
        }
        let lengths = law.length(Op::Substitution);
        // Where the replaced graphemes may begin, with the best ln of their emissions.
        let mut reached = BTreeMap::from([(at, 0.0)]);
        for length in 1..=i.min(lengths.longest().unwrap_or(i)) {
            let from = i - length;
            let form = self.lattice.form(from);
            let emissions = &self.lattice.emissions;
            reached = self.emitted(&reached, 0, |index| emissions.substitution(form, index));
            if reached.is_empty() {
                return;
            }
            let p = lengths.consumes(length, self.lattice.count() - from).ln();
            for (start, ln) in &reached {
                let step = Step { op: Some(Op::Substitution), from: (from, *start), emitted_to: at };
                choice.offer(self.ln(from, *start) + rate + p + ln, step);
            }
        }
    }

    /// The insertions at position `i` whose symbols end at byte `at`: where they begin, and the best ln of length and symbols.
    fn insertions(&self, at: usize, i: usize) -> BTreeMap<usize, f64> {
        let lengths = self.likelihood.law.length(Op::Insertion);
        let mut best: BTreeMap<usize, f64> = BTreeMap::new();
        if self.law.event[Op::Insertion as usize] == f64::NEG_INFINITY {
            return best;
        }
        let lowest = self.rows[i].from;
        let mut reached = BTreeMap::from([(at, 0.0)]);
        for length in 1..=lengths.longest().unwrap_or(usize::MAX) {
            reached = self.emitted(&reached, lowest, |index| self.lattice.emissions.insertion(index));
            if reached.is_empty() {
                break;
            }
            let p = lengths.probability(length).ln();
            for (start, ln) in &reached {
                let known = best.entry(*start).or_insert(f64::NEG_INFINITY);
                *known = f64::max(*known, p + ln);
            }
        }
        best
    }

    /// One emission farther to the left, not before byte `lowest`.
    fn emitted<'t>(
        &self,
        reached: &BTreeMap<usize, f64>,
        lowest: usize,
        table: impl Fn(usize) -> &'t [f64],
    ) -> BTreeMap<usize, f64> {
        let emissions = &self.lattice.emissions;
        let mut farther: BTreeMap<usize, f64> = BTreeMap::new();
        for (at, ln) in reached {
            for (index, length) in emissions.lengths().iter().enumerate() {
                let Some(start) = at.checked_sub(*length).filter(|start| *start >= lowest) else { break };
                let p = table(index)[emissions.class()[start] as usize];
                if p > 0.0 {
                    let known = farther.entry(start).or_insert(f64::NEG_INFINITY);
                    *known = f64::max(*known, ln + p.ln());
                }
            }
        }
        farther
    }

    fn moves(&self, i: usize, at: usize, choice: &mut Choice) {
        let farthest = self.lattice.farthest_move();
        for from in (i.saturating_sub(farthest)..i).rev() {
            for one in self.lattice.moves(from).iter().filter(|one| one.to == i) {
                let Some(start) = at.checked_sub(one.emitted) else { continue };
                let stands = one.emitted == 0 || !self.lattice.places_of(one, start..start + 1).is_empty();
                if stands {
                    let step = Step { op: Some(one.op), from: (from, start), emitted_to: at };
                    let ln = self.law.event[one.op as usize] + one.p.ln();
                    choice.offer(self.ln(from, start) + ln, step);
                }
            }
        }
    }
}
