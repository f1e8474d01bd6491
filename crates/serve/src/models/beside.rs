//! Versions beside the one that a name stands for: for comparisons.

use std::sync::Arc;

use super::{served::Served, track::Track};

/// What a version beside the first is for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Duty {
    /// It answers this share of the texts, in [0, 1].
    Answers(f64),
    /// It gets this share of the texts beside the one that answers, in [0, 1]; what it makes of them is measured and thrown away.
    Watches(f64),
}

/// A version beside the first.
pub struct Beside {
    /// The model.
    pub track: Arc<Track>,
    /// What it is for.
    pub duty: Duty,
}

/// A name that requests may give: the model that it stands for, and those beside it.
pub struct Slot {
    first: Arc<Track>,
    beside: Vec<Beside>,
}

impl Slot {
    /// A model with those beside it. The shares of those that answer should make 1 at most.
    pub fn new(first: Track, beside: Vec<Beside>) -> Self {
        Self { first: Arc::new(first), beside }
    }

    /// The model that the name stands for.
    pub fn first(&self) -> &Arc<Track> {
        &self.first
    }

    /// All of them, the first first.
    pub fn tracks(&self) -> impl Iterator<Item = &Arc<Track>> {
        std::iter::once(&self.first).chain(self.beside.iter().map(|beside| &beside.track))
    }

    /// Who answers `text`: always the same as long as the shares stay. What is not loaded gives its share to the first.
    pub(super) fn answering(&self, text: &str) -> Option<Arc<Served>> {
        let mut place = place(text);
        for beside in &self.beside {
            let Duty::Answers(share) = beside.duty else { continue };
            if place < share {
                return beside.track.current().or_else(|| self.first.current());
            }
            place -= share;
        }
        self.first.current()
    }

    /// Who gets `text` beside the one that answers.
    pub(super) fn watching(&self, text: &str) -> impl Iterator<Item = Arc<Served>> {
        let place = place(text);
        self.beside.iter().filter_map(move |beside| match beside.duty {
            Duty::Watches(share) if place < share => beside.track.current(),
            _ => None,
        })
    }
}

/// A place in [0, 1) that depends on the text alone.
fn place(text: &str) -> f64 {
    let digest = blake3::hash(text.as_bytes());
    let first = digest.as_bytes().iter().take(6).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    first as f64 / (1_u64 << 48) as f64
}
