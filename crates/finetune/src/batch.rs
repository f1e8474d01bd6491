//! Token-budget batches, bucketed by length.
//!
//! An epoch is a seeded shuffle of the pairs, cut into buckets of pairs. The examples of one bucket are sorted by length and cut
//! into batches whose padded size keeps the budget; the batches of a bucket come in a seeded order. All of it is a function
//! of the seed and of a [`Cursor`], so a stream goes on exactly where another one stopped, and only one bucket is in memory.

use std::iter::Peekable;
use std::ops::Range;

use corruptor::{Channel, Pair, Passage, RecordStream};
use rayon::prelude::*;
use restorer::RestoreError;
use restorer::train::Trainable;
use serde::{Deserialize, Serialize};

/// Where examples come from: a list of records, each of which gives some.
pub trait ExampleSource: Sync {
    /// One training example.
    type Example: Send;

    /// The number of records.
    fn records(&self) -> usize;

    /// The examples of record number `record` in this epoch.
    ///
    /// # Errors
    /// If the record cannot be labelled.
    fn examples(&self, record: usize, epoch: u64) -> Result<Vec<Self::Example>, RestoreError>;

    /// Tokens of one example.
    fn tokens(&self, example: &Self::Example) -> usize;
}

/// Pairs, labelled by a model.
#[derive(Debug)]
pub struct TrainingPairs<'a, M> {
    /// The model that labels.
    pub model: &'a M,
    /// The pairs of the training split.
    pub pairs: &'a [Pair],
    /// What corrupts their originals anew from the second epoch on; none: every epoch has the same pairs. Real pairs, which
    /// no channel has made, stay as they are.
    pub fresh: Option<Channel>,
}

/// Copies of a passage in one epoch, at most: fresh ones are numbered beyond.
const COPIES_AN_EPOCH: u32 = 1 << 12;

impl<M: Trainable> ExampleSource for TrainingPairs<'_, M> {
    type Example = M::Example;

    fn records(&self) -> usize {
        self.pairs.len()
    }

    fn examples(&self, record: usize, epoch: u64) -> Result<Vec<Self::Example>, RestoreError> {
        let pair = &self.pairs[record];
        match &self.fresh {
            Some(channel) if epoch > 0 && pair.noise.is_some() => {
                let Pair { source, doc_id, start, original, copy, .. } = pair;
                let passage = Passage { source, doc_id, start: *start, text: original };
                let copy = (epoch as u32).wrapping_mul(COPIES_AN_EPOCH).wrapping_add(*copy);
                self.model.examples(&channel.pair(&passage, copy))
            }
            _ => self.model.examples(pair),
        }
    }

    fn tokens(&self, example: &Self::Example) -> usize {
        self.model.example_tokens(example)
    }
}

/// A place in the endless stream of batches: the next one to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Epochs behind it.
    pub epoch: u64,
    /// Buckets of this epoch behind it.
    pub bucket: u64,
    /// Batches of this bucket behind it.
    pub batch: u64,
}

/// How batches are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchPlan {
    /// Seed of every order.
    pub seed: u64,
    /// Largest number of tokens of a batch, padding included; an example that is longer stands alone.
    pub batch_tokens: usize,
    /// Pairs of one bucket.
    pub bucket_pairs: usize,
}

/// One batch and the place behind it.
#[derive(Debug)]
pub struct Batch<E> {
    /// The examples, of similar length.
    pub examples: Vec<E>,
    /// Their tokens.
    pub tokens: usize,
    /// Their tokens if each were as long as the longest.
    pub padded_tokens: usize,
    /// Where the stream goes on.
    pub next: Cursor,
}

/// The endless stream of batches over a source.
#[derive(Debug)]
pub struct Batches<S: ExampleSource> {
    source: S,
    plan: BatchPlan,
    cursor: Cursor,
    order: Vec<u32>,
    bucket: Vec<Option<Vec<S::Example>>>,
    barren_buckets: u64,
}

impl<S: ExampleSource> Batches<S> {
    /// The stream over `source` from `cursor` on.
    pub fn new(source: S, plan: BatchPlan, cursor: Cursor) -> Self {
        Self { source, plan, cursor, order: Vec::new(), bucket: Vec::new(), barren_buckets: 0 }
    }

    /// Buckets of an epoch.
    fn buckets(&self) -> u64 {
        self.source.records().div_ceil(self.plan.bucket_pairs) as u64
    }

    /// Labels the cursor's bucket and cuts it into batches.
    fn prepare_bucket(&mut self) -> Result<(), RestoreError> {
        let Cursor { epoch, bucket, .. } = self.cursor;
        if self.order.is_empty() || bucket == 0 {
            self.order = (0..self.source.records() as u32).collect();
            RecordStream::for_purpose(self.plan.seed, &format!("epoch {epoch}")).shuffle(&mut self.order);
        }
        let start = bucket as usize * self.plan.bucket_pairs;
        let records = &self.order[start..(start + self.plan.bucket_pairs).min(self.order.len())];
        let labelled = records.par_iter().map(|&record| self.source.examples(record as usize, epoch));
        let mut examples: Vec<S::Example> =
            labelled.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        examples.sort_by_key(|example| self.source.tokens(example));
        let lengths: Vec<usize> = examples.iter().map(|example| self.source.tokens(example)).collect();
        let mut examples = examples.into_iter();
        let cuts = cut(&lengths, self.plan.batch_tokens);
        self.bucket =
            cuts.into_iter().map(|range| Some(examples.by_ref().take(range.len()).collect())).collect();
        let purpose = format!("epoch {epoch} bucket {bucket}");
        RecordStream::for_purpose(self.plan.seed, &purpose).shuffle(&mut self.bucket);
        Ok(())
    }

    /// Moves on to the next bucket, or to the next epoch.
    fn advance_bucket(&mut self) {
        self.bucket.clear();
        self.cursor.batch = 0;
        self.cursor.bucket += 1;
        if self.cursor.bucket >= self.buckets() {
            self.cursor = Cursor { epoch: self.cursor.epoch + 1, ..Cursor::default() };
        }
    }
}

impl<S: ExampleSource> Iterator for Batches<S> {
    type Item = Result<Batch<S::Example>, RestoreError>;

    /// The next batch; none only where a whole epoch has no example.
    fn next(&mut self) -> Option<Self::Item> {
        while self.barren_buckets < self.buckets() {
            if self.bucket.is_empty()
                && let Err(error) = self.prepare_bucket()
            {
                return Some(Err(error));
            }
            let batch = self.bucket.get_mut(self.cursor.batch as usize).and_then(Option::take);
            let Some(examples) = batch else {
                self.barren_buckets += 1;
                self.advance_bucket();
                continue;
            };
            self.barren_buckets = 0;
            self.cursor.batch += 1;
            if self.cursor.batch as usize == self.bucket.len() {
                self.advance_bucket();
            }
            let lengths = examples.iter().map(|example| self.source.tokens(example));
            let (tokens, longest) = lengths.fold((0, 0), |(sum, max), n| (sum + n, n.max(max)));
            let padded_tokens = longest * examples.len();
            return Some(Ok(Batch { examples, tokens, padded_tokens, next: self.cursor }));
        }
        None
    }
}

/// The micro-batches of the next step: as many as fit into `step_tokens`, at least one; none only at the end of the stream.
///
/// # Errors
/// Those of the stream.
pub fn next_step<S: ExampleSource>(
    batches: &mut Peekable<Batches<S>>,
    step_tokens: usize,
) -> Option<Result<Vec<Batch<S::Example>>, RestoreError>> {
    let mut step = Vec::new();
    let mut tokens = 0;
    loop {
        match batches.peek() {
            Some(Ok(next)) if step.is_empty() || tokens + next.tokens <= step_tokens => tokens += next.tokens,
            Some(Ok(_)) | None => return (!step.is_empty()).then_some(Ok(step)),
            Some(Err(_)) if !step.is_empty() => return Some(Ok(step)),
            Some(Err(_)) => {}
        }
        match batches.next()? {
            Ok(batch) => step.push(batch),
            Err(error) => return Some(Err(error)),
        }
    }
}

/// Cuts ascending lengths into consecutive ranges of at most `budget` tokens once padded to the longest.
pub(crate) fn cut(lengths: &[usize], budget: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    for (index, length) in lengths.iter().enumerate() {
        if index > start && (index + 1 - start) * length > budget {
            ranges.push(start..index);
            start = index;
        }
    }
    if start < lengths.len() {
        ranges.push(start..lengths.len());
    }
    ranges
}
