//! Who restores texts, and what becomes of a row.

use restorer::{Restoration, RestoreOptions, RestoreRequest, Restorer};

use crate::text_error::TextError;

/// What became of a text: None where there was none.
pub type RowResult = Option<Result<Restoration, TextError>>;

/// Why texts are not restored now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// Asked to stop.
    Stopped,
    /// There is nobody who can.
    Unable(String),
}

/// Who restores the texts of a file.
pub trait Texts {
    /// Restores `texts`, one result a text, in their order. `done` is told how many of them are done each time some are; it may be told of
    /// none, and false from it stops the work.
    ///
    /// # Errors
    ///
    /// [`Halt`]: what is done so far is lost.
    fn restore(
        &self,
        texts: &[Option<&str>],
        done: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Vec<RowResult>, Halt>;

    /// Digests of the models that have restored since this was last asked.
    fn digests(&self) -> Vec<String>;
}

/// A model by itself.
pub struct ModelTexts<'m> {
    /// The model.
    pub model: &'m dyn Restorer,
    /// Options of every text.
    pub options: RestoreOptions,
    /// Tokens that the model gets at a time; a single longer text goes alone.
    pub batch_tokens: usize,
}

impl Texts for ModelTexts<'_> {
    /// In batches of texts of like length, so that what is left to wait for at the end of a batch is little.
    fn restore(
        &self,
        texts: &[Option<&str>],
        done: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Vec<RowResult>, Halt> {
        let mut results: Vec<RowResult> = texts.iter().map(|_| None).collect();
        let mut waiting: Vec<(usize, usize, &str)> = texts
            .iter()
            .enumerate()
            .filter_map(|(row, text)| text.map(|text| (self.model.tokens(text), row, text)))
            .collect();
        if !done((texts.len() - waiting.len()) as u64) {
            return Err(Halt::Stopped);
        }
        waiting.sort_unstable_by_key(|&(tokens, row, _)| (tokens, row));
        let mut rest = waiting.as_slice();
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(budgeted(rest, self.batch_tokens));
            rest = later;
            let request = |&(_, _, text): &(_, _, &str)| RestoreRequest::new(text).with_options(self.options);
            let requests: Vec<_> = batch.iter().map(request).collect();
            for (&(_, row, _), result) in batch.iter().zip(self.model.restore_each(&requests)) {
                results[row] = Some(result.map_err(TextError::from));
            }
            if !done(batch.len() as u64) {
                return Err(Halt::Stopped);
            }
        }
        Ok(results)
    }

    fn digests(&self) -> Vec<String> {
        vec![self.model.info().digest.clone()]
    }
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

/// What a row of the input has for the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowText<'r> {
    Text(&'r str),
    Null,
    /// It is not what its format demands, for this reason.
    Bad(&'r str),
}

impl<'r> RowText<'r> {
    /// The text, where there is one.
    pub(super) fn given(self) -> Option<&'r str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bad(_) => None,
        }
    }
}

/// What the output says of a row.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    Null,
    Failed(String),
    Restored(Restoration),
}

impl Outcome {
    /// Of a row of this text, whose result is `result`.
    pub(super) fn new(text: RowText<'_>, result: RowResult) -> Self {
        let fits = |edit: &corruptor::Edit| u32::try_from(edit.end).is_ok();
        match (text, result) {
            (RowText::Bad(reason), _) => Self::Failed(reason.to_owned()),
            (_, None) => Self::Null,
            (_, Some(Err(error))) => Self::Failed(error.to_string()),
            (_, Some(Ok(restoration))) if restoration.edits.iter().all(fits) => Self::Restored(restoration),
            (_, Some(Ok(_))) => Self::Failed("the text has more than 4 GiB".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Script;

    #[test]
    fn rows_come_back_in_order_whatever_the_batches() {
        let model = Script::default();
        let who = ModelTexts { model: &model, options: RestoreOptions::default(), batch_tokens: 6 };
        let texts = [Some("dddd"), None, Some("a"), Some("panic"), Some("ccc"), Some(""), Some("bb")];
        let mut finished = Vec::new();
        let results = who
            .restore(&texts, &mut |rows| {
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
        assert_eq!(who.restore(&texts, &mut |_| false), Err(Halt::Stopped));
    }
}
