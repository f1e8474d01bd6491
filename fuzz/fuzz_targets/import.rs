//! Two files of lines with a NUL between them, or one of CSV, into pairs that hold.
#![no_main]

use corruptor::Split;
use corruptor::atomic::Existing;
use corruptor::import::{ImportOptions, ImportSplit, Texts, import};
use corruptor::inspect::{InspectOptions, inspect};
use corruptor::progress::unobserved;
use libfuzzer_sys::fuzz_target;
use revertant_fuzz::with_scratch;

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else { return };
    let lines = choice % 2 == 1;
    let middle = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let (a, b) = (&rest[..middle], rest.get(middle + 1..).unwrap_or_default());
    with_scratch(|scratch| {
        let texts = |name: &str, bytes: &[u8], column: &str| Texts {
            path: scratch.write(name, bytes),
            column: column.to_owned(),
        };
        let (correct, corrupted) = if lines {
            (texts("a.txt", a, ""), texts("b.txt", b, ""))
        } else {
            (texts("both.csv", a, "a"), texts("both.csv", a, "b"))
        };
        let out = scratch.path("out");
        let options = ImportOptions {
            split: ImportSplit::All(Split::Train),
            existing: Existing::Replace,
            threads: Some(1),
            ..ImportOptions::new(correct, corrupted, &out)
        };
        match import(&options, &mut unobserved) {
            Ok(summary) => {
                let options = InspectOptions { threads: Some(1), ..InspectOptions::default() };
                let inspection = inspect(&out, &options, &mut unobserved).expect("readable");
                assert_eq!(inspection.bad_rows, 0, "{:?}", inspection.findings);
                assert_eq!(inspection.splits[0].1.rows, summary.pairs());
            }
            Err(error) => drop(error.to_string()),
        }
    });
});
