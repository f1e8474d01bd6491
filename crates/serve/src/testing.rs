//! A restorer for unit tests, where behaviour has to be forced: it blocks, fails and panics when it is told to.

use std::sync::{Arc, Condvar, Mutex};

use restorer::{ModelInfo, Restoration, RestoreError, RestoreRequest, Restorer};

/// Returns each text unchanged, one token a byte. `refuse` is an error, `panic` a panic, and while the gate is shut a
/// batch does not end.
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
            parameters: 0,
            window_bytes: 64,
            min_confidence: 0.0,
            calibrated: true,
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
    fn restore(&self, requests: &[RestoreRequest]) -> Result<Vec<Restoration>, RestoreError> {
        let texts: Vec<_> = requests.iter().map(|request| request.text.clone()).collect();
        self.batches.lock().unwrap().push(texts.clone());
        self.gate.pass();
        assert!(!texts.iter().any(|text| text == "panic"), "asked to");
        if texts.iter().any(|text| text == "refuse") {
            return Err(RestoreError::Config { key: "test", message: "asked to".to_owned() });
        }
        let same = |text| Restoration {
            text,
            edits: vec![],
            confidence: 1.0,
            calibrated: true,
            passes: 1,
            alternatives: vec![],
        };
        Ok(texts.into_iter().map(same).collect())
    }

    fn tokens(&self, text: &str) -> usize {
        text.len()
    }

    fn info(&self) -> &ModelInfo {
        &self.info
    }
}

/// A request for `text` with the model's own options.
pub(crate) fn request(text: &str) -> RestoreRequest {
    RestoreRequest::new(text)
}
