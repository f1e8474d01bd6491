//! Learning-rate schedules: linear warm-up, then one of several ways down.
//!
//! A schedule is a function of the step alone, so a run in slices follows the same curve as one without a break.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// The way from the peak to the last value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// The peak to the end.
    Constant,
    /// A straight line.
    Linear,
    /// Half a cosine (Loshchilov and Hutter, "SGDR", 2017, without restarts).
    #[default]
    Cosine,
    /// The peak, then a straight line in the last steps (Hu et al., "`MiniCPM`", 2024, arXiv 2404.06395).
    WarmupStableDecay,
}

/// Linear warm-up, then a way down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// The way down.
    pub kind: ScheduleKind,
    /// Steps of the whole run.
    pub steps: u64,
    /// Steps until the peak is reached.
    pub warmup_steps: u64,
    /// Of [`ScheduleKind::WarmupStableDecay`]: share of the steps in which it falls.
    pub decay_share: f64,
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
        let above_final = match self.kind {
            ScheduleKind::Constant => return 1.0,
            ScheduleKind::Linear => 1.0 - progress,
            ScheduleKind::Cosine => 0.5 * (1.0 + (PI * progress).cos()),
            ScheduleKind::WarmupStableDecay => {
                let falling = (self.decay_share * self.steps as f64 / span as f64).clamp(1e-9, 1.0);
                ((1.0 - progress) / falling).min(1.0)
            }
        };
        self.final_share + (1.0 - self.final_share) * above_final
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [ScheduleKind; 4] =
        [ScheduleKind::Constant, ScheduleKind::Linear, ScheduleKind::Cosine, ScheduleKind::WarmupStableDecay];

    fn schedule(kind: ScheduleKind) -> Schedule {
        Schedule { kind, steps: 100, warmup_steps: 10, decay_share: 0.2, final_share: 0.1 }
    }

    #[test]
    fn rise_then_fall_to_the_final_share() {
        for kind in KINDS {
            let schedule = schedule(kind);
            let factors: Vec<f64> = (0..100).map(|step| schedule.factor(step)).collect();
            assert!((factors[0] - 0.1).abs() < 1e-12);
            assert!((factors[9] - 1.0).abs() < 1e-12);
            assert!((factors[10] - 1.0).abs() < 1e-12);
            assert!(factors[..10].is_sorted());
            assert!(factors[10..].is_sorted_by(|a, b| a >= b));
            let last = if kind == ScheduleKind::Constant { 1.0 } else { 0.1 };
            assert!((factors[99] - last).abs() < 1e-12, "{kind:?}");
            assert!((schedule.factor(5000) - last).abs() < 1e-12);
        }
    }

    #[test]
    fn each_takes_its_own_way() {
        let halfway = |kind| schedule(kind).factor(54);
        assert!((halfway(ScheduleKind::Linear) - 0.555).abs() < 0.01);
        assert!((halfway(ScheduleKind::Cosine) - 0.559).abs() < 0.01);
        let stable = schedule(ScheduleKind::WarmupStableDecay);
        assert!((stable.factor(78) - 1.0).abs() < 1e-12 && stable.factor(81) < 1.0);
        assert!((stable.factor(89) - 0.55).abs() < 0.01);
    }

    #[test]
    fn short_runs_stay_in_range() {
        for kind in KINDS {
            for (steps, warmup_steps) in [(1, 0), (1, 5), (2, 1), (3, 3)] {
                let schedule = Schedule { kind, steps, warmup_steps, decay_share: 0.0, final_share: 0.0 };
                assert!((0..steps).all(|step| (0.0..=1.0).contains(&schedule.factor(step))));
            }
        }
    }
}
