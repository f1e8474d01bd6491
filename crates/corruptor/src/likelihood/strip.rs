//! A run of cells of one row.

use super::mass::Mass;

/// Cells at consecutive byte offsets of the corrupted text.
#[derive(Clone, Debug)]
pub(crate) struct Strip<W> {
    /// The byte offset of the first cell.
    pub(crate) from: usize,
    pub(crate) mass: Vec<W>,
}

/// What fell outside of a strip, before and after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clipped<W> {
    pub(crate) below: W,
    pub(crate) above: W,
}

impl<W: Mass> Clipped<W> {
    pub(crate) fn none() -> Self {
        Self { below: W::ZERO, above: W::ZERO }
    }
}

impl<W: Mass> Strip<W> {
    /// Nothing at the bytes `from..to`.
    pub(crate) fn zeros(from: usize, to: usize) -> Self {
        Self { from, mass: vec![W::ZERO; to - from] }
    }

    /// One past the last byte offset.
    pub(crate) fn to(&self) -> usize {
        self.from + self.mass.len()
    }

    pub(crate) fn get(&self, at: usize) -> W {
        at.checked_sub(self.from).and_then(|k| self.mass.get(k)).copied().unwrap_or(W::ZERO)
    }

    /// Σ of all cells.
    pub(crate) fn sum(&self) -> W {
        self.mass.iter().fold(W::ZERO, |sum, mass| sum.plus(*mass))
    }

    /// Σ of the products of the cells of both.
    pub(crate) fn dot(&self, other: &Self) -> W {
        let from = self.from.max(other.from);
        let cells = |strip: &'_ Self| from.saturating_sub(strip.from).min(strip.mass.len());
        let pairs = self.mass[cells(self)..].iter().zip(&other.mass[cells(other)..]);
        pairs.fold(W::ZERO, |sum, (a, b)| sum.plus(a.times(*b)))
    }

    /// Adds `mass` at `at`, or to what is clipped.
    pub(crate) fn put(&mut self, at: usize, mass: W, clipped: &mut Clipped<W>) {
        if at < self.from {
            clipped.below = clipped.below.plus(mass);
        } else if let Some(cell) = self.mass.get_mut(at - self.from) {
            *cell = cell.plus(mass);
        } else {
            clipped.above = clipped.above.plus(mass);
        }
    }

    /// Adds `factor` times `other`; what lies outside goes to what is clipped.
    pub(crate) fn add(&mut self, other: &Self, factor: W, clipped: &mut Clipped<W>) {
        if factor == W::ZERO {
            return;
        }
        let first = other.from.clamp(self.from, self.to());
        let last = other.to().clamp(first, self.to().max(first));
        let (low, high) = (first.saturating_sub(other.from), last.saturating_sub(other.from));
        let (low, high) = (low.min(other.mass.len()), high.min(other.mass.len()));
        for mass in &other.mass[..low] {
            clipped.below = clipped.below.plus(mass.times(factor));
        }
        for mass in &other.mass[high..] {
            clipped.above = clipped.above.plus(mass.times(factor));
        }
        let cells = &mut self.mass[first - self.from..];
        for (cell, mass) in cells.iter_mut().zip(&other.mass[low..high]) {
            *cell = cell.plus(mass.times(factor));
        }
    }

    /// Σ of the cells `from..to`.
    pub(crate) fn sum_of(&self, from: usize, to: usize) -> W {
        let inside = |at: usize| at.clamp(self.from, self.to()) - self.from;
        let cells = self.mass.get(inside(from)..inside(to)).unwrap_or(&[]);
        cells.iter().fold(W::ZERO, |sum, mass| sum.plus(*mass))
    }

    /// Takes away the cells from `at` on; their sum.
    pub(crate) fn split_off(&mut self, at: usize) -> W {
        let sum = self.sum_of(at, usize::MAX);
        self.mass.truncate(at.saturating_sub(self.from));
        sum
    }

    /// Takes away the cells before `at`; their sum.
    pub(crate) fn split_before(&mut self, at: usize) -> W {
        let sum = self.sum_of(0, at);
        self.keep(at, usize::MAX);
        sum
    }

    /// Drops the cells before `from` and from `to` on.
    pub(crate) fn keep(&mut self, from: usize, to: usize) {
        let from = from.clamp(self.from, self.to());
        let to = to.clamp(from, self.to());
        self.mass.truncate(to - self.from);
        self.mass.drain(..from - self.from);
        self.from = from;
    }

    /// Drops cells without mass at both ends.
    pub(crate) fn shrink(&mut self) {
        let is_some = |mass: &W| *mass != W::ZERO;
        match (self.mass.iter().position(is_some), self.mass.iter().rposition(is_some)) {
            (Some(first), Some(last)) => self.keep(self.from + first, self.from + last + 1),
            _ => self.mass.clear(),
        }
    }
}

/// The probabilities of emissions at consecutive byte offsets: a table a length of emission.
#[derive(Clone, Debug)]
pub(crate) struct Emitting<W> {
    from: usize,
    tables: Vec<Vec<W>>,
}

impl<W: Mass> Emitting<W> {
    pub(crate) fn new() -> Self {
        Self { from: 0, tables: Vec::new() }
    }

    /// Of the bytes `from..to`, by their classes; `tables` has a probability a class for each length.
    pub(crate) fn gather<'t>(
        &mut self,
        class: &[u32],
        from: usize,
        to: usize,
        tables: impl Iterator<Item = &'t [W]>,
    ) where
        W: 't,
    {
        let to = to.min(class.len());
        let classes = class.get(from..to).unwrap_or(&[]);
        self.from = from;
        let mut count = 0;
        for (index, table) in tables.enumerate() {
            if self.tables.len() == index {
                self.tables.push(Vec::new());
            }
            self.tables[index].clear();
            self.tables[index].extend(classes.iter().map(|class| table[*class as usize]));
            count = index + 1;
        }
        self.tables.truncate(count);
    }

    /// What one emission makes of `source`, into `target`; `lengths` are the bytes of each table.
    pub(crate) fn emit(&self, lengths: &[usize], source: &Strip<W>, target: &mut Strip<W>) {
        target.mass.clear();
        target.from = source.from;
        let (Some(&least), Some(&most)) = (lengths.first(), lengths.last()) else { return };
        target.from += least;
        if source.mass.is_empty() {
            return;
        }
        let skipped = source.from - self.from;
        let tables = self.tables.iter().map(|table| &table[skipped.min(table.len())..]);
        if least == most {
            for table in tables {
                target.mass.extend(source.mass.iter().zip(table).map(|(mass, p)| mass.times(*p)));
            }
            return;
        }
        target.mass.resize(source.mass.len() + most - least, W::ZERO);
        for (length, table) in lengths.iter().zip(tables) {
            for ((cell, mass), p) in target.mass[length - least..].iter_mut().zip(&source.mass).zip(table) {
                *cell = cell.plus(mass.times(*p));
            }
        }
    }

    /// What one emission leads to from each cell of `before`, where `after` says what the cell after it is worth.
    pub(crate) fn emit_into(&self, lengths: &[usize], after: &Strip<W>, before: &mut Strip<W>) {
        for (length, table) in lengths.iter().zip(&self.tables) {
            // The first cell whose emission ends in `after`, and the first past the last one.
            let from = before.from.max(self.from).max(after.from.saturating_sub(*length));
            let to = before.to().min(self.from + table.len()).min(after.to().saturating_sub(*length));
            for at in from..to.max(from) {
                let value = table[at - self.from].times(after.mass[at + length - after.from]);
                let cell = &mut before.mass[at - before.from];
                *cell = cell.plus(value);
            }
        }
    }

    /// What any number of emissions, each with the factor `again`, lead to: adds to each cell what the cells after it are worth.
    pub(crate) fn emit_on_into(&self, lengths: &[usize], again: W, strip: &mut Strip<W>) {
        for k in (0..strip.mass.len()).rev() {
            let at = strip.from + k;
            for (length, table) in lengths.iter().zip(&self.tables) {
                let p = at.checked_sub(self.from).and_then(|place| table.get(place));
                if let (Some(p), Some(after)) = (p, strip.mass.get(k + length)) {
                    let value = again.times(*p).times(*after);
                    strip.mass[k] = strip.mass[k].plus(value);
                }
            }
        }
    }

    /// What any number of emissions, each with the factor `again`, make of `strip` in the bytes before `to`; what goes on beyond is
    /// returned.
    pub(crate) fn emit_on(&self, lengths: &[usize], again: W, strip: &mut Strip<W>, to: usize) -> W {
        let mut beyond = W::ZERO;
        let from = strip.from;
        let mut k = 0;
        while k < strip.mass.len() {
            let at = from + k;
            let mass = strip.mass[k].times(again);
            if mass != W::ZERO {
                for (length, table) in lengths.iter().zip(&self.tables) {
                    let Some(p) = table.get(at - self.from) else { continue };
                    let mass = mass.times(*p);
                    if at + length >= to {
                        beyond = beyond.plus(mass);
                        continue;
                    }
                    if strip.mass.len() <= k + length {
                        strip.mass.resize(k + length + 1, W::ZERO);
                    }
                    let cell = &mut strip.mass[k + length];
                    *cell = cell.plus(mass);
                }
            }
            k += 1;
        }
        beyond
    }
}
