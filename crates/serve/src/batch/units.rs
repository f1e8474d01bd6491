//! Where the rows of a text file are cut into units.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

/// Rows of a unit, at most.
pub(super) const UNIT_ROWS: u64 = 4096;
/// Bytes of a unit after which it takes no further row.
pub(super) const UNIT_BYTES: u64 = 8 << 20;
/// Bytes of a row, at most: it is held in memory.
pub(super) const ROW_BYTES: u64 = 64 << 20;

/// Rows that are read, restored and written together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unit {
    /// Byte where it starts.
    pub(super) start: u64,
    /// Byte where it ends, excluded.
    pub(super) end: u64,
    /// Rows in it.
    pub(super) rows: u64,
}

/// Puts rows into units, in their order.
#[derive(Debug)]
pub(super) struct Cutter {
    units: Vec<Unit>,
    open: Unit,
}

impl Cutter {
    /// Of rows that begin at byte `start`.
    pub(super) fn new(start: u64) -> Self {
        Self { units: Vec::new(), open: Unit { start, end: start, rows: 0 } }
    }

    /// The next row ends at byte `end`.
    pub(super) fn row(&mut self, end: u64) {
        self.open.end = end;
        self.open.rows += 1;
        if self.open.rows == UNIT_ROWS || end - self.open.start >= UNIT_BYTES {
            self.units.push(self.open);
            self.open = Unit { start: end, end, rows: 0 };
        }
    }

    /// Rows so far.
    pub(super) fn rows(&self) -> u64 {
        self.units.iter().map(|unit| unit.rows).sum::<u64>() + self.open.rows
    }

    /// All units: at least one, so that there is one to write.
    pub(super) fn finish(mut self) -> Vec<Unit> {
        if self.open.rows > 0 || self.units.is_empty() {
            self.units.push(self.open);
        }
        self.units
    }
}

/// A reader that fails where more is read than is left.
#[derive(Debug)]
pub(super) struct Limited<R> {
    inner: R,
    left: Rc<Cell<u64>>,
}

impl<R> Limited<R> {
    /// What is left is in the cell.
    pub(super) fn new(inner: R) -> (Self, Rc<Cell<u64>>) {
        let left = Rc::new(Cell::new(0));
        (Self { inner, left: Rc::clone(&left) }, left)
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left.get()).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let read = self.inner.read(&mut buffer[..most])?;
        self.left.set(self.left.get() - read as u64);
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_cut_by_rows_and_by_bytes_and_leave_nothing_out() {
        let mut cutter = Cutter::new(7);
        let mut end = 7;
        let lengths = std::iter::repeat_n(1, UNIT_ROWS as usize + 5).chain([UNIT_BYTES - 4, 3, UNIT_BYTES]);
        for length in lengths {
            end += length;
            cutter.row(end);
        }
        let units = cutter.finish();
        assert_eq!(units.iter().map(|unit| unit.rows).collect::<Vec<_>>(), [UNIT_ROWS, 6, 2]);
        assert!(units.windows(2).all(|pair| pair[0].end == pair[1].start));
        assert_eq!((units[0].start, units[2].end), (7, end));
        assert_eq!(Cutter::new(3).finish(), [Unit { start: 3, end: 3, rows: 0 }]);
    }
}
