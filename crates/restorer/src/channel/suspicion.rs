//! A second opinion: how much a tagger, which has learned what damage looks like, suspects a text.

use std::ops::Range;

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
    requests: &[RestoreRequest],
) -> Result<Vec<Vec<Edit>>, RestoreError> {
    let options = RestoreOptions { min_confidence: Some(LEAST), max_rounds: Some(1), alternatives: 0 };
    let requests: Vec<_> = requests.iter().map(|request| request.clone().with_options(options)).collect();
    Ok(tagger.restore(&requests)?.into_iter().map(|one| one.edits).collect())
}

/// −ln of the probability that the least doubtful of the edits in `window` is wrong: 0 where there is none.
pub(super) fn suspicion(edits: &[Edit], window: &Range<usize>) -> f64 {
    let inside = edits.iter().filter(|edit| edit.start < window.end.max(1) && edit.end >= window.start);
    let surest = inside.map(|edit| f64::from(edit.confidence)).fold(0.0, f64::max);
    (1.0 / (1.0 - surest.min(MOST))).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_edit_of_a_window_counts() {
        let edit = |start, end, confidence| Edit { start, end, replacement: String::new(), confidence };
        let edits = [edit(0, 1, 0.5), edit(10, 12, 0.9), edit(30, 31, 0.2)];
        let nats = |window: Range<usize>| format!("{:.2}", suspicion(&edits, &window));
        assert_eq!([nats(0..8), nats(5..20), nats(0..40)], ["0.69", "2.30", "2.30"]);
        assert_eq!(nats(15..25), "0.00");
        assert!(suspicion(&[edit(3, 4, 1.0)], &(0..5)) < 7.0);
    }
}
