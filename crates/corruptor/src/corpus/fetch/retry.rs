//! Bounded retries with backoff.

use std::thread;
use std::time::Duration;

/// Attempts at a transfer before it has failed.
pub(super) const ATTEMPTS: u32 = 4;

/// Time before the second attempt; it doubles each time.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// What became of an attempt that failed.
pub(super) enum Failure {
    /// Another attempt may succeed: a refused or dropped connection, a busy server.
    Transient(String),
    /// It will not.
    Permanent(String),
}

/// Tries until it works, fails for good, or has failed [`ATTEMPTS`] times; the error says how often it was tried.
pub(super) fn with_retries<T>(mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, String> {
    let mut delay = FIRST_DELAY;
    for tried in 1.. {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(Failure::Permanent(message)) => return Err(message),
            Err(Failure::Transient(message)) if tried == ATTEMPTS => {
                return Err(format!("{message} (tried {ATTEMPTS} times)"));
            }
            Err(Failure::Transient(_)) => {
                thread::sleep(delay);
                delay *= 2;
            }
        }
    }
    Err("not tried".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_bounded_and_only_for_what_may_pass() {
        let mut tried = 0;
        let mut fail = |until: u32, permanent: bool| {
            tried = 0;
            let result = with_retries(|| {
                tried += 1;
                match tried > until {
                    true => Ok(tried),
                    false if permanent => Err(Failure::Permanent("gone".into())),
                    false => Err(Failure::Transient("busy".into())),
                }
            });
            (result, tried)
        };
        assert_eq!(fail(2, false), (Ok(3), 3));
        assert_eq!(fail(9, false), (Err("busy (tried 4 times)".into()), 4));
        assert_eq!(fail(9, true), (Err("gone".into()), 1));
    }
}
