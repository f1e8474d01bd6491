//! Records whose values cannot be read yet, such as those of a schema whose registry is away, with all that follow them in their
//! partitions. The other partitions go on.

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use super::record::{Record, RecordError};

/// A record whose value was not read, and whether its headers were.
pub(super) type Unread = (Record, Result<(), RecordError>);

/// Partitions that wait.
#[derive(Debug, Default)]
pub(super) struct Parked(HashMap<i32, Waiting>);

/// The records of a partition, in their order, and when they are tried again.
#[derive(Debug)]
struct Waiting {
    records: VecDeque<Unread>,
    again: Instant,
}

impl Parked {
    /// Keeps the records of a partition for `time`, before those of it that are kept already.
    pub(super) fn park(&mut self, partition: i32, records: VecDeque<Unread>, time: Duration) {
        let again = Instant::now() + time;
        let waiting = self.0.entry(partition).or_insert_with(|| Waiting { records: VecDeque::new(), again });
        waiting.again = again;
        for record in records.into_iter().rev() {
            waiting.records.push_front(record);
        }
    }

    /// Keeps a record whose partition waits; gives it back where it does not.
    pub(super) fn keep(&mut self, record: Unread) -> Option<Unread> {
        match self.0.get_mut(&record.0.partition) {
            Some(waiting) => {
                waiting.records.push_back(record);
                None
            }
            None => Some(record),
        }
    }

    /// Whether a partition waits.
    pub(super) fn has(&self, partition: i32) -> bool {
        self.0.contains_key(&partition)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The records of a partition whose time has come; it waits no more.
    pub(super) fn due(&mut self) -> Option<(i32, VecDeque<Unread>)> {
        let now = Instant::now();
        let partition = *self.0.iter().find(|(_, waiting)| waiting.again <= now)?.0;
        self.0.remove(&partition).map(|waiting| (partition, waiting.records))
    }

    /// Forgets all; the partitions that have waited.
    pub(super) fn clear(&mut self) -> Vec<i32> {
        self.0.drain().map(|(partition, _)| partition).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unread(partition: i32, offset: i64) -> Unread {
        let record = Record {
            partition,
            offset,
            assignment: 0,
            timestamp: None,
            key: None,
            value: None,
            headers: Vec::new(),
            origin: None,
        };
        (record, Ok(()))
    }

    fn places(records: &VecDeque<Unread>) -> Vec<(i32, i64)> {
        records.iter().map(|(record, _)| record.place()).collect()
    }

    #[test]
    fn records_wait_in_their_order_and_others_do_not() {
        let mut parked = Parked::default();
        assert!(parked.keep(unread(0, 5)).is_some());
        parked.park(0, [unread(0, 5)].into(), Duration::ZERO);
        assert!(parked.keep(unread(0, 6)).is_none() && parked.keep(unread(1, 0)).is_some());
        let (partition, records) = parked.due().unwrap();
        assert_eq!((partition, places(&records)), (0, vec![(0, 5), (0, 6)]));
        assert!(parked.is_empty());
        parked.park(0, records, Duration::from_hours(1));
        assert!(parked.keep(unread(0, 7)).is_none() && parked.due().is_none() && parked.has(0));
        parked.park(0, [unread(0, 4)].into(), Duration::ZERO);
        assert_eq!(places(&parked.due().unwrap().1), [(0, 4), (0, 5), (0, 6), (0, 7)]);
        parked.park(2, VecDeque::new(), Duration::ZERO);
        assert_eq!((parked.clear(), parked.has(2)), (vec![2], false));
    }
}
