//! Worker threads that each compute alone.
//!
//! candle's matrix products split over the rayon pool they run in. A training step gains more from whole micro-batches in
//! parallel, so every worker is a pool of one thread: what it runs, products included, stays on it, and no result
//! depends on the number of workers.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::FinetuneError;

/// A fixed set of single-threaded workers.
#[derive(Debug)]
pub struct Workers {
    pools: Vec<ThreadPool>,
}

impl Workers {
    /// Starts `threads` workers.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn new(threads: usize) -> Result<Self, FinetuneError> {
        let pool = |index| {
            ThreadPoolBuilder::new().num_threads(1).thread_name(move |_| format!("worker-{index}")).build()
        };
        let pools = (0..threads.max(1)).map(pool).collect::<Result<_, _>>();
        Ok(Self { pools: pools.map_err(|source| FinetuneError::Threads { threads, source })? })
    }

    /// The number of workers.
    pub fn threads(&self) -> usize {
        self.pools.len()
    }

    /// `f` of every item, in the items' order; items are handed to workers as these become free.
    pub fn map<T: Sync, R: Send>(&self, items: &[T], f: impl Fn(usize, &T) -> R + Sync) -> Vec<R> {
        let next = AtomicUsize::new(0);
        let results = Mutex::new(Vec::with_capacity(items.len()));
        let run = || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(index) else { break };
                let result = f(index, item);
                results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, result));
            }
        };
        std::thread::scope(|scope| {
            for pool in self.pools.iter().take(items.len()) {
                scope.spawn(|| pool.install(run));
            }
        });
        let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        results.sort_unstable_by_key(|(index, _)| *index);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_order_on_any_number_of_workers() {
        let items: Vec<u64> = (0..100).collect();
        for threads in [1, 2, 5] {
            let workers = Workers::new(threads).unwrap();
            assert_eq!(workers.map(&items, |_, x| x * x), items.iter().map(|x| x * x).collect::<Vec<_>>());
        }
        assert!(Workers::new(2).unwrap().map(&[] as &[u8], |_, x| *x).is_empty());
    }
}
