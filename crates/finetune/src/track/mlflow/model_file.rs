//! `MLmodel`: what tells the server that a folder of artifacts is a model, and of which kind.

use serde_json::{Map, Value, json};

use super::run::now_ms;
use crate::track::RunFacts;

/// The file's content. There is one flavour, ours: the checkpoint is loaded by `serve` and the library, not by Python.
pub(super) fn model_file(facts: &RunFacts, run_id: &str, bytes: u64) -> Map<String, Value> {
    let file = json!({
        "artifact_path": "model",
        "flavors": {
            "revertant": {
                "family": facts.family,
                "version": env!("CARGO_PKG_VERSION"),
                "weights": "model.safetensors",
            },
        },
        "model_size_bytes": bytes,
        "model_uuid": blake3::hash(format!("{run_id}/model").as_bytes()).to_hex().as_str()[..32],
        "run_id": run_id,
        "utc_time_created": utc(now_ms()),
    });
    match file {
        Value::Object(entries) => entries,
        _ => Map::new(),
    }
}

/// Milliseconds since 1970 as `2026-01-31 23:59:59.000`.
fn utc(ms: u64) -> String {
    let (days, time) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = civil(days);
    let (hours, minutes, seconds) = (time / 3_600_000, time / 60_000 % 60, time / 1000 % 60);
    format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02}.{:03}", time % 1000)
}

/// Year, month and day of a day since 1970, by Hinnant's algorithm: years begin in March, so that the leap day is their last.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00:00.000");
        assert_eq!(utc(951_782_400_123), "2000-02-29 00:00:00.123");
        assert_eq!(utc(1_735_689_599_999), "2024-12-31 23:59:59.999");
    }
}
