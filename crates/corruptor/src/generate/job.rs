//! The work of one row group: corrupt, build columns, encode.

use std::sync::Arc;

use super::CerColumn;
use super::plan::{Job, PartEnd};
use crate::channel::{AttemptCounts, Channel};
use crate::io_error::IoError;
use crate::op::Op;
use crate::pair::Passage;
use crate::pairs::{Columns, EncodedGroup, EventRow, GroupEncoder, Row, write_error};
use crate::random::pair_id;
use crate::split::Split;
use crate::walk::{EventSpan, Workspace};

/// What every job needs.
pub(super) struct Worker {
    pub(super) channel: Channel,
    pub(super) encoder: GroupEncoder,
    pub(super) cer: CerColumn,
}

/// A row group, ready to be written.
pub(super) struct Done {
    pub(super) split: Split,
    /// `None` if there was no row.
    pub(super) group: Option<EncodedGroup>,
    pub(super) rows: u64,
    pub(super) attempts: AttemptCounts,
    pub(super) ends_part: Option<PartEnd>,
}

impl Worker {
    pub(super) fn run(self: &Arc<Self>, job: Job) -> Result<Done, IoError> {
        let mut columns = Columns::with_capacity(job.rows, job.text_bytes);
        let mut attempts = AttemptCounts::default();
        let mut workspace = Workspace::default();
        for piece in &job.pieces {
            let text = &job.texts[piece.text.clone()];
            let (source, doc_id) = (piece.key.source.as_str(), piece.key.doc_id.as_str());
            let passage = Passage { source, doc_id, start: piece.start, text };
            for copy in piece.copies.clone() {
                let noise = self.channel.record(&mut workspace, &passage, copy);
                attempts.add(workspace.counts());
                let cer = match self.cer {
                    CerColumn::Measured => workspace.cer(text),
                    CerColumn::NotMeasured => f32::NAN,
                };
                let row = Row {
                    id: pair_id(&passage, copy),
                    doc_id,
                    source,
                    start: piece.start,
                    copy,
                    noise: Some(noise as f32),
                    original: text,
                    corrupted: workspace.text(),
                    cer,
                };
                let event = |span: &EventSpan| EventRow {
                    op: span.op.into(),
                    start: span.start,
                    length: span.length,
                    removed: span.removed(text),
                    replacement: span.replacement(workspace.text()),
                };
                columns.push(&row, workspace.spans().iter().map(event));
            }
        }
        let rows = columns.rows() as u64;
        let encode = || self.encoder.encode(columns).map_err(write_error(job.split.name().as_ref()));
        let group = (rows > 0).then(encode).transpose()?;
        Ok(Done { split: job.split, group, rows, attempts, ends_part: job.ends_part })
    }

    /// Bytes of memory that a job takes at its height, by its originals: their corruptions, their events, what they are
    /// encoded into.
    pub(super) fn memory_bytes(&self, job: &Job) -> usize {
        /// An event's fields, with offsets, as Arrow holds them and as the encoder does.
        const EVENT_BYTES: f64 = 64.0;
        let settings = self.channel.settings();
        let level = settings.levels.iter().copied().fold(0.0, f64::max);
        let spans: f64 = Op::ALL.into_iter().map(|op| settings.op(op)).map(|op| op.rate * op.mean).sum();
        let events = settings.total_rate() * level;
        let per_byte = 6.0 + events * EVENT_BYTES + spans * level * 4.0;
        (job.text_bytes as f64 * per_byte) as usize
    }
}
