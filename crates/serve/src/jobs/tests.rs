//! Jobs with a model that does as it is told.

use super::*;
use crate::batch::DEFAULT_COLUMN;

/// A job over an upload.
pub(super) fn new_job(id: &str, client: &str) -> NewJob {
    let spec = Spec {
        input: Source::Upload,
        output: None,
        extension: "csv".to_owned(),
        column: DEFAULT_COLUMN.to_owned(),
        overwrite_columns: false,
        model: None,
        min_confidence: Some(0.5),
        max_rounds: None,
        num_beams: None,
    };
    NewJob { id: id.to_owned(), client: client.to_owned(), spec, rows_total: None }
}
