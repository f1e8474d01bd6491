//! The expected counts of a pair, from a backward pass and a forward pass that meets it.

use super::backward::Backward;
use super::band::rising;
use super::counts::{ExpectedCounts, LevelCounts, SpanCounts};
use super::forward::{Forward, Stage, Tables};
use super::lattice::Lattice;
use super::mass::{Mass, Wide};
use super::strip::Strip;
use super::{Certified, Likelihood, SMALLEST_LN};
use crate::law::{ChannelLaw, LevelLaw};
use crate::op::Op;

/// What a band may leave out, relative to what it holds.
const TOLERANCE: f64 = 1e-9;

impl Likelihood {
    /// What is expected to have been drawn where `original` became `corrupted`; `None` if the channel cannot do that.
    ///
    /// This is the expectation step of expectation–maximization (Dempster, Laird and Rubin 1977), by the forward–backward
    /// algorithm. Cells that hold less than 10⁻⁹ of the probability are left out.
    pub fn expect(&self, original: &str, corrupted: &str) -> Option<ExpectedCounts> {
        let certified = self.certified(original, corrupted, TOLERANCE.ln())?;
        let mut counts = ExpectedCounts {
            pairs: 1,
            graphemes: certified.lattice.count() as u64 + 1,
            ln_probability: certified.ln,
            clean: (self.ln_clean(original, corrupted) - certified.ln).exp(),
            ..ExpectedCounts::none(certified.levels.len())
        };
        if certified.ln > SMALLEST_LN {
            self.expect_in::<f64>(&certified, &mut counts);
        } else {
            self.expect_in::<Wide>(&certified, &mut counts);
        }
        Some(counts)
    }

    pub(super) fn expect_in<W: Mass>(&self, certified: &Certified<'_>, counts: &mut ExpectedCounts) {
        let lattice = &certified.lattice;
        let tables = Tables::<W>::new(lattice);
        let mut symbols = Symbols::new(lattice);
        for (index, (ln, extents)) in certified.levels.iter().zip(&certified.extents).enumerate() {
            let ln_weight = self.ln_level() - certified.ln;
            if ln + ln_weight < TOLERANCE.ln() {
                continue;
            }
            let level = self.law.at_level(self.law.settings().levels[index]);
            let band = rising(extents);
            let end = W::exp(ln_weight);
            let backward = Backward::run(lattice, &self.law, level, &tables, &band, end);
            let mut counting = Counting {
                lattice,
                law: &self.law,
                level,
                tables: &tables,
                backward,
                inserting: Vec::new(),
                counts: LevelCounts::default(),
                spans: &mut counts.spans,
                symbols: &mut symbols,
            };
            let mut visit = |stage: Stage, i: usize, strip: &Strip<W>| counting.visit(stage, i, strip);
            Forward::new(lattice, &self.law, level, &tables, &band).run(Some(&mut visit));
            counts.levels[index] = counting.counts;
        }
        symbols.name(lattice, &self.law, counts);
    }
}

/// Expected emissions by length in bytes, then by class of offset.
type ByLength<W> = Vec<Vec<W>>;

struct Symbols<W> {
    inserted: ByLength<W>,
    /// By form.
    substituted: Vec<ByLength<W>>,
}

impl<W: Mass> Symbols<W> {
    fn new(lattice: &Lattice<'_>) -> Self {
        let emissions = &lattice.emissions;
        let lengths = 0..emissions.lengths().len();
        let empty: ByLength<W> =
            lengths.map(|index| vec![W::ZERO; emissions.insertion(index).len()]).collect();
        Self { substituted: vec![empty.clone(); lattice.forms().len()], inserted: empty }
    }

    /// Says which symbols they are, and leaves out what an escape emitted.
    fn name(&self, lattice: &Lattice<'_>, law: &ChannelLaw, counts: &mut ExpectedCounts) {
        let emissions = &lattice.emissions;
        let keep = 1.0 - law.settings().escape;
        let named =
            |counts: &ByLength<W>, probability: &dyn Fn(usize, usize) -> f64, share: &dyn Fn(&str) -> f64| {
                let mut named = std::collections::BTreeMap::new();
                for (index, (counts, length)) in counts.iter().zip(emissions.lengths()).enumerate() {
                    for (class, count) in counts.iter().enumerate().filter(|(_, count)| **count != W::ZERO) {
                        let at = emissions.example(class);
                        let symbol = &lattice.corrupted[at..at + length];
                        let of_alphabet = keep * share(symbol) / probability(index, class);
                        if of_alphabet > 0.0 {
                            *named.entry(symbol.to_owned()).or_default() += count.value() * of_alphabet;
                        }
                    }
                }
                named
            };
        counts.inserted =
            named(&self.inserted, &|index, class| emissions.insertion(index)[class], &|symbol| {
                law.alphabet().probability(symbol)
            });
        for (form, (grapheme, substituted)) in lattice.forms().iter().zip(&self.substituted).enumerate() {
            let found = named(
                substituted,
                &|index, class| emissions.substitution(form, index)[class],
                // What has no other symbol stays itself, which draws nothing.
                &|symbol| {
                    if symbol == *grapheme {
                        0.0
                    } else {
                        law.alphabet().probability_unlike(symbol, grapheme)
                    }
                },
            );
            if !found.is_empty() {
                counts.substituted.insert((*grapheme).to_owned(), found);
            }
        }
    }
}

/// A forward pass that counts what it meets.
struct Counting<'a, W> {
    lattice: &'a Lattice<'a>,
    law: &'a ChannelLaw,
    level: LevelLaw,
    tables: &'a Tables<W>,
    backward: Backward<'a, W>,
    /// What insertions at the current position lead to.
    inserting: Vec<Strip<W>>,
    counts: LevelCounts,
    spans: &'a mut [SpanCounts; 5],
    symbols: &'a mut Symbols<W>,
}

impl<W: Mass> Counting<'_, W> {
    fn visit(&mut self, stage: Stage, i: usize, strip: &Strip<W>) {
        match stage {
            Stage::Visited if i == self.lattice.count() => self.at_end(i, strip),
            Stage::Visited => {
                self.counts.visited += strip.dot(self.backward.visited(i)).value();
                self.inserting = self.backward.inserting(i);
                self.unconfused(i, strip);
                self.moves(i, strip);
                self.deletions(i, strip);
            }
            Stage::Inserting(count) => self.inserted(count, strip),
            Stage::Replacing(count) => self.replaced(count, i, strip),
        }
    }

    /// At the end of the text, an attempt of anything but an insertion looks like none.
    fn at_end(&mut self, i: usize, strip: &Strip<W>) {
        self.counts.visited += strip.dot(self.backward.visited(i)).value();
        self.inserting = self.backward.inserting(i);
        let ended = strip.get(self.lattice.corrupted.len()).times(self.backward.end()).value();
        for op in Op::ALL.into_iter().filter(|op| *op != Op::Insertion) {
            self.counts.attempted[op as usize] += ended * self.level.event[op as usize];
        }
    }

    /// Where no row of the confusion table matches, a substitution looks like a copy.
    fn unconfused(&mut self, i: usize, strip: &Strip<W>) {
        let rate = self.level.event[Op::Substitution as usize];
        if rate == 0.0 || !self.lattice.is_unconfused(i) {
            return;
        }
        let bytes = self.lattice.start(i + 1) - self.lattice.start(i);
        let after = self.backward.visited(i + 1);
        let copied = self.lattice.standing(i, strip.from..strip.to()).iter().map(|at| *at as usize);
        let copied = copied.fold(W::ZERO, |sum, at| sum.plus(strip.get(at).times(after.get(at + bytes))));
        self.counts.attempted[Op::Substitution as usize] += copied.value() * rate;
    }

    fn moves(&mut self, i: usize, strip: &Strip<W>) {
        let left = self.lattice.count() - i;
        for one in self.lattice.moves(i) {
            let after = self.backward.visited(one.to);
            let sum = if one.emitted == 0 {
                strip.dot(after)
            } else {
                let places =
                    self.lattice.places_of(one, strip.from..strip.to()).iter().map(|at| *at as usize);
                places.fold(W::ZERO, |sum, at| sum.plus(strip.get(at).times(after.get(at + one.emitted))))
            };
            let expected = sum.value() * self.level.event[one.op as usize] * one.p;
            self.counts.attempted[one.op as usize] += expected;
            if one.op != Op::Substitution {
                self.span(one.op, one.to - i, left, expected);
            }
        }
    }

    fn deletions(&mut self, i: usize, strip: &Strip<W>) {
        let rate = self.level.event[Op::Deletion as usize];
        if rate == 0.0 {
            return;
        }
        let (lengths, left) = (self.law.length(Op::Deletion), self.lattice.count() - i);
        for length in 1..=lengths.max().min(left) {
            let (after, p) = match lengths.longest() {
                None if length == lengths.max() => {
                    (self.backward.deleting(i + length), lengths.at_least(length))
                }
                _ => (self.backward.visited(i + length), lengths.consumes(length, left)),
            };
            let expected = strip.dot(after).value() * rate * p;
            self.counts.attempted[Op::Deletion as usize] += expected;
            self.span(Op::Deletion, length, left, expected);
        }
    }

    /// Counts spans of `length` where `left` graphemes are left.
    fn span(&mut self, op: Op, length: usize, left: usize, expected: f64) {
        let lengths = self.law.length(op);
        let span = &mut self.spans[op as usize];
        span.went_on += expected * length.min(lengths.max()).saturating_sub(lengths.shortest()) as f64;
        if length < left.min(lengths.max()) {
            span.stopped += expected;
        }
    }

    /// Insertions that have put in `count` symbols put in another one.
    fn inserted(&mut self, count: usize, strip: &Strip<W>) {
        let lengths = self.law.length(Op::Insertion);
        let factor = self.level.event[Op::Insertion as usize] * lengths.at_least(count + 1);
        let after = &self.inserting[(count + 1).min(lengths.max())];
        let expected =
            emitted(self.lattice, &self.tables.insertion, strip, after, factor, &mut self.symbols.inserted);
        self.count(Op::Insertion, count, expected);
        // Every insertion ends before the maximum, but for those that reach it.
        let span = &mut self.spans[Op::Insertion as usize];
        span.stopped += if count == 0 { expected } else { 0.0 };
        span.stopped -= if count + 1 == lengths.max() { expected } else { 0.0 };
    }

    /// Substitutions that have replaced `count` graphemes replace grapheme `i`, too.
    fn replaced(&mut self, count: usize, i: usize, strip: &Strip<W>) {
        let lengths = self.law.length(Op::Substitution);
        let (rate, form) = (self.level.event[Op::Substitution as usize], self.lattice.form(i));
        if count > 0 && count < lengths.max() {
            let p = lengths.at_least(count) * (1.0 - lengths.goes_on(count));
            let ended = strip.dot(self.backward.visited(i)).value();
            self.spans[Op::Substitution as usize].stopped += rate * p * ended;
        }
        let factor = rate * lengths.at_least(count + 1);
        let after = self.backward.replacing(i + 1, (count + 1).min(lengths.max()));
        let (table, into) = (&self.tables.substitution[form], &mut self.symbols.substituted[form]);
        let expected = emitted(self.lattice, table, strip, after, factor, into);
        self.count(Op::Substitution, count, expected);
    }

    /// Counts what goes on after `count` symbols.
    fn count(&mut self, op: Op, count: usize, expected: f64) {
        if count == 0 {
            self.counts.attempted[op as usize] += expected;
        } else if count < self.law.length(op).max() {
            self.spans[op as usize].went_on += expected;
        }
    }
}

/// Adds `factor` times what one emission between the cells of two strips has to `into`; its sum.
fn emitted<W: Mass>(
    lattice: &Lattice<'_>,
    tables: &[Vec<W>],
    before: &Strip<W>,
    after: &Strip<W>,
    factor: f64,
    into: &mut ByLength<W>,
) -> f64 {
    let (class, factor) = (lattice.emissions.class(), W::of(factor));
    let mut sum = W::ZERO;
    for ((length, table), into) in lattice.emissions.lengths().iter().zip(tables).zip(into) {
        let from = before.from.max(after.from.saturating_sub(*length));
        let to = before.to().min(after.to().saturating_sub(*length)).min(class.len());
        for at in from..to.max(from) {
            let cell = before.mass[at - before.from].times(after.mass[at + length - after.from]);
            let class = class[at] as usize;
            let expected = cell.times(table[class]).times(factor);
            into[class] = into[class].plus(expected);
            sum = sum.plus(expected);
        }
    }
    sum.value()
}
