//! Panics of the Parquet reader as errors.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use parquet::errors::ParquetError;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is in a [`guarded`] step: a panic becomes an error there, and a panic hook need not speak of it.
pub fn is_guarded() -> bool {
    GUARDED.get()
}

/// Runs a step of reading a Parquet file. The reader believes what a file says of itself, and panics on some that contradict
/// themselves: negative offsets, pages without values. What it was called on must not be used again then.
///
/// # Errors
/// If it panics.
pub fn guarded<T>(read: impl FnOnce() -> T) -> Result<T, ParquetError> {
    let before = GUARDED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(read));
    GUARDED.set(before);
    done.map_err(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
        ParquetError::General(format!("the file contradicts itself ({said})"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        assert!(guarded(is_guarded).unwrap() && !is_guarded());
        let zero = std::hint::black_box(0);
        let error = guarded(|| 1 / zero).unwrap_err().to_string();
        assert!(error.contains("divide by zero") && !is_guarded(), "{error}");
    }
}
