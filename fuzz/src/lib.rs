//! What the targets share: settings small enough that a run explores inputs instead of waiting for them.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use corruptor::documents::{DocumentOptions, Documents, Record};
use corruptor::{CorruptSettings, Event, EventOp, Pair, Passage, pair_id};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use tempfile::TempDir;

/// A directory that lives as long as the process; its files are overwritten by every input.
pub struct Scratch(TempDir);

impl Default for Scratch {
    fn default() -> Self {
        Self(tempfile::tempdir().expect("a fuzzing machine has a temporary directory"))
    }
}

impl Scratch {
    /// The path of a name in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        let mut file = fs::File::create(&path).expect("the temporary directory can be written");
        file.write_all(bytes).expect("the temporary directory has room");
        path
    }
}

thread_local! {
    static SCRATCH: Scratch = Scratch::default();
}

/// Runs `body` with this thread's scratch directory.
pub fn with_scratch<T>(body: impl FnOnce(&Scratch) -> T) -> T {
    SCRATCH.with(body)
}

/// Lets panics pass that the program turns into errors; every other one still ends the run.
pub fn pass_guarded_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !corruptor::is_guarded() {
            hook(panic);
        }
    }));
}

/// Reads a file of documents to its end: records have text, skips and errors have places that print.
pub fn read_documents(path: &Path) {
    let options = DocumentOptions { max_record_bytes: 1 << 16, ..DocumentOptions::default() };
    let documents = match Documents::open(&[path.to_path_buf()], options) {
        Ok(documents) => documents,
        Err(error) => return drop(error.to_string()),
    };
    for record in documents {
        match record {
            Ok(Record::Document(document)) => assert!(!document.text.is_empty()),
            Ok(Record::Skipped(skip)) => drop(skip.place.to_string()),
            Err(error) => drop(error.to_string()),
        }
    }
}

/// Whether building a channel from these settings is quick: tables grow with the longest span.
pub fn is_small(settings: &CorruptSettings) -> bool {
    corruptor::Op::ALL.into_iter().all(|op| settings.op(op).max <= 4_096)
}

/// An event of any kind at any place.
#[derive(Clone, Debug, Arbitrary)]
pub struct AnyEvent {
    op: u8,
    start: u16,
    /// `None`: as long as what it removes.
    length: Option<u16>,
    removed: String,
    replacement: String,
}

impl From<AnyEvent> for Event {
    fn from(any: AnyEvent) -> Self {
        let AnyEvent { op, start, length, removed, replacement } = any;
        Self {
            op: EventOp::ALL[usize::from(op) % EventOp::ALL.len()],
            start: start.into(),
            length: length.map_or(removed.len() as u32, u32::from),
            removed,
            replacement,
        }
    }
}

/// A pair of any kind; events over its own original are more likely than strangers.
#[derive(Clone, Debug, Arbitrary)]
pub struct AnyPair {
    source: String,
    doc_id: String,
    start: u64,
    copy: u32,
    noise: Option<f32>,
    original: String,
    corrupted: String,
    events: Vec<AnyEvent>,
    cer: f32,
    id: Option<u64>,
    fits: bool,
}

impl From<AnyPair> for Pair {
    fn from(any: AnyPair) -> Self {
        let AnyPair { source, doc_id, start, copy, noise, original, corrupted, events, cer, id, fits } = any;
        let passage = Passage { source: &source, doc_id: &doc_id, start, text: &original };
        let id = id.unwrap_or_else(|| pair_id(&passage, copy));
        let events = if fits {
            corruptor::align(&original, &corrupted)
        } else {
            events.into_iter().map(Event::from).collect()
        };
        Self { id, doc_id, source, start, copy, noise, original, corrupted, events, cer }
    }
}
