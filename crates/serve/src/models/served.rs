//! A loaded model and the engine that runs it.

use std::{sync::Arc, time::SystemTime};

use axum::http::HeaderValue;
use restorer::{ModelInfo, Restorer};

use crate::{
    failure::Failure,
    scheduler::{Limits, Scheduler},
};

use super::origin::Version;

/// A loaded model and the engine that runs it. Dropped by the last request that uses it, the engine ends after what waits.
pub struct Served {
    name: String,
    version: Version,
    scheduler: Scheduler,
    digest: HeaderValue,
    since: SystemTime,
}

impl Served {
    /// Starts the engine of `model`, which requests and metrics know by `name`.
    ///
    /// # Errors
    ///
    /// Where the operating system gives no thread.
    pub fn start(
        name: &str,
        version: Version,
        model: Arc<dyn Restorer>,
        limits: Limits,
    ) -> Result<Self, Failure> {
        let scheduler = Scheduler::start(model, limits, name).map_err(Failure::system("start the engine"))?;
        let digest = HeaderValue::from_str(&scheduler.model().digest)
            .unwrap_or_else(|_not_ascii| HeaderValue::from_static("unknown"));
        Ok(Self { name: name.to_owned(), version, scheduler, digest, since: SystemTime::now() })
    }

    /// What requests call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Which version of it this is.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// Its engine and its queue.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// What is known about it.
    pub fn info(&self) -> &ModelInfo {
        self.scheduler.model()
    }

    /// When it was loaded.
    pub fn since(&self) -> SystemTime {
        self.since
    }

    /// Its digest, as headers name it.
    pub(crate) fn digest(&self) -> HeaderValue {
        self.digest.clone()
    }
}
