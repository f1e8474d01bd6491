//! One level of parallelism: over windows and micro-batches, never inside a tensor operation.

/// Keeps candle's element-wise operations on the thread that calls them.
///
/// candle 0.11 hands each larger one to a pool whose callers take turns and whose idle threads spin; with work already
/// parallel over windows and micro-batches that costs more than it saves. A number that the user set stays.
///
/// # Safety
/// Call it before any other thread is started: it sets an environment variable (`CANDLE_NUM_THREADS`).
#[expect(unsafe_code, reason = "std::env::set_var; the caller vouches that there is one thread")]
pub unsafe fn keep_operations_on_their_thread() {
    const NAME: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(NAME).is_none() {
        // SAFETY: by contract no other thread reads the environment meanwhile.
        unsafe { std::env::set_var(NAME, "1") };
    }
}
