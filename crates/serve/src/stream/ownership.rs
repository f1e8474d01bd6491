//! Which partitions this process may write the records of.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// A partition as it was given once: given again, or read anew, it is another.
pub(super) type Assignment = u64;

/// Which partitions this process has been given. The reader changes it, the writer asks it.
#[derive(Debug, Default)]
pub(super) struct Ownership {
    /// Held by the writer from the first to the last word of a transaction, and by the reader while it gives partitions up.
    transaction: Mutex<()>,
    partitions: Mutex<HashMap<i32, Assignment>>,
    next: AtomicU64,
    must_rewind: AtomicBool,
}

impl Ownership {
    /// The partitions were given.
    pub(super) fn assign(&self, partitions: impl IntoIterator<Item = i32>) {
        let mut owned = self.partitions();
        for partition in partitions {
            owned.insert(partition, self.next.fetch_add(1, Ordering::Relaxed));
        }
    }

    /// The partitions are taken away: a transaction that has begun ends first, and no other writes their records.
    pub(super) fn revoke(&self, partitions: impl IntoIterator<Item = i32>) {
        let _between = self.transaction.lock().unwrap_or_else(PoisonError::into_inner);
        let mut owned = self.partitions();
        for partition in partitions {
            owned.remove(&partition);
        }
    }

    /// The present assignment of a partition.
    pub(super) fn of(&self, partition: i32) -> Option<Assignment> {
        self.partitions().get(&partition).copied()
    }

    /// Whether everything has to be read again from the committed offsets.
    pub(super) fn must_rewind(&self) -> bool {
        self.must_rewind.load(Ordering::Acquire)
    }

    /// It will be: what was read so far belongs to no assignment any more.
    pub(super) fn rewound(&self) {
        let mut owned = self.partitions();
        for assignment in owned.values_mut() {
            *assignment = self.next.fetch_add(1, Ordering::Relaxed);
        }
        drop(owned);
        self.must_rewind.store(false, Ordering::Release);
    }

    /// Begins a transaction: until it is dropped no partition is given up. None before everything was read again.
    pub(super) fn transaction(&self) -> Option<Transaction<'_>> {
        let between = self.transaction.lock().unwrap_or_else(PoisonError::into_inner);
        (!self.must_rewind()).then_some(Transaction { ownership: self, _between: between })
    }

    fn partitions(&self) -> MutexGuard<'_, HashMap<i32, Assignment>> {
        // Each statement leaves it consistent.
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The time of one transaction.
pub(super) struct Transaction<'o> {
    ownership: &'o Ownership,
    _between: MutexGuard<'o, ()>,
}

impl Transaction<'_> {
    /// Whether records of this assignment may be written.
    pub(super) fn owns(&self, partition: i32, assignment: Assignment) -> bool {
        self.ownership.of(partition) == Some(assignment)
    }

    /// It was aborted: everything has to be read again from the committed offsets.
    pub(super) fn aborted(self) {
        self.ownership.must_rewind.store(true, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, thread, time::Duration};

    use super::*;

    #[test]
    fn what_was_read_before_a_partition_went_or_a_transaction_failed_is_not_written() {
        let ownership = Ownership::default();
        ownership.assign([0, 1]);
        let (first, other) = (ownership.of(0).unwrap(), ownership.of(1).unwrap());
        ownership.revoke([0]);
        assert!(!ownership.transaction().unwrap().owns(0, first));
        ownership.assign([0]);
        let transaction = ownership.transaction().unwrap();
        assert!(!transaction.owns(0, first), "given again it is another");
        assert!(transaction.owns(1, other));
        transaction.aborted();
        assert!(ownership.transaction().is_none());
        ownership.rewound();
        assert!(!ownership.transaction().unwrap().owns(1, other));
        assert!(ownership.of(1).is_some());
    }

    #[test]
    fn a_partition_goes_between_two_transactions() {
        let ownership = Arc::new(Ownership::default());
        ownership.assign([0]);
        let assignment = ownership.of(0).unwrap();
        let transaction = ownership.transaction().unwrap();
        let revoking = thread::spawn({
            let ownership = Arc::clone(&ownership);
            move || ownership.revoke([0])
        });
        thread::sleep(Duration::from_millis(20));
        assert!(transaction.owns(0, assignment));
        drop(transaction);
        revoking.join().unwrap();
        assert!(!ownership.transaction().unwrap().owns(0, assignment));
    }
}
