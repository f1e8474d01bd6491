//! Loading at the start, and looking for new versions from then on.

use std::{sync::Arc, time::Duration};

use tokio::time::MissedTickBehavior;

use crate::failure::Failure;

use super::{Models, track::Track};

/// Loads all models, one after the other.
///
/// # Errors
///
/// Where one that a name stands for cannot be served. One beside it that cannot is told in the log, and tried again by [`keep`].
pub async fn load(models: &Models) -> Result<(), Failure> {
    for slot in models.slots() {
        slot.first().refresh().await?;
    }
    for track in models.tracks().filter(|track| track.current().is_none()) {
        refresh(track).await;
    }
    Ok(())
}

/// Looks for new versions every so often, each model by itself: one that takes long to load holds up no other.
pub async fn keep(tracks: Vec<Arc<Track>>, every: Duration) {
    let mut keepers = tokio::task::JoinSet::new();
    for track in tracks {
        keepers.spawn(async move {
            let mut ticks = tokio::time::interval(every);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // The first tick comes at once, and everything was loaded just now.
            ticks.tick().await;
            loop {
                ticks.tick().await;
                refresh(&track).await;
            }
        });
    }
    while keepers.join_next().await.is_some() {}
}

async fn refresh(track: &Track) {
    if let Err(error) = track.refresh().await {
        let serving = track.current().map(|served| served.version().to_string());
        tracing::error!(name = track.name(), %error, serving, "a version was not taken");
    }
}
