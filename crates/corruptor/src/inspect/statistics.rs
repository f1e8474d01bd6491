//! Counts over the pairs of a split.

use std::collections::BTreeMap;

use serde::{Serialize, Serializer};

use super::check::Distances;
use crate::event::Event;
use crate::grapheme::grapheme_count;
use crate::op::{EventOp, Op};
use crate::pair::Pair;

/// What the pairs of a split hold.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SplitStatistics {
    /// Rows.
    pub rows: u64,
    /// Documents.
    pub documents: u64,
    /// Distinct passages: rows with copy 0.
    pub passages: u64,
    /// Rows whose texts are equal.
    pub unchanged: u64,
    /// Graphemes of all originals.
    pub graphemes: u64,
    /// Bytes of all originals.
    pub original_bytes: u64,
    /// Σ distances / Σ graphemes of the originals.
    pub cer: f64,
    /// The same for each noise level, in increasing order; the key is the level.
    #[serde(serialize_with = "by_level")]
    pub levels: BTreeMap<u32, LevelStatistics>,
    /// Rows without a noise level: real pairs. Absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub real: Option<LevelStatistics>,
    /// Logged events of each operation that occurs.
    pub events: BTreeMap<EventOp, OpStatistics>,
    /// Rows by corpus name; what goes beyond the first thousand names is counted under [`OTHER_SOURCES`].
    #[serde(skip)]
    pub sources: BTreeMap<String, SourceStatistics>,
    /// Rows by error rate: entry 0 those without an error, entry n those above n − 1 and up to n per cent, the last one the rest.
    #[serde(skip)]
    pub cer_rows: CerRows,
    #[serde(skip)]
    edits: u64,
}

/// Names of sources that are counted one by one.
pub(super) const SOURCES_KEPT: usize = 1_000;

/// The name under which sources beyond the first thousand are counted.
pub const OTHER_SOURCES: &str = "(other sources)";

/// Rows by error rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CerRows(pub [u64; Self::BINS]);

impl CerRows {
    /// Bins: 0, up to 1 %, …, up to 100 %, above.
    pub const BINS: usize = 102;

    fn add(&mut self, distances: Distances) {
        let of = distances.graphemes.max(1);
        let bin = (100 * distances.edits).div_ceil(of).min(Self::BINS as u64 - 1);
        self.0[bin as usize] += 1;
    }
}

impl Default for CerRows {
    fn default() -> Self {
        Self([0; Self::BINS])
    }
}

/// Rows of one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceStatistics {
    /// Rows.
    pub rows: u64,
    /// Documents.
    pub documents: u64,
    /// Bytes of the originals.
    pub original_bytes: u64,
}

/// Rows of one noise level.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct LevelStatistics {
    /// Rows.
    pub rows: u64,
    /// Σ distances / Σ graphemes of the originals.
    pub cer: f64,
    #[serde(skip)]
    edits: u64,
    #[serde(skip)]
    graphemes: u64,
}

/// Logged events of one operation: after cuts at the end of a text, and without those that changed nothing.
#[derive(Clone, Debug, Default, Serialize)]
pub struct OpStatistics {
    /// Events.
    pub events: u64,
    /// Events in 1,000 graphemes of original.
    pub per_1000_graphemes: f64,
    /// Mean span length in graphemes.
    pub mean_span: f64,
    /// Longest span in graphemes.
    pub max_span: u64,
    /// Events of each span length in graphemes.
    #[serde(skip)]
    pub spans: BTreeMap<u64, u64>,
}

impl SplitStatistics {
    /// Counts a pair; `is_new_document` where its document has not been seen before.
    pub(super) fn add(&mut self, pair: &Pair, distances: Distances, is_new_document: bool) {
        self.rows += 1;
        self.documents += u64::from(is_new_document);
        self.passages += u64::from(pair.copy == 0);
        self.unchanged += u64::from(pair.original == pair.corrupted);
        self.original_bytes += pair.original.len() as u64;
        self.graphemes += distances.graphemes;
        self.edits += distances.edits;
        self.cer_rows.add(distances);
        let source = self.source(&pair.source);
        source.rows += 1;
        source.documents += u64::from(is_new_document);
        source.original_bytes += pair.original.len() as u64;
        let level = match pair.noise {
            // Non-negative floats order like their bits.
            Some(noise) => self.levels.entry(noise.to_bits()).or_default(),
            None => self.real.get_or_insert_default(),
        };
        level.rows += 1;
        level.edits += distances.edits;
        level.graphemes += distances.graphemes;
        for event in &pair.events {
            let op = self.events.entry(event.op).or_default();
            op.events += 1;
            *op.spans.entry(span_graphemes(event)).or_default() += 1;
        }
    }

    fn source(&mut self, name: &str) -> &mut SourceStatistics {
        let is_kept = self.sources.len() < SOURCES_KEPT || self.sources.contains_key(name);
        let name = if is_kept { name } else { OTHER_SOURCES };
        self.sources.entry(name.to_owned()).or_default()
    }

    /// Forms the ratios, when everything is counted.
    pub(super) fn finish(&mut self) {
        self.cer = ratio(self.edits, self.graphemes);
        for level in self.levels.values_mut().chain(&mut self.real) {
            level.cer = ratio(level.edits, level.graphemes);
        }
        for op in self.events.values_mut() {
            op.per_1000_graphemes = 1000.0 * ratio(op.events, self.graphemes);
            op.mean_span = ratio(op.spans.iter().map(|(length, count)| length * count).sum(), op.events);
            op.max_span = op.spans.keys().next_back().copied().unwrap_or_default();
        }
    }
}

/// The graphemes that the event was about: those it puts in, or those it found; of an edit, the larger number.
fn span_graphemes(event: &Event) -> u64 {
    let (found, put) =
        (|| grapheme_count(&event.removed) as u64, || grapheme_count(&event.replacement) as u64);
    match event.op {
        EventOp::Channel(Op::Insertion) => put(),
        EventOp::Channel(_) => found(),
        EventOp::Edit => found().max(put()),
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn by_level<S: Serializer>(
    levels: &BTreeMap<u32, LevelStatistics>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(levels.iter().map(|(bits, level)| (f32::from_bits(*bits).to_string(), level)))
}
