//! Restoring pairs and counting what came out.

use corruptor::{Edit, Pair};
use restorer::metrics::TextCounts;
use restorer::{RestoreError, RestoreOptions, RestoreRequest, Restorer};

use crate::workers::Workers;

/// One restored pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    /// Its counts.
    pub counts: TextCounts,
    /// The restored text.
    pub restored: String,
    /// What was changed, over the corrupted text.
    pub edits: Vec<Edit>,
    /// How probable the model finds it that the restored text is the original.
    pub confidence: f32,
}

/// Pairs that one worker restores in one call.
const PAIRS_A_CALL: usize = 16;

/// Restores every pair's corrupted text, on all workers; `done` is called with the number of pairs finished by each call.
///
/// # Errors
/// The first error of the model.
pub fn score<R: Restorer + ?Sized>(
    model: &R,
    pairs: &[Pair],
    options: &RestoreOptions,
    workers: &Workers,
    done: impl Fn(usize) + Sync,
) -> Result<Vec<Scored>, RestoreError> {
    let calls: Vec<&[Pair]> = pairs.chunks(PAIRS_A_CALL).collect();
    let answers = workers.map(&calls, |_, pairs| -> Result<Vec<Scored>, RestoreError> {
        let request = |pair: &Pair| RestoreRequest::new(&pair.corrupted).with_options(*options);
        let restorations = model.restore(&pairs.iter().map(request).collect::<Vec<_>>())?;
        let scored = pairs.iter().zip(restorations).map(|(pair, restoration)| Scored {
            counts: TextCounts::of(&pair.original, &pair.corrupted, &restoration.text),
            restored: restoration.text,
            edits: restoration.edits,
            confidence: restoration.confidence,
        });
        let scored = scored.collect();
        done(pairs.len());
        Ok(scored)
    });
    Ok(answers.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// The sum of the counts of [`score`].
///
/// # Errors
/// The first error of the model.
pub fn total<R: Restorer + ?Sized>(
    model: &R,
    pairs: &[Pair],
    min_confidence: f32,
    workers: &Workers,
) -> Result<TextCounts, RestoreError> {
    let options = RestoreOptions { min_confidence: Some(min_confidence), ..RestoreOptions::default() };
    Ok(score(model, pairs, &options, workers, |_| ())?.iter().map(|scored| scored.counts).sum())
}
