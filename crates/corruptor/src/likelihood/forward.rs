//! The forward pass: the mass of every cell (grapheme position, byte offset) within a band.

use super::band::{Band, centre, inserted_to};
use super::bound::Bound;
use super::lattice::Lattice;
use super::mass::{Mass, Wide};
use super::strip::{Clipped, Emitting, Strip};
use crate::law::{ChannelLaw, LevelLaw};
use crate::op::Op;

/// Bounds what a band leaves out, and narrows it where that costs next to nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard<'a> {
    pub(crate) bound: &'a Bound,
    /// ln of how much may be lost at each end of each row.
    pub(crate) ln_allowed: f64,
}

/// What the cells of a strip have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// A copy, or any event, may start.
    Visited,
    /// An insertion has put in so many symbols; the one at its maximum also more.
    Inserting(usize),
    /// A substitution has replaced so many graphemes; the one at its maximum also more.
    Replacing(usize),
}

/// The cells from which something is emitted, as a pass comes by, with their position.
pub(crate) type Visit<'a, W> = &'a mut dyn FnMut(Stage, usize, &Strip<W>);

/// What a pass has found.
#[derive(Clone, Debug)]
pub(crate) struct Pass<W> {
    /// Mass of the corrupted text.
    pub(crate) total: W,
    /// Upper bound of the mass outside the cells computed.
    pub(crate) lost: Wide,
    /// The largest distance of a cell with mass from the straight line, in bytes.
    pub(crate) half_width: usize,
    /// From where to where there is mass at each position.
    pub(crate) extents: Band,
    /// The cells at each position, without those whose loss is counted. Earlier rows are there if they were to be kept.
    pub(crate) rows: Vec<Strip<W>>,
}

/// The probabilities of emissions as masses.
pub(crate) struct Tables<W> {
    pub(crate) insertion: Vec<Vec<W>>,
    /// By form, then by length.
    pub(crate) substitution: Vec<Vec<Vec<W>>>,
}

impl<W: Mass> Tables<W> {
    pub(crate) fn new(lattice: &Lattice<'_>) -> Self {
        let emissions = &lattice.emissions;
        let masses = |table: &[f64]| table.iter().map(|p| W::of(*p)).collect::<Vec<W>>();
        let indices = 0..emissions.lengths().len();
        let of_form =
            |form| indices.clone().map(|index| masses(emissions.substitution(form, index))).collect();
        Self {
            insertion: indices.clone().map(|index| masses(emissions.insertion(index))).collect(),
            substitution: (0..lattice.forms().len()).map(of_form).collect(),
        }
    }
}

/// A forward pass at one noise level.
pub(crate) struct Forward<'a, W> {
    lattice: &'a Lattice<'a>,
    law: &'a ChannelLaw,
    level: LevelLaw,
    tables: &'a Tables<W>,
    band: &'a Band,
    guard: Option<Guard<'a>>,
    /// Whether all rows are kept, or those only that a deletion can come from.
    keep: bool,
    pass: Pass<W>,
    clipped: Clipped<W>,
    emitting: Emitting<W>,
    /// Substitutions under way that have replaced 1, 2, … graphemes, the last one also more.
    replacing: Vec<Strip<W>>,
    /// Deletions under way that have reached their maximum, where there is a tail.
    deleting: Strip<W>,
    /// What moves bring to later positions.
    coming: Vec<Vec<(usize, W)>>,
    spare: Vec<Vec<W>>,
}

impl<'a, W: Mass> Forward<'a, W> {
    pub(crate) fn new(
        lattice: &'a Lattice<'a>,
        law: &'a ChannelLaw,
        level: LevelLaw,
        tables: &'a Tables<W>,
        band: &'a Band,
    ) -> Self {
        Self {
            lattice,
            law,
            level,
            tables,
            band,
            guard: None,
            keep: false,
            pass: Pass {
                total: W::ZERO,
                lost: Wide::ZERO,
                half_width: 0,
                extents: Vec::with_capacity(lattice.count() + 1),
                rows: Vec::with_capacity(lattice.count() + 1),
            },
            clipped: Clipped::none(),
            emitting: Emitting::new(),
            replacing: Vec::new(),
            deleting: Strip::zeros(0, 0),
            coming: vec![Vec::new(); lattice.count() + 1],
            spare: Vec::new(),
        }
    }

    /// Bounds what is lost, and narrows the band.
    pub(crate) fn guarded(mut self, guard: Guard<'a>) -> Self {
        self.guard = Some(guard);
        self
    }

    /// Keeps the masses of all rows.
    pub(crate) fn keeping(mut self) -> Self {
        self.keep = true;
        self
    }

    /// Computes everything; `visit` sees every strip from which something is emitted.
    pub(crate) fn run(mut self, mut visit: Option<Visit<'_, W>>) -> Pass<W> {
        let n = self.lattice.count();
        let mut row = self.zeros(0);
        row.put(0, W::of(1.0), &mut Clipped::none());
        for i in 0..=n {
            self.finish(i, &mut row);
            if let Some(visit) = &mut visit {
                visit(Stage::Visited, i, &row);
            }
            let inserted = self.insert(i, &row, &mut visit);
            if i == n {
                let end = self.lattice.corrupted.len();
                let rate = W::of(self.level.event[Op::Insertion as usize]);
                self.pass.total =
                    row.get(end).times(W::of(self.level.end)).plus(inserted.get(end).times(rate));
                self.pass.rows.push(row);
                break;
            }
            self.start_moves(i, &row);
            let mut next = self.zeros(i + 1);
            self.copy(i, &row, &inserted, &mut next);
            self.spare.push(inserted.mass);
            self.substitute(i, &row, &mut next, &mut visit);
            self.pass.rows.push(row);
            self.delete_to(i + 1, &mut next);
            for (at, mass) in std::mem::take(&mut self.coming[i + 1]) {
                next.put(at, mass, &mut self.clipped);
            }
            row = next;
        }
        self.pass
    }

    fn zeros(&mut self, i: usize) -> Strip<W> {
        let (from, to) = self.band[i];
        let mut mass = self.spare.pop().unwrap_or_default();
        mass.clear();
        mass.resize(to - from, W::ZERO);
        Strip { from, mass }
    }

    /// Counts what the band has cut off from row `i`, and narrows the row.
    fn finish(&mut self, i: usize, row: &mut Strip<W>) {
        let clipped = std::mem::replace(&mut self.clipped, Clipped::none());
        row.shrink();
        if let Some(guard) = self.guard {
            self.guard(i, row, clipped, guard);
        }
        self.pass.extents.push((row.from, row.to()));
    }

    fn guard(&mut self, i: usize, row: &mut Strip<W>, clipped: Clipped<W>, guard: Guard<'_>) {
        let (from, to) = self.band[i];
        self.lose(clipped.below, || guard.bound.up_to(i, from.cast_signed() - 1));
        self.lose(clipped.above, || guard.bound.from(i, to.cast_signed()));
        if guard.ln_allowed > f64::NEG_INFINITY {
            self.narrow(i, row, guard);
        }
        if self.lattice.cut(i).next().is_some() {
            let beyond = self.lattice.longest_move + 1;
            let longer = |op| self.level.event[op as usize] * self.law.length(op).at_least(beyond);
            let share: f64 = self.lattice.cut(i).map(longer).sum();
            self.lose(row.sum().times(W::of(share)), || 0.0);
        }
        let centre = centre(self.lattice, i);
        let farthest = centre.abs_diff(row.from).max(centre.abs_diff(row.to().saturating_sub(1)));
        if !row.mass.is_empty() {
            self.pass.half_width = self.pass.half_width.max(farthest);
        }
    }

    fn lose(&mut self, mass: W, ln_bound: impl FnOnce() -> f64) {
        if mass != W::ZERO {
            self.pass.lost = self.pass.lost.plus(Wide::exp(mass.ln() + ln_bound()));
        }
    }

    /// Drops cells at both ends whose loss is allowed.
    fn narrow(&mut self, i: usize, row: &mut Strip<W>, guard: Guard<'_>) {
        let (mut from, mut to) = (row.from, row.to());
        let mut ln_lost = [f64::NEG_INFINITY; 2];
        let mut dropped = W::ZERO;
        // Many cells at a time while that goes well, then few.
        for step in [16, 4] {
            while to - from > step {
                let k = from - row.from;
                let more = row.mass[k..k + step].iter().fold(dropped, |sum, mass| sum.plus(*mass));
                let ln = more.ln() + guard.bound.up_to(i, (from + step - 1).cast_signed());
                if ln > guard.ln_allowed {
                    break;
                }
                (from, dropped, ln_lost[0]) = (from + step, more, ln);
            }
        }
        dropped = W::ZERO;
        for step in [16, 4] {
            while to - from > step {
                let k = to - row.from;
                let more = row.mass[k - step..k].iter().fold(dropped, |sum, mass| sum.plus(*mass));
                let ln = more.ln() + guard.bound.from(i, (to - step).cast_signed());
                if ln > guard.ln_allowed {
                    break;
                }
                (to, dropped, ln_lost[1]) = (to - step, more, ln);
            }
        }
        for ln in ln_lost.into_iter().filter(|ln| *ln > f64::NEG_INFINITY) {
            self.pass.lost = self.pass.lost.plus(Wide::exp(ln));
        }
        row.keep(from, to);
        row.shrink();
    }

    /// What insertions at `i` make of the row: mass by the byte after the last symbol, without the rate.
    fn insert(&mut self, i: usize, row: &Strip<W>, visit: &mut Option<Visit<'_, W>>) -> Strip<W> {
        let rate = self.level.event[Op::Insertion as usize];
        let mut inserted = Strip { from: row.from, mass: self.spare.pop().unwrap_or_default() };
        inserted.mass.clear();
        if rate == 0.0 || row.mass.is_empty() {
            return inserted;
        }
        let lattice = self.lattice;
        let (lengths, bytes) = (self.law.length(Op::Insertion), lattice.emissions.lengths());
        let to = inserted_to(lattice, self.band, i);
        inserted.mass.resize(to.max(row.from) - row.from, W::ZERO);
        self.emitting.gather(
            lattice.emissions.class(),
            row.from,
            to,
            self.tables.insertion.iter().map(Vec::as_slice),
        );
        let mut clipped: Clipped<W> = Clipped::none();
        let mut source = Strip { from: row.from, mass: self.spare.pop().unwrap_or_default() };
        source.mass.clone_from(&row.mass);
        let mut target = Strip { from: 0, mass: self.spare.pop().unwrap_or_default() };
        for length in 1..=lengths.max() {
            if let Some(visit) = visit {
                visit(Stage::Inserting(length - 1), i, &source);
            }
            self.emitting.emit(bytes, &source, &mut target);
            std::mem::swap(&mut source, &mut target);
            // Beyond the band it is all lost, whether it would have ended or gone on.
            let mut beyond = source.split_off(to);
            if length == lengths.max() && lengths.longest().is_none() {
                beyond = beyond.plus(self.emitting.emit_on(
                    bytes,
                    W::of(lengths.goes_on(length)),
                    &mut source,
                    to,
                ));
                if let Some(visit) = visit {
                    visit(Stage::Inserting(length), i, &source);
                }
            }
            clipped.above = clipped.above.plus(beyond.times(W::of(lengths.at_least(length))));
            source.shrink();
            if source.mass.is_empty() {
                break;
            }
            inserted.add(&source, W::of(lengths.probability(length)), &mut clipped);
        }
        if let Some(guard) = self.guard {
            self.lose(clipped.above.times(W::of(rate)), || guard.bound.from(i, to.cast_signed()));
        }
        self.spare.push(source.mass);
        self.spare.push(target.mass);
        inserted
    }

    /// Grapheme `i` is copied, as it is or after an insertion.
    fn copy(&mut self, i: usize, row: &Strip<W>, inserted: &Strip<W>, next: &mut Strip<W>) {
        let lattice = self.lattice;
        let bytes = lattice.start(i + 1) - lattice.start(i);
        let event = self.level.event;
        let unconfused = if lattice.is_unconfused(i) { event[Op::Substitution as usize] } else { 0.0 };
        let copy = W::of(self.level.copy + unconfused);
        for &at in lattice.standing(i, row.from..row.to()) {
            let at = at as usize;
            next.put(at + bytes, row.mass[at - row.from].times(copy), &mut self.clipped);
        }
        let rate = W::of(event[Op::Insertion as usize]);
        for &at in lattice.standing(i, inserted.from..inserted.to()) {
            let at = at as usize;
            next.put(at + bytes, inserted.mass[at - inserted.from].times(rate), &mut self.clipped);
        }
    }

    /// Duplications, reversals and confusions that start at `i`.
    fn start_moves(&mut self, i: usize, row: &Strip<W>) {
        for one in self.lattice.moves(i) {
            let p = W::of(self.level.event[one.op as usize] * one.p);
            let coming = &mut self.coming[one.to];
            if one.emitted == 0 {
                coming.extend((row.from..).zip(&row.mass).map(|(at, mass)| (at, mass.times(p))));
                continue;
            }
            for &at in self.lattice.places_of(one, row.from..row.to()) {
                let at = at as usize;
                coming.push((at + one.emitted, row.mass[at - row.from].times(p)));
            }
        }
    }

    /// Substitutions of grapheme `i`, and their shares that end after it.
    fn substitute(
        &mut self,
        i: usize,
        row: &Strip<W>,
        next: &mut Strip<W>,
        visit: &mut Option<Visit<'_, W>>,
    ) {
        let rate = self.level.event[Op::Substitution as usize];
        if rate == 0.0 || self.law.confusions().is_some() {
            return;
        }
        let lattice = self.lattice;
        let (lengths, bytes) = (self.law.length(Op::Substitution), lattice.emissions.lengths());
        let sources = || self.replacing.iter().chain(std::iter::once(row)).filter(|s| !s.mass.is_empty());
        let from = sources().map(|source| source.from).min().unwrap_or(0);
        let to = sources().map(Strip::to).max().unwrap_or(0);
        let table = &self.tables.substitution[lattice.form(i)];
        self.emitting.gather(lattice.emissions.class(), from, to, table.iter().map(Vec::as_slice));
        // The longest first: each takes what the next shorter one has reached.
        let mut grown = Vec::with_capacity(self.replacing.len() + 1);
        for (length, source) in (1..).zip(std::iter::once(row).chain(&self.replacing)) {
            let is_last = length > lengths.max();
            if let Some(visit) = visit
                && (!is_last || lengths.longest().is_none())
            {
                visit(Stage::Replacing(length - 1), i, source);
            }
            if is_last && lengths.longest().is_some() {
                break;
            }
            let mut target = Strip { from: 0, mass: self.spare.pop().unwrap_or_default() };
            self.emitting.emit(bytes, source, &mut target);
            if is_last {
                let again = W::of(lengths.goes_on(length));
                let last: &mut Strip<W> = &mut grown[lengths.max() - 1];
                *last = union(last, &target, again);
            } else {
                grown.push(target);
            }
        }
        for strip in std::mem::replace(&mut self.replacing, grown) {
            self.spare.push(strip.mass);
        }
        let (at_end, (from, to)) = (i + 1 == lattice.count(), self.band[i + 1]);
        for (length, strip) in (1..).zip(&mut self.replacing) {
            strip.shrink();
            let p = if at_end { lengths.at_least(length) } else { lengths.probability(length) };
            // Outside the band it is all lost, whether it would have ended or gone on.
            let all = W::of(rate * lengths.at_least(length));
            self.clipped.above = self.clipped.above.plus(strip.split_off(to).times(all));
            self.clipped.below = self.clipped.below.plus(strip.split_before(from).times(all));
            next.add(strip, W::of(rate * p), &mut Clipped::none());
        }
    }

    /// Deletions that end before position `i`.
    fn delete_to(&mut self, i: usize, next: &mut Strip<W>) {
        let rate = self.level.event[Op::Deletion as usize];
        let lengths = self.law.length(Op::Deletion);
        if rate == 0.0 {
            return self.forget(i, 1);
        }
        let at_end = i == self.lattice.count();
        // Cells that the band passes here are lost with all deletions that have come this far.
        let (before, from) = (self.band[i - 1].0, self.band[i].0);
        let mut clipped: Clipped<W> = Clipped::none();
        for length in 1..=lengths.max().min(i) {
            let source = &self.pass.rows[i - length];
            if length == lengths.max() && lengths.longest().is_none() {
                let mut source = source.clone();
                source.split_before(before);
                self.deleting = union(&self.deleting, &source, W::of(1.0));
                continue;
            }
            let p = if at_end { lengths.at_least(length) } else { lengths.probability(length) };
            next.add(source, W::of(rate * p), &mut Clipped::none());
            let passed = source.sum_of(before, from).times(W::of(rate * lengths.at_least(length)));
            clipped.below = clipped.below.plus(passed);
        }
        if lengths.longest().is_none() {
            let tail = lengths.goes_on(lengths.max());
            let all = W::of(rate * lengths.at_least(lengths.max()));
            clipped.below = clipped.below.plus(self.deleting.split_before(from).times(all));
            let stop = W::of(if at_end { 1.0 } else { 1.0 - tail });
            next.add(&self.deleting, all.times(stop), &mut clipped);
            self.deleting.mass.iter_mut().for_each(|mass| *mass = mass.times(W::of(tail)));
        }
        self.clipped.below = self.clipped.below.plus(clipped.below);
        self.clipped.above = self.clipped.above.plus(clipped.above);
        self.forget(i, lengths.max());
    }

    /// Frees the row that no deletion to a position after `i` can come from.
    fn forget(&mut self, i: usize, longest: usize) {
        if self.keep {
            return;
        }
        if let Some(row) = i.checked_sub(longest).and_then(|oldest| self.pass.rows.get_mut(oldest)) {
            self.spare.push(std::mem::take(&mut row.mass));
        }
    }
}

/// `a` and `factor` times `b`, over the bytes of both.
fn union<W: Mass>(a: &Strip<W>, b: &Strip<W>, factor: W) -> Strip<W> {
    if b.mass.is_empty() {
        return a.clone();
    }
    if a.mass.is_empty() {
        return Strip { from: b.from, mass: b.mass.iter().map(|mass| mass.times(factor)).collect() };
    }
    let mut sum = Strip::zeros(a.from.min(b.from), a.to().max(b.to()));
    sum.add(a, W::of(1.0), &mut Clipped::none());
    sum.add(b, factor, &mut Clipped::none());
    sum
}
