//! Golden pairs: what the channel made once it makes for ever, on every machine and with every version of its dependencies.

use corruptor::{AlphabetChoice, Channel, CorruptSettings, OpSettings, Pair, Passage};

/// Records with ASCII, combining marks, emoji and line ends, under three alphabets, at all noise levels.
fn pairs() -> Vec<Pair> {
    let op = OpSettings::new;
    let settings = |alphabet| CorruptSettings {
        seed: 20_240_607,
        copies: 1,
        heldout_copies: 1,
        levels: vec![0.5, 1.0, 2.0],
        clean_share: 0.2,
        target_cer: None,
        alphabet,
        escape: 0.0,
        confusions: None,
        deletion: op(0.04, 1.5, 8),
        substitution: op(0.05, 1.0, 4),
        insertion: op(0.03, 2.0, 8),
        duplication: op(0.02, 2.5, 6),
        reversal: op(0.03, 3.0, 5),
    };
    let texts = [
        (
            "ascii",
            0,
            "Call me Ishmael. Some years ago--never mind how long precisely--having little or no money.",
        ),
        (
            "marks",
            4_294_967_296,
            "Na\u{ef}ve? No: nai\u{308}ve, e\u{301}te\u{301}, \u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467} and \u{1f1e9}\u{1f1ea}.",
        ),
        ("lines", 17, "One line\r\nand another,\n\n\twith a tab; 3.14159 and 2.71828, and so on."),
        ("empty", 1, ""),
    ];
    let alphabets = [
        AlphabetChoice::PrintableAscii,
        AlphabetChoice::LettersDigits,
        AlphabetChoice::Custom("ACGT\u{e9}e\u{301}".to_owned()),
    ];
    let mut pairs = Vec::new();
    for alphabet in alphabets {
        let channel = Channel::new(&settings(alphabet)).unwrap();
        for (doc_id, start, text) in texts {
            let passage = Passage { source: "golden", doc_id, start, text };
            pairs.extend((0..4).map(|copy| channel.pair(&passage, copy)));
        }
    }
    pairs
}

#[test]
fn the_channel_makes_what_it_always_made() {
    let golden = include_str!("golden_pairs.jsonl");
    assert_eq!(golden.lines().count(), pairs().len());
    for (pair, line) in pairs().into_iter().zip(golden.lines()) {
        let expected: Pair = serde_json::from_str(line).unwrap();
        assert_eq!(pair, expected, "pairs of this version differ from earlier ones: a breaking change");
    }
}
