//! A restorer for unit tests, where behaviour has to be forced: it blocks, fails and panics when it is told to.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex};

use restorer::{
    Decoding, ModelInfo, RestoreError, RestoreRequest, Restorer,
    engine::{Engine, EngineLimits, News, Piece, Summary, TextId, Usage},
};

use crate::{
    failure::Failure,
    models::origin::{Origin, Version},
    text_error::TextError,
};

/// Returns each text unchanged, one token a byte. `refuse` is an error, `panic` a panic, and while the gate is shut a
/// step does not end.
pub(crate) struct Script {
    info: ModelInfo,
    gate: Arc<Gate>,
    /// Texts of every batch, in the order of the calls.
    pub(crate) batches: Mutex<Vec<Vec<String>>>,
}

/// Holds up every batch while it is shut.
#[derive(Default)]
pub(crate) struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    shut: bool,
    waiting: usize,
}

impl Gate {
    pub(crate) fn shut(&self) {
        self.state.lock().unwrap().shut = true;
    }

    pub(crate) fn open(&self) {
        self.state.lock().unwrap().shut = false;
        self.changed.notify_all();
    }

    /// Blocks until a batch stands before the shut gate.
    pub(crate) fn wait_for_batch(&self) {
        let state = self.state.lock().unwrap();
        drop(self.changed.wait_while(state, |state| state.waiting == 0).unwrap());
    }

    fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.waiting += 1;
        self.changed.notify_all();
        let mut state = self.changed.wait_while(state, |state| state.shut).unwrap();
        state.waiting -= 1;
    }
}

impl Default for Script {
    fn default() -> Self {
        let info = ModelInfo {
            family: "script".to_owned(),
            digest: "0".to_owned(),
            decodings: vec![Decoding::Edits],
            parameters: 0,
            window_bytes: 64,
            min_confidence: 0.0,
            calibrated: true,
            text_calibrated: true,
            profile: None,
        };
        Self { info, gate: Arc::default(), batches: Mutex::default() }
    }
}

impl Script {
    pub(crate) fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }
}

impl Restorer for Script {
    fn engine(&self, limits: EngineLimits) -> Box<dyn Engine + '_> {
        Box::new(Steps { script: self, limits, texts: VecDeque::new() })
    }

    fn tokens(&self, text: &str) -> usize {
        text.len()
    }

    fn info(&self) -> &ModelInfo {
        &self.info
    }
}

/// Each step is a batch of whole texts, in order, as many as its tokens allow. `endless` is never done.
struct Steps<'s> {
    script: &'s Script,
    limits: EngineLimits,
    texts: VecDeque<(TextId, String)>,
}

impl Engine for Steps<'_> {
    fn join(&mut self, id: TextId, request: RestoreRequest) {
        self.texts.push_back((id, request.text));
    }

    fn leave(&mut self, id: TextId) {
        self.texts.retain(|(known, _)| *known != id);
    }

    fn step(&mut self, news: &mut Vec<News>) {
        let (mut batch, mut tokens) = (Vec::new(), 0);
        while let Some((id, text)) = self.texts.pop_front() {
            tokens += text.len();
            if tokens > self.limits.step_tokens && !batch.is_empty() {
                self.texts.push_front((id, text));
                break;
            }
            batch.push((id, text));
        }
        self.script.batches.lock().unwrap().push(batch.iter().map(|(_, text)| text.clone()).collect());
        self.script.gate.pass();
        for (id, text) in batch {
            match text.as_str() {
                "endless" => self.texts.push_back((id, text)),
                "panic" => news.push(News::Failed(id, RestoreError::Panicked("asked to".to_owned()))),
                "refuse" => {
                    let error = RestoreError::Config { key: "test", message: "asked to".to_owned() };
                    news.push(News::Failed(id, error));
                }
                _ => {
                    let piece = Piece { start: 0, end: text.len(), text, edits: vec![] };
                    news.push(News::Piece(id, piece));
                    news.push(News::Done(
                        id,
                        Summary { confidence: 1.0, calibrated: true, passes: 1, ..Summary::default() },
                    ));
                }
            }
        }
    }

    fn usage(&self) -> Usage {
        Usage { texts: self.texts.len(), ..Usage::default() }
    }
}

/// A request for `text` with the model's own options.
pub(crate) fn request(text: &str) -> RestoreRequest {
    RestoreRequest::new(text)
}

/// An origin whose versions are [`Script`]s: what it names, what is broken, and how often it was asked to load.
#[derive(Default)]
pub(crate) struct Versions {
    /// What it names now.
    pub(crate) named: Mutex<String>,
    /// What cannot be served.
    pub(crate) broken: Mutex<Vec<String>>,
    /// What it was asked to load.
    pub(crate) loads: Mutex<Vec<String>>,
}

impl Versions {
    pub(crate) fn name(&self, version: &str) {
        version.clone_into(&mut self.named.lock().unwrap());
    }
}

impl Origin for Versions {
    fn version(&self) -> Result<Version, Failure> {
        Ok(Version::scripted(&self.named.lock().unwrap()))
    }

    fn load(&self, version: &Version) -> Result<Arc<dyn Restorer>, Failure> {
        let version = version.to_string();
        self.loads.lock().unwrap().push(version.clone());
        if self.broken.lock().unwrap().contains(&version) {
            return Err(Failure::SelfCheck(TextError::Refused("asked to".to_owned())));
        }
        let mut script = Script::default();
        script.info.digest = version;
        Ok(Arc::new(script))
    }
}
