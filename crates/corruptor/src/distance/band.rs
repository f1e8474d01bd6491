//! Distances by a bit-parallel band: a column of the part of the matrix that matters is a few machine words.
//!
//! Hyyrö, "A bit-vector algorithm for computing Levenshtein and Damerau edit distances", 2003; the diagonals that an
//! alignment within a bound can touch are Ukkonen's (1985).

use super::symbols::Symbol;

const WORD: usize = 64;

/// Machine words of a column, where an alignment has at most `most_edits` edits.
pub(super) fn words(most_edits: usize) -> usize {
    (most_edits + 3).div_ceil(WORD)
}

/// Memory that is used again.
///
/// Bit r of column j stands for row j + lowest + r: the band moves down by one row from column to column, so its bits move
/// right by one. Rows before the first count backwards, so that they need no case of their own.
#[derive(Default)]
pub(super) struct Band {
    words: usize,
    /// Where the vertical differences are +1 and −1.
    up: Vec<u64>,
    down: Vec<u64>,
    /// Where a cell is worth as much as its diagonal predecessor.
    free: Vec<u64>,
    /// For each symbol, the rows of the band that have it, as of a column.
    masks: Vec<u64>,
    as_of: Vec<isize>,
}

impl Band {
    /// The distance, unless it is more than `most_edits`; time grows with `b` times the bound over 64.
    pub(super) fn distance<S: Symbol>(&mut self, a: &[S], b: &[S], most_edits: usize) -> Option<usize> {
        // The distance is read on the diagonal, row − column, on which both texts end.
        let last = a.len().cast_signed() - b.len().cast_signed();
        let most = most_edits.cast_signed();
        let lowest = (last - most).div_euclid(2);
        let symbols = a.iter().chain(b).map(|symbol| symbol.index()).max().unwrap_or(0) + 1;
        self.start(lowest, words(most_edits), symbols);
        let height = (self.words * WORD).cast_signed();
        let (mut distance, watched) = (last.unsigned_abs(), (last - lowest).cast_unsigned());
        let mut rows = (1..).zip(a).peekable();
        for (column, symbol) in (1..).zip(b) {
            let bottom = column + lowest + height - 1;
            while let Some((row, entering)) = rows.next_if(|(row, _): &(isize, &S)| *row <= bottom) {
                self.enter(entering.index(), row - lowest - height + 1);
            }
            self.step(symbol.index(), column);
            // Where the last diagonal begins above the first row, its cells there are no part of the matrix.
            let is_free = self.free[watched / WORD] >> (watched % WORD) & 1 == 1;
            distance += usize::from(column + last > 0 && !is_free);
        }
        (distance <= most_edits).then_some(distance)
    }

    /// The band before the first column.
    fn start(&mut self, lowest: isize, words: usize, symbols: usize) {
        self.words = words;
        let row = |word: usize, bit: usize| 1 + lowest + (word * WORD + bit).cast_signed();
        let down = |word| (0..WORD).fold(0, |bits, bit| bits | u64::from(row(word, bit) <= 0) << bit);
        self.down.clear();
        self.down.extend((0..words).map(down));
        self.up.clear();
        self.up.extend(self.down.iter().map(|down| !down));
        self.free.clear();
        self.free.resize(words, 0);
        self.masks.clear();
        self.masks.resize(symbols * words, 0);
        self.as_of.clear();
        self.as_of.resize(symbols, isize::MIN / 2);
    }

    /// A row with this symbol enters at the bottom of the band in this column.
    fn enter(&mut self, symbol: usize, column: isize) {
        let mask = self.mask(symbol, column);
        mask[mask.len() - 1] |= 1 << (WORD - 1);
    }

    /// The rows that have the symbol, as of `column`.
    #[inline]
    fn mask(&mut self, symbol: usize, column: isize) -> &mut [u64] {
        let mask = &mut self.masks[symbol * self.words..][..self.words];
        let by = (column - std::mem::replace(&mut self.as_of[symbol], column)).cast_unsigned();
        if let [word] = mask {
            *word = if by < WORD { *word >> by } else { 0 };
            return mask;
        }
        let (words, bits) = (by / WORD, by % WORD);
        if words >= mask.len() {
            mask.fill(0);
        } else if by > 0 {
            for i in 0..mask.len() {
                let low = mask.get(i + words).copied().unwrap_or(0);
                let high = mask.get(i + words + 1).copied().unwrap_or(0);
                mask[i] = if bits == 0 { low } else { low >> bits | high << (WORD - bits) };
            }
        }
        mask
    }

    /// From one column to the next.
    #[inline]
    fn step(&mut self, symbol: usize, column: isize) {
        self.mask(symbol, column);
        let mask = &self.masks[symbol * self.words..][..self.words];
        if let ([same], [up], [down]) = (mask, &mut self.up[..], &mut self.down[..]) {
            let free = ((same & *up).wrapping_add(*up) ^ *up) | same | *down;
            let (right, left) = (*down | !(free | *up), free & *up);
            (*up, *down) = (left | !(free >> 1 | right), free >> 1 & right);
            self.free[0] = free;
            return;
        }
        let mut carry = false;
        for (i, &same) in mask.iter().enumerate() {
            let (up, down) = (self.up[i], self.down[i]);
            let (sum, first) = (same & up).overflowing_add(up);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            carry = first | second;
            self.free[i] = (sum ^ up) | same | down;
        }
        for i in 0..self.words {
            let (up, down, free) = (self.up[i], self.down[i], self.free[i]);
            let (right, left) = (down | !(free | up), free & up);
            let below = free >> 1 | self.free.get(i + 1).map_or(0, |next| next << (WORD - 1));
            self.up[i] = left | !(below | right);
            self.down[i] = below & right;
        }
    }
}
