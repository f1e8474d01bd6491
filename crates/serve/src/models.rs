//! The models that a server has, by name.

use std::{sync::Arc, time::SystemTime};

use axum::http::HeaderValue;
use restorer::ModelInfo;

use crate::{
    error::{ApiError, Kind},
    list::list,
    scheduler::Scheduler,
};

/// A loaded model and the engine that runs it.
pub struct Served {
    name: String,
    scheduler: Scheduler,
    digest: HeaderValue,
    since: SystemTime,
}

impl Served {
    /// Puts the parts together.
    pub fn new(name: impl Into<String>, scheduler: Scheduler) -> Self {
        let digest = HeaderValue::from_str(&scheduler.model().digest)
            .unwrap_or_else(|_not_ascii| HeaderValue::from_static("unknown"));
        Self { name: name.into(), scheduler, digest, since: SystemTime::now() }
    }

    /// What requests call it.
    pub fn name(&self) -> &str {
        &self.name
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

/// The models of a server: at least one.
pub struct Models {
    first: Arc<Served>,
    others: Vec<Arc<Served>>,
}

impl Models {
    /// The models with the one that requests get unless they name another. Of equal names the first counts.
    pub fn new(first: Served, others: Vec<Served>) -> Self {
        Self { first: Arc::new(first), others: others.into_iter().map(Arc::new).collect() }
    }

    /// The model of this name; the first where there is no name.
    ///
    /// # Errors
    ///
    /// [`Kind::UnknownModel`], with the names of those that are there.
    pub fn get(&self, name: Option<&str>) -> Result<&Arc<Served>, ApiError> {
        let Some(name) = name else { return Ok(&self.first) };
        self.all().find(|model| model.name == name).ok_or_else(|| {
            let known = list(self.all().map(|model| model.name.as_str()));
            ApiError::new(Kind::UnknownModel, format!("there is no model `{name}`; there are {known}"))
                .at("/model")
        })
    }

    /// All of them, the first first.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Served>> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// Whether every engine runs.
    pub fn are_alive(&self) -> bool {
        self.all().all(|model| model.scheduler.is_alive())
    }

    /// Whether every engine takes requests.
    pub fn are_open(&self) -> bool {
        self.all().all(|model| model.scheduler.is_open())
    }

    /// Blocks until everything that waited is answered and all engines have ended.
    pub fn drain(&self) {
        for model in self.all() {
            model.scheduler.close();
        }
        for model in self.all() {
            model.scheduler.drain();
        }
    }
}
