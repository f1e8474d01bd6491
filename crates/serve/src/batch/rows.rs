//! Rows into batches of texts for the model, and back into rows.

use restorer::{Restoration, RestoreOptions, RestoreRequest, Restorer};

use crate::text_error::TextError;

/// What became of a row: None where it had no text.
pub(super) type RowResult = Option<Result<Restoration, TextError>>;

/// Restores `texts` in batches of at most `batch_tokens` tokens, texts of like length together, so that what is left to wait for
/// at the end of a batch is little. `done` is told how many rows each batch finished; false stops the work.
/// One result a text, in their order; None where the work was stopped.
pub(super) fn restore_rows(
    model: &dyn Restorer,
    texts: &[Option<&str>],
    options: RestoreOptions,
    batch_tokens: usize,
    mut done: impl FnMut(u64) -> bool,
) -> Option<Vec<RowResult>> {
    let mut results: Vec<RowResult> = texts.iter().map(|_| None).collect();
    let mut waiting: Vec<(usize, usize, &str)> = texts
        .iter()
        .enumerate()
        .filter_map(|(row, text)| text.map(|text| (model.tokens(text), row, text)))
        .collect();
    if !done((texts.len() - waiting.len()) as u64) {
        return None;
    }
    waiting.sort_unstable_by_key(|&(tokens, row, _)| (tokens, row));
    let mut rest = waiting.as_slice();
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(budgeted(rest, batch_tokens));
        rest = later;
        let requests: Vec<_> =
            batch.iter().map(|&(_, _, text)| RestoreRequest::new(text).with_options(options)).collect();
        for (&(_, row, _), result) in batch.iter().zip(model.restore_each(&requests)) {
            results[row] = Some(result.map_err(TextError::from));
        }
        if !done(batch.len() as u64) {
            return None;
        }
    }
    Some(results)
}

/// How many of `waiting` make the next batch: at least one.
fn budgeted(waiting: &[(usize, usize, &str)], batch_tokens: usize) -> usize {
    let mut sum = 0;
    let within = waiting.iter().take_while(|(tokens, ..)| {
        sum += tokens;
        sum <= batch_tokens
    });
    within.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Script;

    #[test]
    fn rows_come_back_in_order_whatever_the_batches() {
        let model = Script::default();
        let texts = [Some("dddd"), None, Some("a"), Some("panic"), Some("ccc"), Some(""), Some("bb")];
        let mut finished = Vec::new();
        let results = restore_rows(&model, &texts, RestoreOptions::default(), 6, |rows| {
            finished.push(rows);
            true
        })
        .unwrap();
        for (text, result) in texts.iter().zip(&results) {
            match (text, result) {
                (None, None) | (Some("panic"), Some(Err(_))) => {}
                (Some(text), Some(Ok(restoration))) => assert_eq!(restoration.text, *text),
                other => panic!("{other:?}"),
            }
        }
        // The null first, then "" a bb ccc (6 tokens), dddd, panic.
        assert_eq!(finished, [1, 4, 1, 1]);
        assert!(restore_rows(&model, &texts, RestoreOptions::default(), 6, |_| false).is_none());
    }
}
