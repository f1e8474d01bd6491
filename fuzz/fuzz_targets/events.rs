//! Events over a text: what replays also inverts, and nothing panics.
#![no_main]

use corruptor::{Event, invert, replay};
use libfuzzer_sys::fuzz_target;
use revertant_fuzz::AnyEvent;

fuzz_target!(|input: (String, String, Vec<AnyEvent>)| {
    let (original, other, events) = input;
    let events: Vec<Event> = events.into_iter().map(Event::from).collect();
    match replay(&original, &events) {
        Ok(corrupted) => assert_eq!(invert(&corrupted, &events).as_ref(), Ok(&original)),
        Err(error) => drop(error.to_string()),
    }
    match invert(&other, &events) {
        Ok(restored) => assert_eq!(replay(&restored, &events).as_ref(), Ok(&other)),
        Err(error) => drop(error.to_string()),
    }
});
