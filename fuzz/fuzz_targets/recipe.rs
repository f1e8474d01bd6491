//! A recipe and its tables; what passes makes a channel that corrupts.
#![no_main]

use corruptor::corpus::CorpusSettings;
use corruptor::{Channel, CorruptSettings, Passage, Recipe, replay};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let recipe = match Recipe::parse(text, "r.toml") {
        Ok(recipe) => recipe,
        Err(error) => return drop(error.to_string()),
    };
    assert_eq!(recipe.text(), text);
    match recipe.table::<CorpusSettings>("corpus") {
        Ok(corpus) => drop(corpus.validate().map_err(|error| error.to_string())),
        Err(error) => drop(error.to_string()),
    }
    match recipe.table::<CorruptSettings>("corrupt") {
        Ok(settings) if revertant_fuzz::is_small(&settings) => {
            if let Ok(channel) = Channel::new(&settings) {
                let text = "It was the best of times,\nit was the worst of times.";
                let passage = Passage { source: "s", doc_id: "d", start: 0, text };
                let pair = channel.pair(&passage, 0);
                assert_eq!(replay(text, &pair.events).as_ref(), Ok(&pair.corrupted));
            }
        }
        Ok(_) => {}
        Err(error) => drop(error.to_string()),
    }
});
