//! One model whose versions come and go while it is served.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use restorer::Restorer;
use tokio::sync::Mutex;

use crate::{failure::Failure, metrics, scheduler::Limits};

use super::{
    origin::{Origin, Version},
    served::Served,
};

/// What became of a look at the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// It holds what is served, or what was refused before.
    Unchanged,
    /// Another version is served now.
    Swapped,
}

/// Why a model did not go back to the version before.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// There was only one so far.
    #[error("the model `{0}` has had one version only since the server started")]
    OnlyOne(String),
    /// Other files lie where it was.
    #[error("the version before is gone: other files lie where it was")]
    Gone,
    /// It was not loaded.
    #[error("the version before cannot be loaded: {0}")]
    Load(Failure),
}

/// A model by name: what is served of it now, and where the next version comes from.
pub struct Track {
    name: String,
    limits: Limits,
    origin: Arc<dyn Origin>,
    current: ArcSwapOption<Served>,
    /// Held while a version is loaded: one at a time.
    history: Mutex<History>,
}

#[derive(Default)]
struct History {
    /// The version before, and its digest.
    previous: Option<(Version, String)>,
    /// What the origin named when something was last decided: served, or refused. Nothing is decided anew until it names another.
    decided: Option<Version>,
}

impl Track {
    /// A model that is not loaded yet.
    pub fn new(name: impl Into<String>, origin: Arc<dyn Origin>, limits: Limits) -> Self {
        let (current, history) = (ArcSwapOption::empty(), Mutex::default());
        Self { name: name.into(), limits, origin, current, history }
    }

    /// What requests and metrics call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is served now; nothing before the first version is loaded.
    pub fn current(&self) -> Option<Arc<Served>> {
        self.current.load_full()
    }

    /// Looks at the origin and serves what it holds, where that is new. What is under way with the version before is answered by it.
    ///
    /// # Errors
    ///
    /// Where the origin cannot be asked, or what it holds cannot be served; then everything stays as it is.
    pub async fn refresh(&self) -> Result<Refreshed, Failure> {
        let mut history = self.history.lock().await;
        let origin = Arc::clone(&self.origin);
        let version = blocking(move || origin.version()).await?;
        if history.decided.as_ref() == Some(&version) {
            return Ok(Refreshed::Unchanged);
        }
        if self.current.load().as_ref().is_some_and(|served| *served.version() == version) {
            history.decided = Some(version);
            return Ok(Refreshed::Unchanged);
        }
        match self.load(&version).await.and_then(|model| self.start(version.clone(), model)) {
            Ok(served) => {
                self.swap(served, &mut history);
                history.decided = Some(version);
                metrics::reload(&self.name, "loaded");
                Ok(Refreshed::Swapped)
            }
            Err(error) => {
                // What could not be fetched is tried again.
                if !error.may_pass() {
                    history.decided = Some(version);
                }
                metrics::reload(&self.name, "refused");
                Err(error)
            }
        }
    }

    /// Serves the version before again; asked twice, it is back where it was. What the origin names now is not
    /// taken again until it has named another.
    ///
    /// # Errors
    ///
    /// [`RollbackError`]; then everything stays as it is.
    pub async fn roll_back(&self) -> Result<Arc<Served>, RollbackError> {
        let mut history = self.history.lock().await;
        let Some((version, digest)) = history.previous.clone() else {
            return Err(RollbackError::OnlyOne(self.name.clone()));
        };
        let model = self.load(&version).await.map_err(RollbackError::Load)?;
        if model.info().digest != digest {
            return Err(RollbackError::Gone);
        }
        let served = self.start(version, model).map_err(RollbackError::Load)?;
        let served = self.swap(served, &mut history);
        metrics::reload(&self.name, "rolled_back");
        Ok(served)
    }

    async fn load(&self, version: &Version) -> Result<Arc<dyn Restorer>, Failure> {
        let (origin, version) = (Arc::clone(&self.origin), version.clone());
        blocking(move || origin.load(&version)).await
    }

    fn start(&self, version: Version, model: Arc<dyn Restorer>) -> Result<Served, Failure> {
        Served::start(&self.name, version, model, self.limits)
    }

    /// Puts `served` in the place of what is served.
    fn swap(&self, served: Served, history: &mut History) -> Arc<Served> {
        let served = Arc::new(served);
        metrics::model(&self.name, served.info());
        tracing::info!(
            name = self.name,
            version = %served.version(),
            family = served.info().family,
            digest = served.info().digest,
            parameters = served.info().parameters,
            "model"
        );
        // Whoever holds the old one still asks it; with the last of them it ends.
        if let Some(old) = self.current.swap(Some(Arc::clone(&served))) {
            if old.info().digest != served.info().digest {
                metrics::model_gone(&self.name, old.info());
            }
            history.previous = Some((old.version().clone(), old.info().digest.clone()));
        }
        served
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::system("load the model")(error.into()))?
}
