//! Prometheus metrics: names, meanings and the places that count. Times are seconds, sizes bytes or tokens.

mod engine;
#[cfg(feature = "kafka")]
pub(crate) mod stream;

use std::time::Duration;

use ::metrics::{Gauge, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use restorer::ModelInfo;

pub(crate) use self::engine::{EngineMetrics, Restored};

const HTTP_REQUESTS: &str = "revertant_http_requests_total";
const HTTP_SECONDS: &str = "revertant_http_request_duration_seconds";
const QUEUE_TEXTS: &str = "revertant_queue_texts";
const QUEUE_TOKENS: &str = "revertant_queue_tokens";
const QUEUE_SECONDS: &str = "revertant_queue_wait_seconds";
const RUNNING_TEXTS: &str = "revertant_running_texts";
const CACHE_BYTES: &str = "revertant_cache_bytes";
const RESULT_CACHE_HITS: &str = "revertant_result_cache_hits_total";
const RESULT_CACHE_MISSES: &str = "revertant_result_cache_misses_total";
const RESULT_CACHE_BYTES: &str = "revertant_result_cache_bytes";
const STEP_WINDOWS: &str = "revertant_step_windows";
const STEP_SECONDS: &str = "revertant_step_duration_seconds";
const TEXTS: &str = "revertant_texts_total";
const TEXT_BYTES: &str = "revertant_text_bytes_total";
const TEXT_TOKENS: &str = "revertant_text_tokens_total";
const EDITS: &str = "revertant_edits_total";
const PASSES: &str = "revertant_passes_total";
const FIRST_PIECE_SECONDS: &str = "revertant_first_piece_seconds";
const STEP_TOKENS: &str = "revertant_step_tokens";
const EDIT_CONFIDENCE: &str = "revertant_edit_confidence_ratio";
const TEXT_CONFIDENCE: &str = "revertant_text_confidence_ratio";
const EDIT_RATE: &str = "revertant_edits_per_hundred_bytes";
const DRIFT: &str = "revertant_drift_stability_index";
const CANCELLED: &str = "revertant_texts_cancelled_total";
const FAILED: &str = "revertant_texts_failed_total";
const REJECTED: &str = "revertant_errors_total";
const RELOADS: &str = "revertant_model_reloads_total";
const SHADOW_TEXTS: &str = "revertant_shadow_texts_total";
const SHADOW_DISTANCE: &str = "revertant_shadow_distance_ratio";
const MODEL: &str = "revertant_model_info";
const JOBS: &str = "revertant_jobs";
const JOB_ROWS: &str = "revertant_job_rows_total";
const JOB_SECONDS: &str = "revertant_job_duration_seconds";

/// Upper bounds of the buckets of every histogram of seconds.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Upper bounds of the buckets of every histogram of confidences.
const SHARES: &[f64] = &[0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0];
/// Upper bounds of the buckets of the histogram of edits for each 100 bytes.
const RATES: &[f64] = &[0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 12.0];
/// Upper bounds of the buckets of the histogram of error rates.
const RATIOS: &[f64] = &[0.0, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];
/// Upper bounds of the buckets of the seconds of jobs: from one to a day.
const JOB_BUCKETS: &[f64] = &[1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0];
/// Upper bounds of the buckets of every histogram of sizes: powers of four.
const SIZES: &[f64] =
    &[1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0];

/// The process's metrics could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up the metrics: {0}")]
pub struct MetricsError(#[from] metrics_exporter_prometheus::BuildError);

/// Installs the recorder of this process; what it returns renders the text format.
///
/// # Errors
///
/// Where another recorder is installed already.
pub fn install() -> Result<PrometheusHandle, MetricsError> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)?
        .set_buckets_for_metric(Matcher::Full(SHADOW_DISTANCE.to_owned()), RATIOS)?
        .set_buckets_for_metric(Matcher::Suffix("_confidence_ratio".to_owned()), SHARES)?
        .set_buckets_for_metric(Matcher::Full(EDIT_RATE.to_owned()), RATES)?
        .set_buckets_for_metric(Matcher::Full(JOB_SECONDS.to_owned()), JOB_BUCKETS)?
        .set_buckets_for_metric(Matcher::Full(STEP_WINDOWS.to_owned()), SIZES)?
        .set_buckets_for_metric(Matcher::Full(STEP_TOKENS.to_owned()), SIZES)?;
    #[cfg(feature = "kafka")]
    let builder = stream::SIZES.into_iter().try_fold(builder, |builder, name| {
        builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), SIZES)
    })?;
    let handle = builder.install_recorder()?;
    describe();
    // Known from the first scrape, not from the first event.
    for name in [RESULT_CACHE_HITS, RESULT_CACHE_MISSES] {
        counter!(name).absolute(0);
    }
    Ok(handle)
}

fn describe() {
    describe_counter!(
        HTTP_REQUESTS,
        "HTTP requests by route, method and status (499: the client left first)"
    );
    describe_histogram!(HTTP_SECONDS, "Time from a request's head to its answer, by route");
    describe_gauge!(QUEUE_TEXTS, "Texts that wait for the engine");
    describe_gauge!(QUEUE_TOKENS, "Tokens that wait for the engine");
    describe_histogram!(QUEUE_SECONDS, "Time a text waited for the engine");
    describe_gauge!(RUNNING_TEXTS, "Texts that are being restored");
    describe_gauge!(CACHE_BYTES, "Bytes planned for keys, values and hypotheses of what is being restored");
    describe_counter!(
        RESULT_CACHE_HITS,
        "Restorations that were known from before, or that another request was waiting for"
    );
    describe_counter!(RESULT_CACHE_MISSES, "Restorations that were looked for and not known");
    describe_gauge!(RESULT_CACHE_BYTES, "Bytes of the restorations that are kept");
    describe_histogram!(STEP_WINDOWS, "Windows that were under way after a step");
    describe_histogram!(STEP_SECONDS, "Time of a step of the engine");
    describe_counter!(TEXTS, "Texts that the model is through with");
    describe_counter!(TEXT_BYTES, "Bytes of the texts that the model is through with");
    describe_counter!(TEXT_TOKENS, "Tokens of the texts that the model is through with");
    describe_counter!(EDITS, "Edits made");
    describe_counter!(PASSES, "Passes of the model over (parts of) the texts that it is through with");
    describe_histogram!(FIRST_PIECE_SECONDS, "Time from a text's queueing to its first piece");
    describe_histogram!(STEP_TOKENS, "Tokens that were planned for a step of the engine");
    describe_histogram!(EDIT_CONFIDENCE, "Confidence of each edit");
    describe_histogram!(TEXT_CONFIDENCE, "Confidence of each text");
    describe_histogram!(EDIT_RATE, "Edits of a text for each 100 bytes of it");
    describe_gauge!(
        DRIFT,
        "Population stability index of the texts of late against those that the model was measured on, of their bytes, edits and confidence"
    );
    describe_counter!(CANCELLED, "Texts dropped or given up because the client had left");
    describe_counter!(FAILED, "Texts that the model failed on, by reason");
    describe_counter!(REJECTED, "Error answers by kind");
    describe_counter!(
        RELOADS,
        "Versions that were taken (loaded), not taken (refused) or gone back to (rolled_back), by model"
    );
    describe_counter!(
        SHADOW_TEXTS,
        "Texts that a model that only watches restored to the same or to something different, failed on or skipped"
    );
    describe_histogram!(
        SHADOW_DISTANCE,
        "Character error rate of what a model that only watches made of a text, against what was answered"
    );
    describe_gauge!(JOBS, "Jobs by state");
    describe_counter!(JOB_ROWS, "Rows of jobs that are done");
    describe_histogram!(JOB_SECONDS, "Time that was worked on a job that has ended, by state");
    describe_gauge!(MODEL, "1, with the model and the version as labels");
}

/// Names a model that is served from now on.
pub(crate) fn model(name: &str, info: &ModelInfo) {
    model_gauge(name, info).set(1.0);
}

/// A model that is not served any more.
pub(crate) fn model_gone(name: &str, info: &ModelInfo) {
    model_gauge(name, info).set(0.0);
}

fn model_gauge(name: &str, info: &ModelInfo) -> Gauge {
    gauge!(MODEL, "model" => name.to_owned(), "family" => info.family.clone(), "digest" => info.digest.clone(), "version" => crate::VERSION)
}

/// A version of a model, and what became of it.
pub(crate) fn reload(name: &str, outcome: &'static str) {
    counter!(RELOADS, "model" => name.to_owned(), "outcome" => outcome).increment(1);
}

/// A text of a model that only watches beside the one that answered.
pub(crate) fn shadow(model: &str, shadow: &str, outcome: &'static str) {
    counter!(SHADOW_TEXTS, "model" => model.to_owned(), "shadow" => shadow.to_owned(), "outcome" => outcome)
        .increment(1);
}

/// How far it was from what was answered.
pub(crate) fn shadow_distance(model: &str, shadow: &str, distance: f32) {
    histogram!(SHADOW_DISTANCE, "model" => model.to_owned(), "shadow" => shadow.to_owned())
        .record(f64::from(distance));
}

/// An answered HTTP request.
pub(crate) fn http(route: &str, method: &'static str, status: u16, elapsed: Duration) {
    counter!(HTTP_REQUESTS, "route" => route.to_owned(), "method" => method, "status" => status.to_string())
        .increment(1);
    histogram!(HTTP_SECONDS, "route" => route.to_owned()).record(elapsed.as_secs_f64());
}

/// An error answer.
pub(crate) fn error(kind: &'static str) {
    counter!(REJECTED, "kind" => kind).increment(1);
}

/// A restoration that was looked for among those of before, and the bytes of them.
pub(crate) fn result_cache(is_hit: bool, bytes: u64) {
    counter!(if is_hit { RESULT_CACHE_HITS } else { RESULT_CACHE_MISSES }).increment(1);
    gauge!(RESULT_CACHE_BYTES).set(bytes as f64);
}

/// How many jobs there are in a state.
pub(crate) fn jobs(state: &'static str, jobs: u64) {
    gauge!(JOBS, "state" => state).set(jobs as f64);
}

/// Rows of jobs that are done.
pub(crate) fn job_rows(rows: u64) {
    counter!(JOB_ROWS).increment(rows);
}

/// A job that has ended, and the time that was worked on it.
pub(crate) fn job(state: &'static str, seconds: f64) {
    histogram!(JOB_SECONDS, "state" => state).record(seconds);
}
