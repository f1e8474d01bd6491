//! What a stream counts.

use std::time::Duration;

use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const RECORDS: &str = "revertant_stream_records_total";
const DEAD_LETTERS: &str = "revertant_stream_dead_letters_total";
const TRANSACTIONS: &str = "revertant_stream_transactions_total";
const BATCH_RECORDS: &str = "revertant_stream_batch_records";
const BATCH_TOKENS: &str = "revertant_stream_batch_tokens";
const COMMIT_SECONDS: &str = "revertant_stream_commit_seconds";
const LATENCY_SECONDS: &str = "revertant_stream_latency_seconds";
const IN_FLIGHT: &str = "revertant_stream_in_flight_tokens";
const PAUSED: &str = "revertant_stream_paused";
const LAG: &str = "revertant_stream_lag_records";
const REBALANCES: &str = "revertant_stream_rebalances_total";

/// Histograms of sizes.
pub(super) const SIZES: [&str; 2] = [BATCH_RECORDS, BATCH_TOKENS];

/// What they mean; counted from zero from the first scrape on.
pub(crate) fn describe() {
    describe_counter!(RECORDS, "Records that were restored and written");
    describe_counter!(DEAD_LETTERS, "Records that were written as dead letters, by kind of error");
    describe_counter!(TRANSACTIONS, "Transactions, by outcome (committed, aborted)");
    describe_histogram!(BATCH_RECORDS, "Records of a batch");
    describe_histogram!(BATCH_TOKENS, "Tokens of a batch");
    describe_histogram!(COMMIT_SECONDS, "Time from the begin of a transaction until it was committed");
    describe_histogram!(
        LATENCY_SECONDS,
        "Time from the first record of a batch until all of it was committed"
    );
    describe_gauge!(IN_FLIGHT, "Tokens that were read and are not written yet");
    describe_gauge!(PAUSED, "1 while nothing is read because too much is in flight");
    describe_gauge!(
        LAG,
        "Records of a partition of the input that are not read yet, by partition; 0 of those of others"
    );
    describe_counter!(REBALANCES, "Times that partitions were given or taken away");
    counter!(RECORDS).absolute(0);
    counter!(REBALANCES).absolute(0);
    for outcome in ["committed", "aborted"] {
        counter!(TRANSACTIONS, "outcome" => outcome).absolute(0);
    }
    paused(false);
    in_flight(0);
}

/// Records that were restored and written.
pub(crate) fn records(records: usize) {
    counter!(RECORDS).increment(records as u64);
}

/// A record that was written as a dead letter.
pub(crate) fn dead_letter(kind: &'static str) {
    counter!(DEAD_LETTERS, "kind" => kind).increment(1);
}

/// A transaction that has ended.
pub(crate) fn transaction(outcome: &'static str) {
    counter!(TRANSACTIONS, "outcome" => outcome).increment(1);
}

/// A batch that was collected.
pub(crate) fn batch(records: usize, tokens: usize) {
    histogram!(BATCH_RECORDS).record(records as f64);
    histogram!(BATCH_TOKENS).record(tokens as f64);
}

/// The time of a transaction that was committed.
pub(crate) fn commit(transaction: Duration) {
    histogram!(COMMIT_SECONDS).record(transaction.as_secs_f64());
}

/// The time since the first record of a batch was read, when it is committed.
pub(crate) fn latency(since_read: Duration) {
    histogram!(LATENCY_SECONDS).record(since_read.as_secs_f64());
}

/// Tokens that were read and are not written yet.
pub(crate) fn in_flight(tokens: usize) {
    gauge!(IN_FLIGHT).set(tokens as f64);
}

/// Whether nothing is read because too much is in flight.
pub(crate) fn paused(is_paused: bool) {
    gauge!(PAUSED).set(f64::from(u8::from(is_paused)));
}

/// Records of a partition that are not read yet.
pub(crate) fn lag(partition: i32, records: i64) {
    gauge!(LAG, "partition" => partition.to_string()).set(records as f64);
}

/// Partitions were given or taken away.
pub(crate) fn rebalance() {
    counter!(REBALANCES).increment(1);
}
