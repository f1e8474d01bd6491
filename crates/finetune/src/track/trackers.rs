//! All trackers of a run. None of them can stop it.

use super::{DvcLive, End, Metric, RunFacts, TensorBoard, TrackOptions, Tracker};
use crate::progress::Progress;

/// A tracker, and whether its failure has been told.
#[derive(Debug)]
struct Tracked {
    tracker: Box<dyn Tracker>,
    told: bool,
    lost: u64,
}

/// The trackers of a run.
#[derive(Debug)]
pub struct Trackers {
    trackers: Vec<Tracked>,
    ended: bool,
}

impl Trackers {
    /// Starts the trackers that `options` names, and those that every run has.
    pub fn start(options: &TrackOptions, facts: &RunFacts, progress: &Progress) -> Self {
        let mut trackers: Vec<Box<dyn Tracker>> = vec![Box::new(DvcLive::new(&facts.directory))];
        if options.tensorboard {
            trackers.push(Box::new(TensorBoard::new(&facts.directory)));
        }
        #[cfg(feature = "mlflow")]
        if let Some(mlflow) = &options.mlflow {
            trackers.push(Box::new(super::Mlflow::new(mlflow.clone())));
        }
        Self::with(trackers, facts, progress)
    }

    /// Starts `trackers`.
    pub fn with(trackers: Vec<Box<dyn Tracker>>, facts: &RunFacts, progress: &Progress) -> Self {
        let tracked = |tracker| Tracked { tracker, told: false, lost: 0 };
        let mut trackers = Self { trackers: trackers.into_iter().map(tracked).collect(), ended: false };
        trackers.each(progress, |tracker| tracker.start(facts));
        trackers
    }

    /// Figures of one step. What is not finite is left out: no tool can draw it.
    pub fn metrics(&mut self, step: u64, metrics: &[Metric], progress: &Progress) {
        let finite: Vec<Metric> = metrics.iter().copied().filter(|(_, value)| value.is_finite()).collect();
        self.each(progress, |tracker| tracker.metrics(step, &finite));
    }

    /// Ends the run.
    pub fn finish(&mut self, end: End<'_>, progress: &Progress) {
        self.ended = true;
        self.each(progress, |tracker| tracker.finish(end));
        for Tracked { tracker, lost, .. } in &self.trackers {
            if *lost > 0 {
                progress.note(&format!("{}: {lost} of its records were not kept", tracker.name()));
            }
        }
    }

    /// Calls every tracker. The first failure of each is told; it is called again the next time.
    fn each(
        &mut self,
        progress: &Progress,
        mut call: impl FnMut(&mut dyn Tracker) -> Result<(), super::TrackError>,
    ) {
        for Tracked { tracker, told, lost } in &mut self.trackers {
            if let Err(error) = call(tracker.as_mut()) {
                *lost += 1;
                if !std::mem::replace(told, true) {
                    let name = tracker.name();
                    progress.note(&format!("{name}: {error}; the training goes on"));
                }
            }
            for notice in tracker.notices() {
                progress.note(&format!("{}: {notice}", tracker.name()));
            }
        }
    }
}

/// A run that ends by an error never calls [`Trackers::finish`].
impl Drop for Trackers {
    fn drop(&mut self) {
        if !self.ended {
            self.finish(End::Failed, &Progress::hidden());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::track::TrackError;
    use std::sync::{Arc, Mutex};

    #[derive(Debug, Default)]
    struct Broken {
        calls: Arc<Mutex<Vec<String>>>,
    }

    impl Broken {
        fn fail(&self, call: String) -> Result<(), TrackError> {
            self.calls.lock().unwrap().push(call);
            Err(TrackError::Malformed { path: "x".into(), what: "broken".to_owned() })
        }
    }

    impl Tracker for Broken {
        fn name(&self) -> &'static str {
            "broken"
        }

        fn start(&mut self, _: &RunFacts) -> Result<(), TrackError> {
            self.fail("start".to_owned())
        }

        fn metrics(&mut self, step: u64, metrics: &[Metric]) -> Result<(), TrackError> {
            self.fail(format!("{step} {metrics:?}"))
        }

        fn finish(&mut self, end: End<'_>) -> Result<(), TrackError> {
            self.fail(format!("{end:?}"))
        }
    }

    #[test]
    fn a_tracker_that_fails_is_called_again_and_stops_nothing() {
        let facts = super::super::dvclive::tests::facts(std::path::Path::new("."));
        let broken = Broken::default();
        let calls = Arc::clone(&broken.calls);
        let progress = Progress::hidden();
        let mut trackers = Trackers::with(vec![Box::new(broken)], &facts, &progress);
        trackers.metrics(1, &[("a", 1.0), ("b", f64::NAN)], &progress);
        assert!(trackers.trackers[0].told);
        assert_eq!(trackers.trackers[0].lost, 2);
        drop(trackers);
        assert_eq!(*calls.lock().unwrap(), ["start", "1 [(\"a\", 1.0)]", "Failed"]);
    }
}
