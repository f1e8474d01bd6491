//! Columns of the edit matrix, 64 rows a word (Hyyrö 2003), inside the band that a minimal alignment cannot leave.

use std::ops::Range;

/// The rows of a column that are computed, in words: those at most `edits` from the diagonal.
///
/// What lies outside is taken as one more edit a step, which no real alignment undercuts; so inside, every cell on a minimal
/// alignment is exact, and no other cell is too small.
#[derive(Clone, Copy, Debug)]
pub(super) struct Band {
    pub(super) rows: usize,
    pub(super) edits: usize,
}

impl Band {
    pub(super) fn words(self) -> usize {
        self.rows.div_ceil(64)
    }

    /// The words of column `column` (counted from 1), with one row to spare on either side.
    pub(super) fn of(self, column: usize) -> Range<usize> {
        let first_row = column.saturating_sub(self.edits + 2);
        let last_row = (column + self.edits).min(self.rows - 1);
        first_row.min(last_row) / 64..last_row / 64 + 1
    }
}

/// Where each symbol stands in the rows: words with a bit for each place, by symbol.
pub(super) struct Places {
    /// Start of each symbol's entries, then their end.
    starts: Vec<usize>,
    entries: Vec<(usize, u64)>,
}

impl Places {
    pub(super) fn of(symbols: &[u32]) -> Self {
        let mut rows: Vec<(u32, usize)> = symbols.iter().copied().zip(0..).collect();
        rows.sort_unstable();
        let kinds = rows.last().map_or(0, |(symbol, _)| *symbol as usize + 1);
        let mut places = Self { starts: vec![0; kinds + 1], entries: Vec::new() };
        let mut last = None;
        for (symbol, row) in rows {
            let (word, bit) = (row / 64, 1 << (row % 64));
            match places.entries.last_mut() {
                Some((_, bits)) if last == Some((symbol, word)) => *bits |= bit,
                _ => places.entries.push((word, bit)),
            }
            last = Some((symbol, word));
            places.starts[symbol as usize + 1] = places.entries.len();
        }
        // A symbol that does not occur has no entries of its own.
        for symbol in 1..places.starts.len() {
            places.starts[symbol] = places.starts[symbol].max(places.starts[symbol - 1]);
        }
        places
    }

    fn of_symbol(&self, symbol: u32, words: &Range<usize>) -> &[(usize, u64)] {
        let symbol = symbol as usize;
        let Some(&[start, end]) = self.starts.get(symbol..symbol + 2) else { return &[] };
        let entries = &self.entries[start..end];
        let from = entries.partition_point(|(word, _)| *word < words.start);
        let to = entries.partition_point(|(word, _)| *word < words.end);
        &entries[from..to]
    }
}

/// One column: the differences between its rows, and how it relates to the column before.
#[derive(Clone, Debug)]
pub(super) struct Column {
    /// Bit set: one more than the row above.
    pub(super) up: Vec<u64>,
    /// Bit set: one less than the row above.
    pub(super) down: Vec<u64>,
    /// Bit set: as much as the row above has in the column before.
    pub(super) same: Vec<u64>,
    equal: Vec<u64>,
}

impl Column {
    /// Column 0: every row has one more than the row above.
    pub(super) fn first(words: usize) -> Self {
        Self { up: vec![u64::MAX; words], down: vec![0; words], same: vec![0; words], equal: vec![0; words] }
    }

    /// Goes on to the column of `symbol`, in these words.
    pub(super) fn advance(&mut self, symbol: u32, words: Range<usize>, places: &Places) {
        let entries = places.of_symbol(symbol, &words);
        for (word, bits) in entries {
            self.equal[*word] = *bits;
        }
        let (mut right_up, mut right_down) = (1, 0);
        for word in words {
            let (up, down) = (self.up[word], self.down[word]);
            let matched = self.equal[word] | right_down;
            let same = ((matched & up).wrapping_add(up) ^ up) | matched | down;
            let (rises, falls) = (down | !(same | up), same & up);
            let shifted_rises = rises << 1 | right_up;
            let shifted_falls = falls << 1 | right_down;
            (right_up, right_down) = (rises >> 63, falls >> 63);
            self.up[word] = shifted_falls | !(same | shifted_rises);
            self.down[word] = shifted_rises & same;
            self.same[word] = same;
        }
        for (word, _) in entries {
            self.equal[*word] = 0;
        }
    }
}
