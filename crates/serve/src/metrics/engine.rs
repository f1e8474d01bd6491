//! What the engine of a model counts.

use std::time::Duration;

use ::metrics::{Counter, Gauge, Histogram, SharedString, counter, gauge, histogram};
use restorer::{ModelInfo, Profile, engine::Usage};

use super::{
    CACHE_BYTES, CANCELLED, DRIFT, EDIT_CONFIDENCE, EDIT_RATE, EDITS, FAILED, FIRST_PIECE_SECONDS, PASSES,
    QUEUE_SECONDS, QUEUE_TEXTS, QUEUE_TOKENS, RUNNING_TEXTS, STEP_SECONDS, STEP_TOKENS, STEP_WINDOWS,
    TEXT_BYTES, TEXT_CONFIDENCE, TEXT_TOKENS, TEXTS,
};

/// Texts after which what came before counts half as much in the drift.
const HALF_LIFE: f64 = 1000.0;
/// Texts before which a drift says nothing.
const LEAST_TEXTS: f64 = 100.0;

/// What the engine of one model counts.
#[derive(Debug, Clone)]
pub(crate) struct EngineMetrics {
    model: SharedString,
    /// What the texts are compared with, where the model knows that.
    expected: Option<Profile>,
    /// The texts of late.
    served: Profile,
}

/// A text that the model is through with.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Restored {
    pub(crate) tokens: usize,
    pub(crate) bytes: usize,
    pub(crate) edits: usize,
    pub(crate) passes: usize,
    pub(crate) confidence: f32,
}

impl EngineMetrics {
    /// Of the model of this name; known from the first scrape, not from the first event.
    pub(crate) fn new(model: &str, info: &ModelInfo) -> Self {
        let expected = info.profile.clone();
        let metrics = Self { model: model.to_owned().into(), expected, served: Profile::default() };
        metrics.queue(0, 0);
        for name in [TEXTS, TEXT_BYTES, TEXT_TOKENS, EDITS, PASSES, CANCELLED] {
            metrics.counter(name).absolute(0);
        }
        for reason in ["refused", "panicked"] {
            counter!(FAILED, "model" => metrics.model.clone(), "reason" => reason).absolute(0);
        }
        metrics
    }

    fn counter(&self, name: &'static str) -> Counter {
        counter!(name, "model" => self.model.clone())
    }

    fn gauge(&self, name: &'static str) -> Gauge {
        gauge!(name, "model" => self.model.clone())
    }

    fn histogram(&self, name: &'static str) -> Histogram {
        histogram!(name, "model" => self.model.clone())
    }

    /// What waits now.
    pub(crate) fn queue(&self, texts: usize, tokens: usize) {
        self.gauge(QUEUE_TEXTS).set(texts as f64);
        self.gauge(QUEUE_TOKENS).set(tokens as f64);
    }

    /// A text's wait, over now.
    pub(crate) fn queue_wait(&self, time: Duration) {
        self.histogram(QUEUE_SECONDS).record(time.as_secs_f64());
    }

    /// Texts dropped or given up because their client had left.
    pub(crate) fn cancelled(&self, texts: usize) {
        if texts > 0 {
            self.counter(CANCELLED).increment(texts as u64);
        }
    }

    /// A step of the engine, and what is under way after it.
    pub(crate) fn step(&self, usage: &Usage, elapsed: Duration) {
        self.gauge(RUNNING_TEXTS).set(usage.texts as f64);
        self.gauge(CACHE_BYTES).set(usage.cache_bytes as f64);
        self.histogram(STEP_WINDOWS).record(usage.windows as f64);
        self.histogram(STEP_TOKENS).record(usage.step_tokens as f64);
        self.histogram(STEP_SECONDS).record(elapsed.as_secs_f64());
    }

    /// The first piece of a text, so long after it was queued.
    pub(crate) fn first_piece(&self, time: Duration) {
        self.histogram(FIRST_PIECE_SECONDS).record(time.as_secs_f64());
    }

    /// An edit of a text.
    pub(crate) fn edit(&self, confidence: f32) {
        self.histogram(EDIT_CONFIDENCE).record(f64::from(confidence));
    }

    /// A text that the model is through with.
    pub(crate) fn text(&self, text: &Restored) {
        self.counter(TEXTS).increment(1);
        self.counter(TEXT_BYTES).increment(text.bytes as u64);
        self.counter(TEXT_TOKENS).increment(text.tokens as u64);
        self.counter(EDITS).increment(text.edits as u64);
        self.counter(PASSES).increment(text.passes as u64);
    }

    /// The same, of a text that was restored.
    pub(crate) fn restored(&mut self, text: &Restored) {
        self.text(text);
        self.histogram(EDIT_RATE).record(100.0 * text.edits as f64 / text.bytes.max(1) as f64);
        self.histogram(TEXT_CONFIDENCE).record(f64::from(text.confidence));
        let Some(expected) = &self.expected else { return };
        self.served.fade(0.5_f64.powf(1.0 / HALF_LIFE));
        self.served.add(text.bytes, text.edits, text.confidence);
        if self.served.texts() < LEAST_TEXTS {
            return;
        }
        let drift = expected.drift(&self.served);
        for (of, index) in [("bytes", drift.bytes), ("edits", drift.edits), ("confidence", drift.confidence)]
        {
            gauge!(DRIFT, "model" => self.model.clone(), "of" => of).set(index);
        }
    }

    /// A text that the model failed on.
    pub(crate) fn failed(&self, panicked: bool) {
        let reason = if panicked { "panicked" } else { "refused" };
        counter!(FAILED, "model" => self.model.clone(), "reason" => reason).increment(1);
    }
}
