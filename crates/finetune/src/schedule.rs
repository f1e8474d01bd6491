//! Learning-rate schedule: linear warm-up, then half a cosine down to a share of the peak.
//!
//! It is a function of the step alone, so a run in slices follows the same curve as one without a break.

use std::f64::consts::PI;

/// Linear warm-up, then cosine (Loshchilov and Hutter, "SGDR", 2017, without restarts).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Steps of the whole run.
    pub steps: u64,
    /// Steps until the peak is reached.
    pub warmup_steps: u64,
    /// Factor at the last step.
    pub final_share: f64,
}

impl Schedule {
    /// The factor on the peak learning rates at `step`, counted from 0: above 0 up to 1.
    pub fn factor(&self, step: u64) -> f64 {
        if step < self.warmup_steps {
            return (step + 1) as f64 / self.warmup_steps as f64;
        }
        let span = self.steps.saturating_sub(self.warmup_steps).saturating_sub(1).max(1);
        let progress = ((step - self.warmup_steps) as f64 / span as f64).min(1.0);
        self.final_share + (1.0 - self.final_share) * 0.5 * (1.0 + (PI * progress).cos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_then_falls_to_the_final_share() {
        let schedule = Schedule { steps: 100, warmup_steps: 10, final_share: 0.1 };
        let factors: Vec<f64> = (0..100).map(|step| schedule.factor(step)).collect();
        assert!((factors[0] - 0.1).abs() < 1e-12);
        assert!((factors[9] - 1.0).abs() < 1e-12);
        assert!((factors[10] - 1.0).abs() < 1e-12);
        assert!((factors[99] - 0.1).abs() < 1e-12);
        assert!(factors[..10].is_sorted());
        assert!(factors[10..].is_sorted_by(|a, b| a >= b));
        assert!((schedule.factor(5000) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn short_runs_stay_in_range() {
        for (steps, warmup_steps) in [(1, 0), (1, 5), (2, 1), (3, 3)] {
            let schedule = Schedule { steps, warmup_steps, final_share: 0.0 };
            assert!((0..steps).all(|step| (0.0..=1.0).contains(&schedule.factor(step))));
        }
    }
}
