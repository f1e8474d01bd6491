//! Bounded retries with backoff.

use std::thread;
use std::time::Duration;

/// Attempts at a transfer before it has failed.
const ATTEMPTS: u32 = 4;

/// Time before the second attempt; it doubles each time.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// Tries until it works, fails for good (`may_pass` says no), or has failed [`ATTEMPTS`] times.
pub(super) fn with_retries<T, E>(
    may_pass: impl Fn(&E) -> bool,
    mut attempt: impl FnMut() -> Result<T, E>,
) -> Result<T, E> {
    let mut delay = FIRST_DELAY;
    for _ in 1..ATTEMPTS {
        match attempt() {
            Err(error) if may_pass(&error) => {
                thread::sleep(delay);
                delay *= 2;
            }
            done => return done,
        }
    }
    attempt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_bounded_and_only_for_what_may_pass() {
        let fail = |until: u32, passes: bool| {
            let mut tried = 0;
            let done = with_retries(
                |_| passes,
                || {
                    tried += 1;
                    if tried > until { Ok(()) } else { Err("busy") }
                },
            );
            (done.is_ok(), tried)
        };
        assert_eq!(fail(2, true), (true, 3));
        assert_eq!(fail(9, true), (false, 4));
        assert_eq!(fail(9, false), (false, 1));
    }
}
