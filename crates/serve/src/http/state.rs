//! What every route can reach.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusHandle;

use crate::{
    cache::ResultCache,
    keys::{AddressRate, Keys},
    models::Models,
};

/// Limits that hold for one HTTP request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Time for a body to arrive.
    pub body_time: Duration,
    /// Time from the whole body to the answer.
    pub answer_time: Duration,
}

impl RequestLimits {
    /// [`RequestLimits::body_bytes`] unless told otherwise.
    pub const DEFAULT_BODY_BYTES: usize = 1 << 20;
    /// [`RequestLimits::body_time`] unless told otherwise.
    pub const DEFAULT_BODY_TIME: Duration = Duration::from_secs(30);
    /// [`RequestLimits::answer_time`] unless told otherwise.
    pub const DEFAULT_ANSWER_TIME: Duration = Duration::from_mins(1);
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            body_bytes: Self::DEFAULT_BODY_BYTES,
            body_time: Self::DEFAULT_BODY_TIME,
            answer_time: Self::DEFAULT_ANSWER_TIME,
        }
    }
}

/// The state behind the routes; a clone is another handle to the same.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

/// What the state is made of.
pub struct Parts {
    /// The models, their engines and queues.
    pub models: Models,
    /// The keys that let in; without any, everybody may come in.
    pub keys: Option<Keys>,
    /// How often an address may ask where there are no keys; without it, as often as it likes.
    pub addresses: Option<AddressRate>,
    /// What was answered before, where it is kept.
    pub cache: Option<ResultCache>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// Limits of one request.
    pub limits: RequestLimits,
}

struct Inner {
    parts: Parts,
    draining: AtomicBool,
}

impl From<Parts> for AppState {
    fn from(parts: Parts) -> Self {
        Self(Arc::new(Inner { parts, draining: AtomicBool::new(false) }))
    }
}

impl AppState {
    /// The models, their engines and queues.
    pub fn models(&self) -> &Models {
        &self.0.parts.models
    }

    /// The keys that let in; without any, everybody may come in.
    pub fn keys(&self) -> Option<&Keys> {
        self.0.parts.keys.as_ref()
    }

    /// How often an address may ask.
    pub fn addresses(&self) -> Option<&AddressRate> {
        self.0.parts.addresses.as_ref()
    }

    /// What was answered before, where it is kept.
    pub fn cache(&self) -> Option<&ResultCache> {
        self.0.parts.cache.as_ref()
    }

    /// Renders the metrics.
    pub fn metrics(&self) -> &PrometheusHandle {
        &self.0.parts.metrics
    }

    /// Limits of one request.
    pub fn limits(&self) -> &RequestLimits {
        &self.0.parts.limits
    }

    /// From now on the server is not ready.
    pub fn start_draining(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the server drains.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }
}
