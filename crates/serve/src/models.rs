//! The models that a server has, by name, and their versions.
//!
//! # Layout
//! - `origin` says where versions come from; `checkpoint` is the one that loads checkpoints, checked by `golden` texts.
//! - `served` is a loaded version with its engine.
//! - `track` is one model whose versions come and go, `beside` puts others next to it.
//! - `watched` compares those that only watch.
//! - `keep` loads at the start and looks for new versions.

pub mod beside;
pub mod checkpoint;
pub mod golden;
pub mod keep;
pub mod origin;
pub mod served;
pub mod track;
pub mod watched;

use std::sync::Arc;

use restorer::RestoreRequest;

use crate::{
    error::{ApiError, Kind},
    http::auth::Client,
    list::list,
};

use self::{beside::Slot, served::Served, track::Track, watched::Watched};

/// The models of a server: at least one.
pub struct Models {
    first: Slot,
    others: Vec<Slot>,
}

impl Models {
    /// The models with the one that requests get unless they name another. Of equal names the first counts.
    pub fn new(first: Slot, others: Vec<Slot>) -> Self {
        Self { first, others }
    }

    /// The model of this name; the first where there is no name. Hold it no longer than a request: while it is held, its version stays
    /// in memory.
    ///
    /// # Errors
    ///
    /// [`Kind::UnknownModel`], with the names of those that are there, and [`Kind::Unavailable`] while it is loaded.
    pub fn get(&self, name: Option<&str>) -> Result<Arc<Served>, ApiError> {
        self.track(name)?.current().ok_or_else(|| loading(name))
    }

    /// The same, or one beside it: whoever answers `text` by its share.
    ///
    /// # Errors
    ///
    /// As [`Models::get`].
    pub fn answering(&self, name: Option<&str>, text: &str) -> Result<Arc<Served>, ApiError> {
        match self.slot(name) {
            Some(slot) => slot.answering(text).ok_or_else(|| loading(name)),
            None => self.get(name),
        }
    }

    /// Those that watch what becomes of `requests` of `client`.
    pub(crate) fn watching(
        &self,
        name: Option<&str>,
        requests: &[RestoreRequest],
        client: &Client,
    ) -> Watched {
        self.slot(name).map_or_else(Watched::default, |slot| Watched::new(slot, requests, client))
    }

    /// The model of this name, loaded or not.
    ///
    /// # Errors
    ///
    /// [`Kind::UnknownModel`], with the names of those that are there.
    pub fn track(&self, name: Option<&str>) -> Result<&Arc<Track>, ApiError> {
        let Some(name) = name else { return Ok(self.first.first()) };
        self.tracks().find(|track| track.name() == name).ok_or_else(|| {
            let known = list(self.tracks().map(|track| track.name()));
            ApiError::new(Kind::UnknownModel, format!("there is no model `{name}`; there are {known}"))
                .at("/model")
        })
    }

    /// All of them, the first first, each followed by those beside it.
    pub fn tracks(&self) -> impl Iterator<Item = &Arc<Track>> {
        self.slots().flat_map(Slot::tracks)
    }

    /// All that are loaded, in the same order.
    pub fn all(&self) -> impl Iterator<Item = Arc<Served>> {
        self.tracks().filter_map(|track| track.current())
    }

    /// Whether every engine runs.
    pub fn are_alive(&self) -> bool {
        self.all().all(|model| model.scheduler().is_alive())
    }

    /// Whether every model that a name stands for is loaded, and every engine takes requests.
    pub fn are_open(&self) -> bool {
        self.slots().all(|slot| slot.first().current().is_some())
            && self.all().all(|model| model.scheduler().is_open())
    }

    /// Blocks until everything that waited is answered and all engines have ended.
    pub fn drain(&self) {
        for model in self.all() {
            model.scheduler().close();
        }
        for model in self.all() {
            model.scheduler().drain();
        }
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        std::iter::once(&self.first).chain(&self.others)
    }

    fn slot(&self, name: Option<&str>) -> Option<&Slot> {
        let Some(name) = name else { return Some(&self.first) };
        self.slots().find(|slot| slot.first().name() == name)
    }
}

fn loading(name: Option<&str>) -> ApiError {
    let name = name.map_or_else(|| "the model".to_owned(), |name| format!("the model `{name}`"));
    ApiError::unavailable(format!("{name} is still being loaded"))
}

#[cfg(test)]
mod tests;
