//! Laws of batching.

use finetune::batch::{BatchPlan, Batches, Cursor, ExampleSource};
use proptest::prelude::*;
use restorer::RestoreError;

/// Records that give `lengths[record]` examples of these lengths.
#[derive(Clone, Debug)]
struct Records(Vec<Vec<usize>>);

impl ExampleSource for Records {
    /// Record, number in the record, length.
    type Example = (usize, usize, usize);

    fn records(&self) -> usize {
        self.0.len()
    }

    fn examples(&self, record: usize, _: u64) -> Result<Vec<Self::Example>, RestoreError> {
        Ok(self.0[record].iter().enumerate().map(|(number, length)| (record, number, *length)).collect())
    }

    fn tokens(&self, example: &Self::Example) -> usize {
        example.2
    }
}

type Example = (usize, usize, usize);

/// The batches of the first `epochs` epochs after `cursor`, each with the cursor behind it.
fn stream(records: &Records, plan: BatchPlan, cursor: Cursor, epochs: u64) -> Vec<(Vec<Example>, Cursor)> {
    let mut batches = Vec::new();
    let mut epoch = cursor.epoch;
    for batch in Batches::new(records.clone(), plan, cursor) {
        if epoch >= epochs {
            break;
        }
        let batch = batch.unwrap();
        epoch = batch.next.epoch;
        batches.push((batch.examples, batch.next));
    }
    batches
}

fn sources() -> impl Strategy<Value = (Records, BatchPlan)> {
    let records = prop::collection::vec(prop::collection::vec(1usize..60, 0..4), 1..40);
    let plan = (0u64..5, 20usize..200, 1usize..50);
    (records, plan).prop_map(|(records, (seed, batch_tokens, bucket_pairs))| {
        (Records(records), BatchPlan { seed, batch_tokens, bucket_pairs })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_epoch_has_every_example_once((records, plan) in sources()) {
        let mut expected: Vec<Example> = (0..records.records()).flat_map(|r| records.examples(r, 0).unwrap()).collect();
        expected.sort_unstable();
        // A last bucket without examples ends its epoch only when the next batch is asked for.
        let batches = Batches::new(records.clone(), plan, Cursor::default());
        let mut seen: Vec<Example> = Vec::new();
        for batch in batches.take(expected.len()) {
            if seen.len() == expected.len() {
                break;
            }
            seen.extend(batch.unwrap().examples);
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn padded_batches_keep_the_budget((records, plan) in sources()) {
        for batch in Batches::new(records, plan, Cursor::default()).take(60) {
            let examples = batch.unwrap().examples;
            let longest = examples.iter().map(|example| example.2).max().unwrap();
            prop_assert!(examples.len() == 1 || longest * examples.len() <= plan.batch_tokens);
        }
    }

    #[test]
    fn a_stream_goes_on_from_any_cursor((records, plan) in sources(), at in 0usize..1000) {
        let whole = stream(&records, plan, Cursor::default(), 3);
        prop_assume!(!whole.is_empty());
        let at = at % whole.len();
        let rest = stream(&records, plan, whole[at].1, 3);
        prop_assert_eq!(&rest[..], &whole[at + 1..]);
    }
}

#[test]
fn epochs_and_seeds_have_their_own_order() {
    let records = Records((0..200).map(|record| vec![1 + record % 20]).collect());
    let plan = |seed| BatchPlan { seed, batch_tokens: 100, bucket_pairs: 50 };
    let order = |seed, from| -> Vec<usize> {
        let cursor = Cursor { epoch: from, ..Cursor::default() };
        stream(&records, plan(seed), cursor, from + 1)
            .into_iter()
            .flat_map(|(batch, _)| batch)
            .map(|e| e.0)
            .collect()
    };
    assert_eq!(order(1, 0), order(1, 0));
    assert_ne!(order(1, 0), order(1, 1));
    assert_ne!(order(1, 0), order(2, 0));
}

#[test]
fn batches_hold_texts_of_similar_length() {
    let records = Records((0..1000).map(|record| vec![1 + record * 7 % 100]).collect());
    let plan = BatchPlan { seed: 1, batch_tokens: 400, bucket_pairs: 1000 };
    let (mut tokens, mut padded) = (0, 0);
    for (batch, _) in stream(&records, plan, Cursor::default(), 1) {
        tokens += batch.iter().map(|e| e.2).sum::<usize>();
        padded += batch.len() * batch.iter().map(|e| e.2).max().unwrap();
    }
    assert!(padded * 10 < tokens * 11, "{padded} padded tokens for {tokens}");
}

#[test]
fn records_without_examples_end_the_stream() {
    let plan = BatchPlan { seed: 1, batch_tokens: 10, bucket_pairs: 2 };
    assert_eq!(Batches::new(Records(vec![vec![]; 5]), plan, Cursor::default()).count(), 0);
    assert_eq!(Batches::new(Records(vec![]), plan, Cursor::default()).count(), 0);
}
