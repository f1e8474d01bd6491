//! The allocator of training programs.

/// `mi_option_purge_delay` of mimalloc: milliseconds until unused pages go back to the system.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
/// Longer than a step of a small model takes; what an evaluation has used goes back after it. Arenas wait ten times as long.
const MILLISECONDS: std::ffi::c_long = 3000;

/// Lets a program that has mimalloc as its allocator keep the pages that it has just used: each step asks for what the one before
/// has given back, and clearing pages anew takes up to a quarter of a step. `MIMALLOC_PURGE_DELAY` goes before.
pub fn keep_pages() {
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_some() {
        return;
    }
    #[expect(unsafe_code, reason = "a C function that sets an integer")]
    // SAFETY: any time and any thread is fine.
    unsafe {
        libmimalloc_sys::mi_option_set(PURGE_DELAY, MILLISECONDS);
    }
}
