//! The walk back through the edit matrix, with few of its columns in memory.

use std::ops::Range;

use super::band::{Band, Column, Places};

/// A run of changed symbols: these of one text stand where those of the other stood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) from: Range<usize>,
    pub(super) to: Range<usize>,
}

/// What changes between two texts that are `edits` apart, in order.
///
/// A first pass keeps every √n-th column; the walk back computes the columns between two of them anew.
pub(super) fn changes(from: &[u32], to: &[u32], edits: usize) -> Vec<Changed> {
    if from.is_empty() || to.is_empty() {
        let all = Changed { from: 0..from.len(), to: 0..to.len() };
        return if from.len() + to.len() == 0 { Vec::new() } else { vec![all] };
    }
    let band = Band { rows: from.len(), edits };
    let places = Places::of(from);
    let stride = to.len().isqrt().max(16);
    let mut column = Column::first(band.words());
    let mut kept = vec![];
    for (j, symbol) in to.iter().enumerate() {
        if j % stride == 0 {
            let words = band.of(j.max(1));
            kept.push(Kept { up: column.up[words.clone()].to_vec(), down: column.down[words].to_vec() });
        }
        column.advance(*symbol, band.of(j + 1), &places);
    }
    let mut walk = Walk { from, to, i: from.len(), j: to.len(), end: None, changes: Vec::new() };
    for (index, kept) in kept.into_iter().enumerate().rev() {
        let start = index * stride;
        let mut column = kept.restore(band, start);
        let block: Vec<Stored> = (start + 1..=to.len().min(start + stride))
            .map(|j| {
                let words = band.of(j);
                column.advance(to[j - 1], words.clone(), &places);
                Stored {
                    first: words.start,
                    up: column.up[words.clone()].to_vec(),
                    same: column.same[words].to_vec(),
                }
            })
            .collect();
        while walk.j > start && walk.i > 0 {
            walk.step(&block[walk.j - start - 1]);
        }
        if walk.i == 0 {
            break;
        }
    }
    walk.finish()
}

/// A column to go on from.
struct Kept {
    up: Vec<u64>,
    down: Vec<u64>,
}

impl Kept {
    fn restore(self, band: Band, column: usize) -> Column {
        let mut restored = Column::first(band.words());
        let words = band.of(column.max(1));
        restored.up[words.clone()].copy_from_slice(&self.up);
        restored.down[words].copy_from_slice(&self.down);
        restored
    }
}

/// What the walk back asks of a column.
struct Stored {
    first: usize,
    up: Vec<u64>,
    same: Vec<u64>,
}

impl Stored {
    fn bit(&self, words: &[u64], row: usize) -> bool {
        words[row / 64 - self.first] >> (row % 64) & 1 == 1
    }
}

struct Walk<'t> {
    from: &'t [u32],
    to: &'t [u32],
    /// Symbols of either text that are still to be walked.
    i: usize,
    j: usize,
    /// Where the run of changes ends that the walk is in.
    end: Option<(usize, usize)>,
    changes: Vec<Changed>,
}

impl Walk<'_> {
    /// One step back, `column` being that of `j`; both `i` and `j` are above 0.
    fn step(&mut self, column: &Stored) {
        let row = self.i - 1;
        if self.from[row] == self.to[self.j - 1] {
            self.close();
            (self.i, self.j) = (self.i - 1, self.j - 1);
            return;
        }
        self.end.get_or_insert((self.i, self.j));
        if !column.bit(&column.same, row) {
            (self.i, self.j) = (self.i - 1, self.j - 1);
        } else if column.bit(&column.up, row) {
            self.i -= 1;
        } else {
            self.j -= 1;
        }
    }

    fn close(&mut self) {
        if let Some((i, j)) = self.end.take() {
            self.changes.push(Changed { from: self.i..i, to: self.j..j });
        }
    }

    /// At the start of one text, what is left of the other is changed too.
    fn finish(mut self) -> Vec<Changed> {
        if self.i + self.j > 0 {
            self.end.get_or_insert((self.i, self.j));
            (self.i, self.j) = (0, 0);
        }
        self.close();
        self.changes.reverse();
        self.changes
    }
}
