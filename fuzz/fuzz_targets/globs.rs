//! Globs: a pattern of letters means itself, and a leading `**` means whatever follows too.
#![no_main]

use corruptor::corpus::glob_matches;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| {
    let (pattern, path) = input.split_once('\n').unwrap_or((input, ""));
    let matches = glob_matches(pattern, path);
    if !pattern.contains(['*', '?', '{']) {
        assert_eq!(matches, pattern == path);
    }
    if matches && !pattern.starts_with('*') {
        assert!(glob_matches(&format!("**/{pattern}"), &format!("a/b/{path}")));
    }
});
