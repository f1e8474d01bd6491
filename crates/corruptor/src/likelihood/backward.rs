//! The backward pass: what is left of the corrupted text to be emitted, from every cell on, has this much mass.

use super::band::{Band, inserted_to};
use super::forward::Tables;
use super::lattice::Lattice;
use super::mass::Mass;
use super::strip::{Clipped, Emitting, Strip};
use crate::law::{ChannelLaw, LengthLaw, LevelLaw};
use crate::op::Op;

/// A backward pass at one noise level.
pub(crate) struct Backward<'a, W> {
    lattice: &'a Lattice<'a>,
    law: &'a ChannelLaw,
    level: LevelLaw,
    tables: &'a Tables<W>,
    band: &'a Band,
    /// The mass of an end that is reached.
    end: W,
    visited: Vec<Strip<W>>,
    /// By position, then by graphemes replaced, from 1 on.
    replacing: Vec<Vec<Strip<W>>>,
    deleting: Vec<Strip<W>>,
    emitting: Emitting<W>,
}

impl<'a, W: Mass> Backward<'a, W> {
    /// Computes everything within `band`, whose ends must never go back; an end that is reached counts `end`.
    pub(crate) fn run(
        lattice: &'a Lattice<'a>,
        law: &'a ChannelLaw,
        level: LevelLaw,
        tables: &'a Tables<W>,
        band: &'a Band,
        end: W,
    ) -> Self {
        let positions = lattice.count() + 1;
        let mut pass = Self {
            lattice,
            law,
            level,
            tables,
            band,
            end,
            visited: vec![Strip::zeros(0, 0); positions],
            replacing: vec![Vec::new(); positions],
            deleting: vec![Strip::zeros(0, 0); positions],
            emitting: Emitting::new(),
        };
        for i in (0..positions).rev() {
            pass.step(i);
        }
        pass
    }

    /// The mass of an end that is reached with nothing more to be drawn.
    pub(crate) fn end(&self) -> W {
        self.end
    }

    /// From the visited position `i` on.
    pub(crate) fn visited(&self, i: usize) -> &Strip<W> {
        &self.visited[i]
    }

    /// From a substitution on that has replaced `count` graphemes, from 1 to its maximum, the last one at position `i` − 1.
    pub(crate) fn replacing(&self, i: usize, count: usize) -> &Strip<W> {
        &self.replacing[i][count - 1]
    }

    /// From a deletion on that has reached its maximum at position `i` and may have a tail.
    pub(crate) fn deleting(&self, i: usize) -> &Strip<W> {
        &self.deleting[i]
    }

    /// From an insertion at position `i` on that has put in 0, 1, … symbols, to its maximum.
    pub(crate) fn inserting(&mut self, i: usize) -> Vec<Strip<W>> {
        let (lattice, lengths) = (self.lattice, self.law.length(Op::Insertion));
        let (from, to) = (self.band[i].0, inserted_to(lattice, self.band, i));
        let mut ended = Strip::zeros(from, to.max(from));
        if i == lattice.count() {
            ended.put(lattice.corrupted.len(), self.end, &mut Clipped::none());
        } else {
            let bytes = lattice.start(i + 1) - lattice.start(i);
            for &at in lattice.standing(i, from..ended.to()) {
                let copied = self.visited[i + 1].get(at as usize + bytes);
                ended.put(at as usize, copied, &mut Clipped::none());
            }
        }
        let tables = self.tables.insertion.iter().map(Vec::as_slice);
        self.emitting.gather(lattice.emissions.class(), from, ended.to(), tables);
        let bytes = lattice.emissions.lengths();
        let mut last = scaled(&ended, 1.0 - lengths.goes_on(lengths.max()));
        if lengths.longest().is_none() {
            self.emitting.emit_on_into(bytes, W::of(lengths.goes_on(lengths.max())), &mut last);
        }
        let mut counts = vec![last];
        for count in (0..lengths.max()).rev() {
            let mut emitted = Strip::zeros(ended.from, ended.to());
            self.emitting.emit_into(bytes, &counts[counts.len() - 1], &mut emitted);
            counts.push(if count == 0 { emitted } else { either(&ended, &emitted, lengths, count) });
        }
        counts.reverse();
        counts
    }

    fn step(&mut self, i: usize) {
        let (n, (from, to)) = (self.lattice.count(), self.band[i]);
        let mut strip = Strip::zeros(from, to);
        let is_on = |op: Op| self.level.event[op as usize] > 0.0;
        let insertion = self.level.event[Op::Insertion as usize];
        if is_on(Op::Insertion) {
            let inserted = self.inserting(i).swap_remove(0);
            strip.add(&inserted, W::of(insertion), &mut Clipped::none());
        }
        if i == n {
            let end = W::of(self.level.end).times(self.end);
            strip.put(self.lattice.corrupted.len(), end, &mut Clipped::none());
        } else {
            self.copy(i, &mut strip);
            self.moves(i, &mut strip);
            self.delete(i, &mut strip);
        }
        let replaced = self.replace(i, &mut strip);
        let lengths = self.law.length(Op::Substitution);
        self.replacing[i] = if i == n {
            vec![strip.clone(); lengths.max()]
        } else {
            let last = replaced.len().saturating_sub(1);
            let after = |count: usize| either(&strip, &replaced[count.min(last)], lengths, count);
            (1..=replaced.len()).map(after).collect()
        };
        let lengths = self.law.length(Op::Deletion);
        if self.level.event[Op::Deletion as usize] > 0.0 && lengths.longest().is_none() {
            let goes_on = if i == n { 0.0 } else { lengths.goes_on(lengths.max()) };
            self.deleting[i] = scaled(&strip, 1.0 - goes_on);
            if i < n {
                let (before, after) = self.deleting.split_at_mut(i + 1);
                before[i].add(&after[0], W::of(goes_on), &mut Clipped::none());
            }
        }
        self.visited[i] = strip;
    }

    fn copy(&self, i: usize, strip: &mut Strip<W>) {
        let bytes = self.lattice.start(i + 1) - self.lattice.start(i);
        let substitution = self.level.event[Op::Substitution as usize];
        let copy = self.level.copy + if self.lattice.is_unconfused(i) { substitution } else { 0.0 };
        for &at in self.lattice.standing(i, strip.from..strip.to()) {
            let after = self.visited[i + 1].get(at as usize + bytes);
            strip.put(at as usize, after.times(W::of(copy)), &mut Clipped::none());
        }
    }

    fn moves(&self, i: usize, strip: &mut Strip<W>) {
        for one in self.lattice.moves(i) {
            let p = W::of(self.level.event[one.op as usize] * one.p);
            let after = &self.visited[one.to];
            if one.emitted == 0 {
                strip.add(after, p, &mut Clipped::none());
                continue;
            }
            for &at in self.lattice.places_of(one, strip.from..strip.to()) {
                let after = after.get(at as usize + one.emitted);
                strip.put(at as usize, after.times(p), &mut Clipped::none());
            }
        }
    }

    fn delete(&self, i: usize, strip: &mut Strip<W>) {
        let rate = self.level.event[Op::Deletion as usize];
        let (lengths, left) = (self.law.length(Op::Deletion), self.lattice.count() - i);
        if rate == 0.0 {
            return;
        }
        for length in 1..=lengths.max().min(left) {
            let (after, p) = match lengths.longest() {
                None if length == lengths.max() => (&self.deleting[i + length], lengths.at_least(length)),
                _ => (&self.visited[i + length], lengths.consumes(length, left)),
            };
            strip.add(after, W::of(rate * p), &mut Clipped::none());
        }
    }

    /// Adds the substitutions that start at `i`; returns what replacing grapheme `i` as the 1st, 2nd, … of a span leads to.
    fn replace(&mut self, i: usize, strip: &mut Strip<W>) -> Vec<Strip<W>> {
        let rate = self.level.event[Op::Substitution as usize];
        if rate == 0.0 || self.law.confusions().is_some() || i == self.lattice.count() {
            return Vec::new();
        }
        let lattice = self.lattice;
        let (from, to) = self.band[i];
        let table = &self.tables.substitution[lattice.form(i)];
        self.emitting.gather(lattice.emissions.class(), from, to, table.iter().map(Vec::as_slice));
        let emitted = |after: &Strip<W>| {
            let mut emitted = Strip::zeros(from, to);
            self.emitting.emit_into(lattice.emissions.lengths(), after, &mut emitted);
            emitted
        };
        let replaced: Vec<_> = self.replacing[i + 1].iter().map(emitted).collect();
        strip.add(&replaced[0], W::of(rate), &mut Clipped::none());
        replaced
    }
}

/// `strip`, each cell times `factor`.
fn scaled<W: Mass>(strip: &Strip<W>, factor: f64) -> Strip<W> {
    let factor = W::of(factor);
    Strip { from: strip.from, mass: strip.mass.iter().map(|mass| mass.times(factor)).collect() }
}

/// A span of `count` that ends here, or goes on with what is `emitted`.
fn either<W: Mass>(ended: &Strip<W>, emitted: &Strip<W>, lengths: LengthLaw, count: usize) -> Strip<W> {
    let goes_on = lengths.goes_on(count);
    let mut strip = scaled(ended, 1.0 - goes_on);
    strip.add(emitted, W::of(goes_on), &mut Clipped::none());
    strip
}
