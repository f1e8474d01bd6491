//! What a pair teaches: for each window of its corrupted text, what should have been written.

use corruptor::{Event, Pair};

use super::codec::Codec;
use super::prompt::Prompt;
use crate::windows::WindowSize;

/// A window as tokens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenExample {
    /// What the model reads.
    pub source: Vec<u32>,
    /// What it should write, the end included; only this is learned.
    pub target: Vec<u32>,
}

/// The examples of a pair: the windows that restoring its corrupted text looks at.
pub(super) fn examples(
    pair: &Pair,
    size: WindowSize,
    prompt: &Prompt,
    codec: &Codec,
    end: u32,
) -> Vec<TokenExample> {
    let example = |(corrupted, original): (&str, &str)| {
        let mut target = codec.encode(original);
        target.push(end);
        TokenExample { source: prompt.around(&codec.encode(corrupted)), target }
    };
    windows(pair, size).map(example).collect()
}

/// What stands before a text's first token, and before one in its middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Beginnings {
    pub(super) text: u32,
    pub(super) middle: u32,
}

/// The examples of a text by itself: pieces of at most `most` bytes, cut between characters; the last one ends.
pub(super) fn text_examples(
    text: &str,
    most: usize,
    beginnings: Beginnings,
    codec: &Codec,
    end: u32,
) -> Vec<TokenExample> {
    let (mut examples, mut rest, mut first) = (Vec::new(), text, beginnings.text);
    loop {
        // A piece holds a character at least.
        let least = rest.chars().next().map_or(0, char::len_utf8);
        let (piece, behind) = rest.split_at(rest.floor_char_boundary(most).max(least));
        let mut target = codec.encode(piece);
        if behind.is_empty() {
            target.push(end);
        }
        examples.push(TokenExample { source: vec![first], target });
        if behind.is_empty() {
            return examples;
        }
        (rest, first) = (behind, beginnings.middle);
    }
}

/// Each window of the corrupted text beside the part of the original that it comes from.
fn windows(pair: &Pair, size: WindowSize) -> impl Iterator<Item = (&str, &str)> {
    size.cores(&pair.corrupted).map(move |core| {
        let window = size.window(&pair.corrupted, &core);
        let end = if window.end == pair.corrupted.len() {
            pair.original.len()
        } else {
            original_offset(&pair.events, window.end)
        };
        let start = original_offset(&pair.events, window.start).min(end);
        // An event may have cut characters apart.
        let boundary = |at: usize| pair.original.floor_char_boundary(at);
        (&pair.corrupted[window], &pair.original[boundary(start)..boundary(end)])
    })
}

/// Where an offset of the corrupted text lies in the original; inside of what an event has put there, behind what it has taken.
fn original_offset(events: &[Event], corrupted: usize) -> usize {
    let mut shift = 0isize; // corrupted offset − original offset
    for event in events {
        let start = (event.start as usize).wrapping_add_signed(shift);
        let end = start + event.replacement.len();
        if corrupted <= start {
            break;
        }
        if corrupted < end {
            return event.start as usize + event.removed.len();
        }
        shift += event.replacement.len().cast_signed() - event.removed.len().cast_signed();
    }
    corrupted.wrapping_add_signed(-shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use corruptor::{Channel, CorruptSettings, Passage};
    use proptest::prelude::*;

    fn corrupted(text: &str, seed: u64) -> Pair {
        let settings = CorruptSettings { seed, ..CorruptSettings::default() };
        let channel = Channel::new(&settings).unwrap();
        let passage = Passage { source: "test", doc_id: "1", start: 0, text };
        channel.pair(&passage, 0)
    }

    const SIZE: WindowSize = WindowSize { window_bytes: 48, overlap_bytes: 8 };

    proptest! {
        #[test]
        fn windows_of_an_intact_text_are_their_own_originals(text in "[a-zé ]{0,200}") {
            let pair = Pair { corrupted: text.clone(), original: text, events: Vec::new(), ..corrupted("", 1) };
            for (corrupted, original) in windows(&pair, SIZE) {
                prop_assert_eq!(corrupted, original);
            }
        }

        #[test]
        fn pieces_of_a_text_are_the_text(text in "[a-zé中 ]{0,120}", most in 1usize..50) {
            let beginnings = Beginnings { text: 0, middle: 2 };
            let pieces = text_examples(&text, most, beginnings, &Codec::Bytes, 1);
            let joined: Vec<u32> = pieces.iter().flat_map(|piece| piece.target.clone()).collect();
            prop_assert_eq!(joined, [Codec::Bytes.encode(&text), vec![1]].concat());
            for (index, piece) in pieces.iter().enumerate() {
                prop_assert_eq!(&piece.source, &[if index == 0 { 0 } else { 2 }]);
                prop_assert!(piece.target.len() <= most.max("中".len()) + 1);
            }
        }

        #[test]
        fn cores_of_a_corrupted_text_cover_its_original(text in "[a-zé ]{1,200}", seed in 0u64..50) {
            let pair = corrupted(&text, seed);
            let whole = WindowSize { overlap_bytes: 0, ..SIZE };
            let joined: String = windows(&pair, whole).map(|(_, original)| original).collect();
            prop_assert_eq!(joined, text);
        }
    }
}
