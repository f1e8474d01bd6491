//! Batches begin in their order, each after all of the one before has: what is written first is restored first.

use std::iter;

use futures_util::{StreamExt, TryFutureExt, TryStreamExt, stream};
use tokio::sync::oneshot;

/// Gives turns.
#[derive(Debug, Default)]
pub(super) struct Turns {
    last: Option<oneshot::Receiver<()>>,
}

/// The place of a batch in the order.
#[derive(Debug)]
pub(super) struct Turn {
    /// Ends when all of the batch before has begun.
    before: Option<oneshot::Receiver<()>>,
    /// Dropped when all of this one has begun.
    begun: oneshot::Sender<()>,
}

impl Turns {
    /// The turn after those that were given.
    pub(super) fn next(&mut self) -> Turn {
        let (begun, last) = oneshot::channel();
        Turn { before: self.last.replace(last), begun }
    }
}

impl Turn {
    /// [`in_order`], when the turn has come.
    ///
    /// # Errors
    ///
    /// As there.
    pub(super) async fn run<T, F, O, E>(
        self,
        items: Vec<T>,
        width: usize,
        work: impl Fn(T) -> F,
    ) -> Result<Vec<O>, E>
    where
        F: Future<Output = Result<O, E>>,
    {
        if let Some(before) = self.before {
            // It is dropped, without a word.
            let _begun = before.await;
        }
        let mut begun = Some(self.begun);
        let end = iter::from_fn(|| {
            drop(begun.take());
            None
        });
        in_order(items.into_iter().chain(end), width, work).await
    }
}

/// Does the work of all `items`, which begin in their order, `width` of them at a time, and returns what it has given in the same order.
///
/// # Errors
///
/// The first of the work, with which it ends.
pub(super) async fn in_order<T, F, O, E>(
    items: impl Iterator<Item = T>,
    width: usize,
    work: impl Fn(T) -> F,
) -> Result<Vec<O>, E>
where
    F: Future<Output = Result<O, E>>,
{
    let numbered =
        stream::iter(items.enumerate()).map(|(number, item)| work(item).map_ok(move |given| (number, given)));
    // Others do not wait for one that takes long.
    let mut done: Vec<(usize, O)> = numbered.buffer_unordered(width).try_collect().await?;
    done.sort_unstable_by_key(|(number, _)| *number);
    Ok(done.into_iter().map(|(_, given)| given).collect())
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, future::poll_fn, task::Poll};

    use futures_util::future::join3;

    use super::*;

    /// Takes part `ticks` times before it ends.
    async fn wait(ticks: usize) {
        let mut left = ticks;
        poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(());
            }
            left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    #[tokio::test]
    async fn batches_begin_in_their_order_and_overlap() {
        let told = RefCell::new(Vec::new());
        let work = |(number, ticks): (u32, usize)| {
            let told = &told;
            async move {
                told.borrow_mut().push((number, "begins"));
                wait(ticks).await;
                told.borrow_mut().push((number, "ends"));
                if number == 5 { Err("five") } else { Ok(number) }
            }
        };
        let mut turns = Turns::default();
        let (first, second, third) = (turns.next(), turns.next(), turns.next());
        // The last is asked first.
        let (third, second, first) = join3(
            third.run(vec![(5, 1), (6, 1)], 2, work),
            second.run(vec![(3, 1), (4, 1)], 2, work),
            first.run(vec![(0, 50), (1, 1), (2, 1)], 2, work),
        )
        .await;
        assert_eq!((first, second, third), (Ok(vec![0, 1, 2]), Ok(vec![3, 4]), Err("five")));
        let told = told.into_inner();
        let begun: Vec<_> =
            told.iter().filter(|(_, what)| *what == "begins").map(|(number, _)| number).collect();
        assert_eq!(begun, [&0, &1, &2, &3, &4, &5, &6]);
        let at = |what| told.iter().position(|one| *one == what).unwrap();
        assert!(at((1, "ends")) < at((2, "begins")), "two at a time: {told:?}");
        assert!(at((3, "begins")) < at((0, "ends")), "the next does not wait for the slow: {told:?}");
    }
}
