//! The names under which figures are tracked.

use serde_json::Value;

use crate::train::{EvaluationRecord, StepRecord};

/// A figure and its name; `/` separates a name's groups.
pub type Metric = (&'static str, f64);

impl StepRecord {
    /// The figures of the record, for trackers.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics = vec![
            ("train/loss", self.loss),
            ("train/gradient_norm", self.gradient_norm),
            ("train/learning_rate", self.learning_rate),
            ("train/tokens", self.tokens as f64),
            ("train/epoch", self.epoch as f64),
            ("train/skipped", self.skipped as f64),
            ("speed/tokens_per_second", self.tokens_per_second),
            ("speed/padding", self.padding),
            ("speed/elapsed_s", self.elapsed_s),
        ];
        metrics.extend(self.utilization.map(|share| ("speed/utilization", share)));
        metrics.extend(self.peak_memory_bytes.map(|bytes| ("speed/peak_memory_bytes", bytes as f64)));
        metrics
    }
}

impl EvaluationRecord {
    /// The figures of the record, for trackers.
    pub fn metrics(&self) -> Vec<Metric> {
        let mut metrics: Vec<Metric> = self.valid_loss.map(|loss| ("valid/loss", loss)).into_iter().collect();
        if let Some(restored) = &self.restored {
            metrics.extend([("valid/cer_before", restored.cer_before), ("valid/cer", restored.cer)]);
            metrics.extend(restored.reduction.map(|share| ("valid/reduction", share)));
            metrics.extend(restored.harm.map(|share| ("valid/harm", share)));
        }
        metrics
    }
}

/// Step and figures of a line of the log; none where it is none.
#[cfg(any(feature = "mlflow", test))]
pub(super) fn logged(line: &str) -> Option<(u64, Vec<Metric>)> {
    let step = serde_json::from_str::<StepRecord>(line).map(|record| (record.step, record.metrics()));
    let evaluation =
        || serde_json::from_str::<EvaluationRecord>(line).map(|record| (record.step, record.metrics()));
    step.or_else(|_| evaluation()).ok()
}

/// The figures of a finished run's `metrics.json`, for trackers.
pub fn summary_metrics(metrics: &Value) -> Vec<Metric> {
    const NAMES: [(&str, &str); 9] = [
        ("best_step", "final/best_step"),
        ("epochs", "final/epochs"),
        ("minutes", "final/minutes"),
        ("min_confidence", "final/min_confidence"),
        ("valid_loss", "final/valid_loss"),
        ("valid_cer_before", "final/valid_cer_before"),
        ("valid_cer", "final/valid_cer"),
        ("valid_reduction", "final/valid_reduction"),
        ("valid_harm", "final/valid_harm"),
    ];
    NAMES.iter().filter_map(|(key, name)| Some((*name, metrics.get(key)?.as_f64()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_log_gives_its_figures() {
        let record = StepRecord {
            step: 7,
            epoch: 0,
            loss: 0.5,
            learning_rate: 1e-3,
            gradient_norm: 1.5,
            tokens_per_second: 100.0,
            tokens: 700,
            skipped: 0,
            utilization: None,
            padding: 0.25,
            peak_memory_bytes: Some(1 << 30),
            elapsed_s: 2.0,
        };
        let line = serde_json::to_string(&record).unwrap();
        assert_eq!(logged(&line), Some((7, record.metrics())));
        let line = r#"{"step": 9, "valid_loss": 1.25, "best": true, "elapsed_s": 1}"#;
        assert_eq!(logged(line), Some((9, vec![("valid/loss", 1.25)])));
        let line = r#"{"step": 9, "valid_loss": null, "valid_cer_before": 0.1, "valid_cer": 0.05, "valid_reduction": 0.5, "valid_harm": null, "best": true, "elapsed_s": 1}"#;
        let figures = vec![("valid/cer_before", 0.1), ("valid/cer", 0.05), ("valid/reduction", 0.5)];
        assert_eq!(logged(line), Some((9, figures)));
        assert_eq!(logged("{\"step\": 1, \"lo"), None);
    }
}
