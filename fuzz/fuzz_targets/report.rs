//! Any pairs through the writer, the reader, the inspection and its report; texts never become markup.
#![no_main]

use corruptor::Pair;
use corruptor::inspect::{InspectOptions, html_report, inspect};
use corruptor::pairs::{PairMetadata, PairWriter, read_pairs};
use corruptor::progress::unobserved;
use libfuzzer_sys::fuzz_target;
use revertant_fuzz::{AnyPair, with_scratch};

fuzz_target!(|pairs: Vec<AnyPair>| {
    let pairs: Vec<Pair> = pairs.into_iter().map(Pair::from).collect();
    with_scratch(|scratch| {
        let directory = scratch.path("pairs");
        let metadata = PairMetadata::imported("<script>".to_owned());
        let mut writer = PairWriter::create(&directory, &metadata).expect("writable");
        pairs.iter().cloned().try_for_each(|pair| writer.write(pair)).expect("room");
        writer.finish().expect("room");
        let read: Vec<Pair> =
            read_pairs(&directory).expect("written").map(|pair| pair.expect("whole")).collect();
        // NaN differs from itself; its text does not.
        assert_eq!(format!("{read:?}"), format!("{pairs:?}"));
        let options = InspectOptions { threads: Some(1), ..InspectOptions::default() };
        let inspection = inspect(&directory, &options, &mut unobserved).expect("readable");
        let page = html_report(&inspection);
        assert!(!page.contains("<script"));
        assert_eq!(page.matches("<article>").count(), page.matches("</article>").count());
    });
});
