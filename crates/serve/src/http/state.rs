//! What every route can reach.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use metrics_exporter_prometheus::PrometheusHandle;

use crate::{
    cache::ResultCache,
    jobs::Jobs,
    keys::{AddressRate, Keys},
    models::Models,
};

/// Limits that hold for one HTTP request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Bytes of a file that is sent as a body.
    pub upload_bytes: usize,
    /// Time for a body to arrive.
    pub body_time: Duration,
    /// Time from the whole body to the answer.
    pub answer_time: Duration,
}

impl RequestLimits {
    /// [`RequestLimits::body_bytes`] unless told otherwise.
    pub const DEFAULT_BODY_BYTES: usize = 1 << 20;
    /// [`RequestLimits::upload_bytes`] unless told otherwise.
    pub const DEFAULT_UPLOAD_BYTES: usize = 1 << 30;
    /// [`RequestLimits::body_time`] unless told otherwise.
    pub const DEFAULT_BODY_TIME: Duration = Duration::from_secs(30);
    /// [`RequestLimits::answer_time`] unless told otherwise.
    pub const DEFAULT_ANSWER_TIME: Duration = Duration::from_mins(1);
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            body_bytes: Self::DEFAULT_BODY_BYTES,
            upload_bytes: Self::DEFAULT_UPLOAD_BYTES,
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
    jobs: OnceLock<Jobs>,
    also_ready_by: OnceLock<Unready>,
}

/// Tells why the server is not ready, if so.
type Unready = Box<dyn Fn() -> Option<&'static str> + Send + Sync>;

impl From<Parts> for AppState {
    fn from(parts: Parts) -> Self {
        let (draining, jobs, also_ready_by) = (AtomicBool::new(false), OnceLock::new(), OnceLock::new());
        Self(Arc::new(Inner { parts, draining, jobs, also_ready_by }))
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

    /// The jobs, where the server takes any.
    pub fn jobs(&self) -> Option<&Jobs> {
        self.0.jobs.get()
    }

    /// From now on the server takes jobs.
    pub fn take_jobs(&self, jobs: Jobs) {
        // It is done once, at the start.
        let _taken = self.0.jobs.set(jobs);
    }

    /// From now on the server is ready only while `unready` names no reason against it.
    pub fn also_ready_by(&self, unready: Unready) {
        // It is done once, at the start.
        let _set = self.0.also_ready_by.set(unready);
    }

    /// Why the server is not ready, where that is due to something else than its models.
    pub fn unready(&self) -> Option<&'static str> {
        self.0.also_ready_by.get().and_then(|unready| unready())
    }

    /// From now on the server is not ready, and jobs wait until it is started again.
    pub fn start_draining(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
        if let Some(jobs) = self.jobs() {
            jobs.stop();
        }
    }

    /// Whether the server drains.
    pub fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }
}
