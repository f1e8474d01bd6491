//! A second opinion: how much a tagger, which has learned what damage looks like, suspects a text.

use corruptor::Edit;

use crate::error::RestoreError;
use crate::restorer::{RestoreOptions, RestoreRequest, Restorer};

/// Edits that a tagger holds less probable are no suspicion.
const LEAST: f32 = 0.05;
/// More certain than this it is never.
const MOST: f64 = 0.999;

/// The edits that a tagger proposes for each request when it looks once.
///
/// # Errors
/// If the tensor library fails.
pub(super) fn suspected<R: Restorer>(
    tagger: &R,
    requests: Vec<RestoreRequest>,
) -> Result<Vec<Vec<Edit>>, RestoreError> {
    let options =
        RestoreOptions { min_confidence: Some(LEAST), max_rounds: Some(1), ..RestoreOptions::default() };
    let requests: Vec<_> = requests.into_iter().map(|request| request.with_options(options)).collect();
    Ok(tagger.restore(&requests)?.into_iter().map(|one| one.edits).collect())
}

/// −ln of the probability that the least doubtful of the edits is wrong: 0 where there is none.
pub(super) fn suspicion(edits: &[Edit]) -> f64 {
    let surest = edits.iter().map(|edit| f64::from(edit.confidence)).fold(0.0, f64::max);
    (1.0 / (1.0 - surest.min(MOST))).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_edit_counts() {
        let edit = |confidence| Edit { start: 0, end: 1, replacement: String::new(), confidence };
        let nats = |confidences: &[f32]| {
            let edits: Vec<Edit> = confidences.iter().map(|confidence| edit(*confidence)).collect();
            format!("{:.2}", suspicion(&edits))
        };
        assert_eq!([nats(&[0.5]), nats(&[0.5, 0.9, 0.2]), nats(&[])], ["0.69", "2.30", "0.00"]);
        assert!(suspicion(&[edit(1.0)]) < 7.0);
    }
}
