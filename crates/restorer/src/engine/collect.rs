//! Whole restorations from the news of an engine.

use rustc_hash::FxHashMap;

use super::{Engine, News, Piece, Summary, TextId};
use crate::error::RestoreError;
use crate::restorer::{Restoration, RestoreRequest};

/// A text's restoration and what was said of it, or why there is none.
type Whole = Result<(Restoration, Summary), RestoreError>;

/// Puts pieces together, for those who want whole texts.
#[derive(Debug, Default)]
pub struct Collector {
    pieces: FxHashMap<TextId, Piece>,
}

impl Collector {
    /// Takes news; gives a text's restoration, or why there is none, with the news that it has left.
    pub fn take(&mut self, news: News) -> Option<(TextId, Result<Restoration, RestoreError>)> {
        let (id, restored) = self.whole(news)?;
        Some((id, restored.map(|(restoration, _)| restoration)))
    }

    /// Forgets what has come of a text.
    pub fn forget(&mut self, id: TextId) {
        self.pieces.remove(&id);
    }

    fn whole(&mut self, news: News) -> Option<(TextId, Whole)> {
        match news {
            News::Piece(id, mut piece) => {
                let whole = self.pieces.entry(id).or_default();
                if whole.text.is_empty() && whole.edits.is_empty() {
                    (whole.text, whole.edits) = (piece.text, piece.edits);
                } else {
                    whole.text.push_str(&piece.text);
                    whole.edits.append(&mut piece.edits);
                }
                None
            }
            News::Done(id, summary) => {
                let Piece { text, edits, .. } = self.pieces.remove(&id).unwrap_or_default();
                let Summary { confidence, calibrated, text_calibrated, passes, ref alternatives, .. } =
                    summary;
                let alternatives = alternatives.clone();
                let restoration = Restoration {
                    text,
                    edits,
                    confidence,
                    calibrated,
                    text_calibrated,
                    passes,
                    alternatives,
                };
                Some((id, Ok((restoration, summary))))
            }
            News::Failed(id, error) => {
                self.pieces.remove(&id);
                Some((id, Err(error)))
            }
        }
    }
}

/// Restores every request in an engine of its own, in order; a failure stays with its text.
pub(crate) fn restore_all(
    engine: Box<dyn Engine + '_>,
    requests: &[RestoreRequest],
) -> Vec<Result<Restoration, RestoreError>> {
    let all = summaries(engine, requests).into_iter();
    all.map(|restored| restored.map(|(restoration, _)| restoration)).collect()
}

/// The same, with what was said of each text.
pub(crate) fn summaries(mut engine: Box<dyn Engine + '_>, requests: &[RestoreRequest]) -> Vec<Whole> {
    for (id, request) in requests.iter().enumerate() {
        engine.join(id as TextId, request.clone());
    }
    let mut found: Vec<_> = requests.iter().map(|_| None).collect();
    let (mut collector, mut news) = (Collector::default(), Vec::new());
    while engine.usage().texts > 0 {
        engine.step(&mut news);
        for (id, restored) in news.drain(..).filter_map(|one| collector.whole(one)) {
            found[id as usize] = Some(restored);
        }
    }
    let lost = || Err(RestoreError::Panicked("the engine lost a text".to_owned()));
    found.into_iter().map(|one| one.unwrap_or_else(lost)).collect()
}
