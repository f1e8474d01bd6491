//! How probable the rest of a pair can be at most, from any cell, in time linear in the original alone.

use std::ops::Range;

use super::lattice::Lattice;
use crate::law::{ChannelLaw, LevelLaw};
use crate::op::Op;

/// Tilts of the generating function. Positive ones bound emissions that are longer than what is consumed.
const THETAS: [f64; 11] = [-3.0, -1.8, -1.1, -0.6, -0.25, 0.0, 0.4, 1.0, 1.8, 2.6, 3.4];
/// Where 0 stands among them.
const ZERO: usize = 5;
/// Scaled values beyond it are scaled down.
const LARGE: f64 = 1e100;
/// Differences in bytes whose powers are tabulated.
const POWERS: isize = 32;

/// Upper bounds of the probability that a channel, from a position on, emits exactly the rest of the corrupted text.
///
/// For each θ, F(i) = E[e^(θ · (bytes emitted − bytes consumed from position i on))], taken over what the channel can emit if it
/// shall match somewhere in the corrupted text, bounds it by F(i) · e^(−θ · excess), where the excess is by how much the rest of the
/// corrupted text is longer than that of the original. The least over all θ counts.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    /// ln of F, or of the largest that what is left of an event under way can lead to; by position, then by θ.
    ln: Vec<[f64; THETAS.len()]>,
    /// Bytes of the rest of the original, by position.
    rest: Vec<usize>,
    corrupted: usize,
}

impl Bound {
    pub(crate) fn new(lattice: &Lattice<'_>, law: &ChannelLaw, level: &LevelLaw) -> Self {
        let n = lattice.count();
        let mut ln = vec![[f64::INFINITY; THETAS.len()]; n + 1];
        for (which, theta) in THETAS.into_iter().enumerate() {
            let mut tilted = Tilted::new(lattice, law, level, theta);
            for i in (0..=n).rev() {
                ln[i][which] = tilted.step(i);
            }
        }
        let rest = (0..=n).map(|i| lattice.original.len() - lattice.start(i)).collect();
        Self { ln, rest, corrupted: lattice.corrupted.len() }
    }

    /// ln of the bound of everything at position `i` that lies at byte `at` or before it.
    pub(crate) fn up_to(&self, i: usize, at: isize) -> f64 {
        self.least(i, at, ZERO..THETAS.len())
    }

    /// ln of the bound of everything at position `i` that lies at byte `at` or after it.
    pub(crate) fn from(&self, i: usize, at: isize) -> f64 {
        self.least(i, at, 0..ZERO + 1)
    }

    /// Over tilts under which the bound falls with the distance.
    fn least(&self, i: usize, at: isize, apt: Range<usize>) -> f64 {
        let excess = self.corrupted as f64 - at as f64 - self.rest[i] as f64;
        let tilts = THETAS[apt.clone()].iter().zip(&self.ln[i][apt]);
        tilts.map(|(theta, ln)| ln - theta * excess).fold(0.0, f64::min)
    }
}

/// The backward recursion for one θ.
struct Tilted<'a> {
    lattice: &'a Lattice<'a>,
    law: &'a ChannelLaw,
    level: &'a LevelLaw,
    /// e^(θ · bytes), from −[`POWERS`] bytes on.
    powers: Vec<f64>,
    theta: f64,
    /// Factors of one grapheme replaced and of one removed, by form.
    replaced: Vec<f64>,
    removed: Vec<f64>,
    /// Σ over the lengths of an insertion of the factors of its symbols; and the largest that one under way can come to.
    inserted: f64,
    inserting: f64,
    /// The generating function from each position on, over e^`offset`.
    value: Vec<f64>,
    /// What it is where a deletion, a substitution has reached its `max`.
    deleting: Vec<f64>,
    replacing: Vec<f64>,
    /// The largest of `value` and of what a span that goes on from here can lead to.
    under_way: Vec<f64>,
    offset: f64,
}

impl<'a> Tilted<'a> {
    fn new(lattice: &'a Lattice<'a>, law: &'a ChannelLaw, level: &'a LevelLaw, theta: f64) -> Self {
        let n = lattice.count();
        let rate = level.event[Op::Insertion as usize];
        let (sum, inserting) = insertions(law, lattice.emissions.greatest(None, theta));
        // What cannot occur must not be weighed with a factor that may be infinite.
        let (inserted, inserting) = if rate > 0.0 { (rate * sum, inserting) } else { (0.0, 0.0) };
        let replaces = level.event[Op::Substitution as usize] > 0.0 && law.confusions().is_none();
        let removed: Vec<f64> =
            lattice.forms().iter().map(|form| (-theta * form.len() as f64).exp()).collect();
        let replaced = |(form, removed): (usize, &f64)| {
            if replaces { lattice.emissions.greatest(Some(form), theta) * removed } else { 0.0 }
        };
        let zeros = vec![0.0; n + 1];
        Self {
            lattice,
            law,
            level,
            powers: (-POWERS..=POWERS).map(|bytes| (theta * bytes as f64).exp()).collect(),
            theta,
            replaced: removed.iter().enumerate().map(replaced).collect(),
            removed,
            inserted,
            inserting,
            value: zeros.clone(),
            deleting: zeros.clone(),
            replacing: zeros.clone(),
            under_way: zeros,
            offset: 0.0,
        }
    }

    /// e^(θ · bytes).
    fn power(&self, bytes: isize) -> f64 {
        match usize::try_from(bytes + POWERS).ok().and_then(|at| self.powers.get(at)) {
            Some(power) => *power,
            None => (self.theta * bytes as f64).exp(),
        }
    }

    /// Extends the recursion to position `i`; ln of the largest value there, also of events under way.
    fn step(&mut self, i: usize) -> f64 {
        let n = self.lattice.count();
        if i == n {
            let value = self.level.end + self.inserted;
            self.value[n] = value;
            self.deleting[n] = value;
            self.replacing[n] = value;
            self.under_way[n] = value;
            return value.max(self.inserting).ln();
        }
        let event = self.level.event;
        let form = self.lattice.form(i);
        let after = self.value[i + 1];
        let mut value = (self.level.copy + self.inserted) * after;
        if self.lattice.is_unconfused(i) {
            value += event[Op::Substitution as usize] * after;
        }
        for one in self.lattice.moves(i) {
            let consumed = self.lattice.start(one.to) - self.lattice.start(i);
            let factor = self.power(one.emitted.cast_signed() - consumed.cast_signed());
            value += event[one.op as usize] * one.p * factor * self.value[one.to];
        }
        value += self.spans(Op::Deletion, i, &self.removed, &self.deleting);
        if self.law.confusions().is_none() {
            value += self.spans(Op::Substitution, i, &self.replaced, &self.replacing);
        }
        // A bound must not become less by rounding to nothing.
        self.value[i] = value.max(1.0 / (LARGE * LARGE));
        let within = |op: Op, factor: f64, reached: &[f64]| {
            let tail = self.law.settings().op(op).tail;
            (1.0 - tail) * self.value[i] + tail * factor * reached[i + 1]
        };
        let (removed, replaced) = (self.removed[form], self.replaced[form]);
        let deleting = within(Op::Deletion, removed, &self.deleting);
        let replacing = within(Op::Substitution, replaced, &self.replacing);
        self.deleting[i] = deleting;
        self.replacing[i] = replacing;
        // No deletion leaves a band towards too long a corrupted text, which is what θ below 0 bounds.
        let factor = if self.theta < 0.0 { replaced } else { removed.max(replaced) };
        self.under_way[i] = self.value[i].max(self.under_way[i + 1] * factor);
        let ln = self.under_way[i].max(self.inserting * after).ln() + self.offset;
        if self.value[i] > LARGE {
            for values in [&mut self.value, &mut self.deleting, &mut self.replacing, &mut self.under_way] {
                values[i..].iter_mut().for_each(|value| *value = (*value / LARGE).max(1.0 / (LARGE * LARGE)));
            }
            self.offset += LARGE.ln();
        }
        ln
    }

    /// The share of `op`, whose spans have a factor a grapheme.
    fn spans(&self, op: Op, i: usize, factors: &[f64], reached: &[f64]) -> f64 {
        let rate = self.level.event[op as usize];
        if rate == 0.0 {
            return 0.0;
        }
        let (lengths, left) = (self.law.length(op), self.lattice.count() - i);
        let (mut sum, mut product) = (0.0, rate);
        for length in 1..=left.min(lengths.max()) {
            product *= factors[self.lattice.form(i + length - 1)];
            sum += match lengths.longest() {
                None if length == lengths.max() => lengths.at_least(length) * reached[i + length],
                _ => lengths.consumes(length, left) * self.value[i + length],
            } * product;
        }
        sum
    }
}

/// For symbols of this factor each: Σ over the lengths of an insertion, and the largest sum over what is left of one under way.
fn insertions(law: &ChannelLaw, factor: f64) -> (f64, f64) {
    let lengths = law.length(Op::Insertion);
    let tail = lengths.goes_on(lengths.max());
    let mut rest = match tail * factor {
        ratio if ratio < 1.0 => (1.0 - tail) / (1.0 - ratio),
        _ => f64::INFINITY,
    };
    let mut largest = f64::max(rest, 1.0);
    for length in (0..lengths.max()).rev() {
        let goes_on = lengths.goes_on(length);
        rest = (1.0 - goes_on) + goes_on * factor * rest;
        largest = largest.max(rest);
    }
    (rest, largest)
}
