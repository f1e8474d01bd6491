//! A confusion table as a search reads it.

use corruptor::{ChannelLaw, Confusions, SettingsError, graphemes};
use rustc_hash::FxHashSet;

/// A row: what stood in the original, and what was put in its place.
#[derive(Clone, Debug)]
pub(super) struct Confused {
    pub(super) from: String,
    pub(super) to: String,
    /// ln of its probability among the rows that match there.
    pub(super) ln: f64,
}

/// The rows of a table.
///
/// Of the rows that match at a place, those that need to know the original beyond this row's own graphemes are left out of account, and
/// a grapheme with which a row begins counts as one that a row matches. Where no row is longer than a grapheme, that is exact.
#[derive(Clone, Debug, Default)]
pub(super) struct ConfusedRows {
    pub(super) rows: Vec<Confused>,
    /// The graphemes with which rows begin.
    firsts: FxHashSet<String>,
}

impl ConfusedRows {
    /// The rows of a channel's table; none where it has no table.
    ///
    /// # Errors
    /// If a row puts nothing.
    pub(super) fn new(law: &ChannelLaw) -> Result<Self, SettingsError> {
        let mut new = Self::default();
        for row in law.confusions().into_iter().flat_map(Confusions::rows) {
            if row.to.is_empty() {
                let message = format!(
                    "the row of {:?} leaves nothing, which channel decoding does not undo; leave it out, deletions do the same",
                    row.from
                );
                return Err(SettingsError::new("corrupt.confusions", message));
            }
            let own = law.confusion(graphemes(&row.from)).find(|(_, other, _)| std::ptr::eq(*other, row));
            let ln = own.map_or(f64::NEG_INFINITY, |(_, _, p)| p.ln());
            new.firsts.extend(graphemes(&row.from).next().map(str::to_owned));
            new.rows.push(Confused { from: row.from.clone(), to: row.to.clone(), ln });
        }
        Ok(new)
    }

    /// Whether there is a table, and it spares a grapheme: a substitution that is tried there does nothing.
    pub(super) fn spares(&self, grapheme: &str) -> bool {
        !self.rows.is_empty() && !self.firsts.contains(grapheme)
    }
}
