//! Raw counts of n-grams: sorted runs, in memory or in temporary files, that add up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read as _, Seek as _, Write as _};

use rayon::prelude::*;

use super::entry::{Entry, MAX_ORDER, START};
use crate::prior::END;

/// N-grams that are sorted at a time: half a gibibyte.
const BLOCK_ENTRIES: usize = 32 << 20;
/// N-grams of the runs that stay in memory: beyond, they go to temporary files.
const MEMORY_ENTRIES: usize = 48 << 20;

/// Counts texts.
#[derive(Debug)]
pub struct Counter {
    order: usize,
    block: Vec<Entry>,
    block_entries: usize,
    counts: RawCounts,
}

impl Counter {
    /// For n-grams of up to `order` symbols, which is cut to [2, [`MAX_ORDER`]].
    pub fn new(order: usize) -> Self {
        let order = order.clamp(2, MAX_ORDER);
        let counts =
            RawCounts { order, text_bytes: 0, texts: 0, memory_entries: MEMORY_ENTRIES, runs: Vec::new() };
        Self { order, block: Vec::new(), block_entries: BLOCK_ENTRIES, counts }
    }

    /// Sorts as few n-grams at a time, and keeps as few in memory.
    #[cfg(test)]
    pub(super) fn with_limits(mut self, block_entries: usize, memory_entries: usize) -> Self {
        (self.block_entries, self.counts.memory_entries) = (block_entries, memory_entries);
        self
    }

    /// Counts the n-grams of a text, its start and its end among them.
    ///
    /// # Errors
    /// If a temporary file cannot be written.
    pub fn add(&mut self, text: &str) -> io::Result<()> {
        let mut symbols = Vec::with_capacity(text.len() + 2);
        symbols.push(START);
        symbols.extend_from_slice(text.as_bytes());
        symbols.push(END);
        self.counts.text_bytes += text.len() as u64;
        self.counts.texts += 1;
        for from in 0..symbols.len() {
            if self.block.len() >= self.block_entries {
                self.flush()?;
            }
            self.block.push(Entry::of(&symbols[from..], self.order));
        }
        Ok(())
    }

    /// What has been counted.
    ///
    /// # Errors
    /// If a temporary file cannot be written.
    pub fn finish(mut self) -> io::Result<RawCounts> {
        self.flush()?;
        Ok(self.counts)
    }

    /// Makes a run of the block.
    fn flush(&mut self) -> io::Result<()> {
        self.block.par_sort_unstable();
        let mut run: Vec<Entry> = Vec::new();
        for entry in self.block.drain(..) {
            match run.last_mut() {
                Some(last) if last.is_like(entry) => *last = last.with_count(last.count() + entry.count()),
                _ => run.push(entry),
            }
        }
        self.counts.push(run)
    }
}

/// How often each n-gram occurs in some texts. Counts of other texts add up to those of all of them.
#[derive(Debug)]
pub struct RawCounts {
    order: usize,
    text_bytes: u64,
    texts: u64,
    memory_entries: usize,
    runs: Vec<Run>,
}

/// N-grams in ascending order, each once.
#[derive(Debug)]
enum Run {
    Memory(Vec<Entry>),
    File(File),
}

impl RawCounts {
    /// Most symbols of an n-gram.
    pub fn order(&self) -> usize {
        self.order
    }

    /// Bytes of the texts.
    pub fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    /// How many texts there were.
    pub fn texts(&self) -> u64 {
        self.texts
    }

    /// Adds the counts of other texts, of the same order.
    ///
    /// # Errors
    /// If a temporary file cannot be written.
    ///
    /// # Panics
    /// If the orders differ.
    pub fn add(&mut self, other: Self) -> io::Result<()> {
        assert_eq!(self.order, other.order, "only counts of the same order add up");
        self.text_bytes += other.text_bytes;
        self.texts += other.texts;
        for run in other.runs {
            match run {
                Run::Memory(entries) => self.push(entries)?,
                Run::File(file) => self.runs.push(Run::File(file)),
            }
        }
        Ok(())
    }

    /// Adds a run; where memory has enough of them, to a file.
    fn push(&mut self, run: Vec<Entry>) -> io::Result<()> {
        let held = |run: &Run| match run {
            Run::Memory(entries) => entries.len(),
            Run::File(_) => 0,
        };
        let in_memory: usize = self.runs.iter().map(held).sum();
        if run.is_empty() {
            return Ok(());
        }
        self.runs.push(if in_memory + run.len() > self.memory_entries {
            let mut file = BufWriter::new(tempfile::tempfile()?);
            run.iter().try_for_each(|entry| file.write_all(&entry.to_bytes()))?;
            Run::File(file.into_inner().map_err(io::IntoInnerError::into_error)?)
        } else {
            Run::Memory(run)
        });
        Ok(())
    }

    /// Hands every n-gram to `take`, in ascending order, with its whole count.
    ///
    /// # Errors
    /// If a temporary file cannot be read.
    pub(super) fn for_each(&self, mut take: impl FnMut(Entry)) -> io::Result<()> {
        let mut sources = Vec::with_capacity(self.runs.len());
        for run in &self.runs {
            sources.push(match run {
                Run::Memory(entries) => Source::Memory(entries.iter()),
                Run::File(file) => {
                    let mut file = file.try_clone()?;
                    file.rewind()?;
                    Source::File(BufReader::with_capacity(1 << 18, file))
                }
            });
        }
        let mut heads = BinaryHeap::with_capacity(sources.len());
        for (index, source) in sources.iter_mut().enumerate() {
            heads.extend(source.next()?.map(|entry| Reverse((entry, index))));
        }
        let mut current: Option<Entry> = None;
        while let Some(Reverse((entry, index))) = heads.pop() {
            heads.extend(sources[index].next()?.map(|entry| Reverse((entry, index))));
            current = Some(match current {
                Some(sum) if sum.is_like(entry) => sum.with_count(sum.count() + entry.count()),
                done => {
                    done.into_iter().for_each(&mut take);
                    entry
                }
            });
        }
        current.into_iter().for_each(take);
        Ok(())
    }
}

enum Source<'r> {
    Memory(std::slice::Iter<'r, Entry>),
    File(BufReader<File>),
}

impl Source<'_> {
    fn next(&mut self) -> io::Result<Option<Entry>> {
        match self {
            Self::Memory(entries) => Ok(entries.next().copied()),
            Self::File(file) => {
                let mut bytes = [0; 16];
                match file.read_exact(&mut bytes) {
                    Ok(()) => Ok(Some(Entry::from_bytes(bytes))),
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
                    Err(error) => Err(error),
                }
            }
        }
    }
}
