//! One level of parallelism: over windows and micro-batches; inside a product only where there are fewer of those than threads.

use std::cell::Cell;

thread_local! {
    /// Threads that a product on this one may take.
    static SPARE: Cell<usize> = const { Cell::new(1) };
}

/// Threads that a product on this thread may take, its own among them.
pub(crate) fn spare_threads() -> usize {
    SPARE.get()
}

/// Does work whose products may take `threads` threads of the pool that it runs in.
pub(crate) fn with_spare_threads<T>(threads: usize, work: impl FnOnce() -> T) -> T {
    /// Whatever happens, what runs here next is by itself.
    struct Before(usize);
    impl Drop for Before {
        fn drop(&mut self) {
            SPARE.set(self.0);
        }
    }
    let _before = Before(SPARE.replace(threads));
    work()
}

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
