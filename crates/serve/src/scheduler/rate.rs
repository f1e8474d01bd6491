//! How fast the engine works now.

use std::time::Duration;

/// Share of the newest batch in the moving average.
const WEIGHT: f64 = 0.2;
/// The answer while nothing has been measured.
const UNKNOWN: Duration = Duration::from_secs(1);
/// No client is told to wait longer than this.
const LONGEST: Duration = Duration::from_mins(10);

/// Moving average of the engine's speed, in tokens per second of work.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Rate {
    tokens_per_second: Option<f64>,
}

impl Rate {
    /// Takes a finished batch into the average.
    pub(super) fn record(&mut self, tokens: usize, elapsed: Duration) {
        if tokens == 0 {
            return;
        }
        // A clock tick of zero would make the speed infinite.
        let newest = tokens as f64 / elapsed.as_secs_f64().max(1e-6);
        self.tokens_per_second = Some(match self.tokens_per_second {
            Some(average) => average + WEIGHT * (newest - average),
            None => newest,
        });
    }

    /// The time that work on `tokens` takes at the current speed: at least a second, at most ten minutes.
    pub(super) fn time_for(self, tokens: usize) -> Duration {
        let Some(tokens_per_second) = self.tokens_per_second else { return UNKNOWN };
        let seconds = tokens as f64 / tokens_per_second;
        Duration::from_secs_f64(seconds.clamp(1.0, LONGEST.as_secs_f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_follows_the_measured_speed_within_its_bounds() {
        let mut rate = Rate::default();
        assert_eq!(rate.time_for(1_000_000), UNKNOWN);
        rate.record(1000, Duration::from_secs(1));
        assert_eq!(rate.time_for(5000), Duration::from_secs(5));
        assert_eq!(rate.time_for(1), Duration::from_secs(1));
        assert_eq!(rate.time_for(usize::MAX), LONGEST);
        rate.record(6000, Duration::from_secs(1));
        assert_eq!(rate.time_for(6000), Duration::from_secs(3));
        rate.record(1, Duration::ZERO);
        assert!(rate.time_for(1000) >= Duration::from_secs(1));
    }
}
