//! Work on the rows of files of pairs: in parallel, in bounded memory, in their order.

use std::path::Path;
use std::str::FromStr;

use rayon::prelude::*;

use crate::io_error::IoError;
use crate::pair::Pair;
use crate::pairs::{PairChunk, Pairs, read_pairs};
use crate::progress::{Observer, Progress, report};

/// Rows worked on at a time: few, so that whoever watches sees the work go on.
const GROUP: usize = 128;

/// Which rows of each file are read; rows are counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowChoice {
    /// Every row.
    #[default]
    All,
    /// Rows 0, 2, 4, …
    Even,
    /// Rows 1, 3, 5, …
    Odd,
}

impl RowChoice {
    /// Whether row `row` of its file is read.
    pub fn includes(self, row: u64) -> bool {
        match self {
            Self::All => true,
            Self::Even => row.is_multiple_of(2),
            Self::Odd => !row.is_multiple_of(2),
        }
    }

    /// The rows of a chunk that are read, with their numbers.
    fn of(self, chunk: &PairChunk) -> Vec<(u64, &Pair)> {
        (chunk.first_row..).zip(&chunk.pairs).filter(|(row, _)| self.includes(*row)).collect()
    }
}

impl FromStr for RowChoice {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "all" => Ok(Self::All),
            "even" => Ok(Self::Even),
            "odd" => Ok(Self::Odd),
            _ => Err(format!("{name:?} is no choice of rows; give all, even or odd")),
        }
    }
}

/// Rows of a file of pairs, or of a directory of them, and the threads that work on them.
pub(crate) struct Rows<'a> {
    pub(crate) path: &'a Path,
    pub(crate) choice: RowChoice,
    pub(crate) pool: &'a rayon::ThreadPool,
}

/// Takes rows of one file, with their numbers, and what was made of them.
pub(crate) type Take<'t, T> = &'t mut dyn FnMut(&Path, &[(u64, &Pair)], Vec<T>) -> Result<(), IoError>;

impl Rows<'_> {
    /// Does `work` on every pair; `take` gets what comes of it, in the order of the rows.
    ///
    /// # Errors
    /// If a file cannot be read or departs from the pair schema, the observer wants no more, or `take` fails.
    pub(crate) fn map<T: Send>(
        &self,
        stage: &str,
        work: impl Fn(&Pair) -> T + Sync,
        observer: &mut Observer<'_>,
        take: Take<'_, T>,
    ) -> Result<(), IoError> {
        let total = Pairs::rows_in(self.path)?;
        let mut pairs = read_pairs(self.path)?;
        let (mut done, mut records) = (0, 0);
        while let Some(chunk) = pairs.next_chunk()? {
            for group in self.choice.of(&chunk).chunks(GROUP) {
                let made = self.pool.install(|| group.par_iter().map(|(_, pair)| work(pair)).collect());
                take(&chunk.file, group, made)?;
                records += group.len() as u64;
                let last = group.last().map_or(0, |(row, _)| row + 1 - chunk.first_row);
                report(observer, Progress { stage, done: done + last, total, records })?;
            }
            done += chunk.pairs.len() as u64;
        }
        Ok(())
    }
}
