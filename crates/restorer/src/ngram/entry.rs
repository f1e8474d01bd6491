//! An n-gram and how often it occurs, in one number that sorts by its symbols.

use crate::prior::END;

/// Most symbols of an n-gram.
pub const MAX_ORDER: usize = 10;

/// Stands before a text, in contexts only. No byte of UTF-8 has this value.
pub(super) const START: u8 = 0xFE;

/// Bits of the count.
const COUNT_BITS: u32 = 48;
/// Largest count.
const MAX_COUNT: u64 = (1 << COUNT_BITS) - 1;

/// Up to ten symbols, the first in the highest byte, and a count. After an [`END`] come zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry(u128);

impl Entry {
    /// The n-gram of the first symbols, at most `order`, of what follows.
    pub(super) fn of(following: &[u8], order: usize) -> Self {
        let mut symbols = [0; 16];
        let length = following.len().min(order);
        symbols[..length].copy_from_slice(&following[..length]);
        Self(u128::from_be_bytes(symbols) | 1)
    }

    /// With another count.
    pub(super) fn with_count(self, count: u64) -> Self {
        Self((self.0 >> COUNT_BITS << COUNT_BITS) | u128::from(count.min(MAX_COUNT)))
    }

    pub(super) fn count(self) -> u64 {
        self.0 as u64 & MAX_COUNT
    }

    /// Whether both have the same symbols.
    pub(super) fn is_like(self, other: Self) -> bool {
        (self.0 ^ other.0) >> COUNT_BITS == 0
    }

    /// The symbols, to the [`END`] or the order.
    pub(super) fn symbols(self, order: usize) -> ([u8; MAX_ORDER], usize) {
        let bytes = self.0.to_be_bytes();
        let mut symbols = [0; MAX_ORDER];
        symbols.copy_from_slice(&bytes[..MAX_ORDER]);
        let length = symbols[..order].iter().position(|symbol| *symbol == END).map_or(order, |end| end + 1);
        (symbols, length)
    }

    pub(super) fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_sort_by_symbols_and_keep_counts() {
        let ab = Entry::of(b"ab\xFF", 10);
        assert_eq!(ab.symbols(10), ([b'a', b'b', END, 0, 0, 0, 0, 0, 0, 0], 3));
        assert_eq!(Entry::of(b"abcdef", 4).symbols(4).1, 4);
        assert!(ab.with_count(900) < Entry::of(b"abc", 10) || END > b'c');
        assert!(ab.with_count(u64::MAX).is_like(ab) && ab.with_count(7).count() == 7);
        assert_eq!(Entry::from_bytes(ab.with_count(5).to_bytes()), ab.with_count(5));
    }
}
