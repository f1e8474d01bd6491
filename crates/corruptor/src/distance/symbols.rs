//! Texts as sequences in which each grapheme is one symbol.

use std::collections::HashMap;

use crate::grapheme::{Stretch, graphemes, stretches};

/// What distances compare.
pub(super) trait Symbol: Copy + Eq {
    /// Number of symbols that are alike at the beginning.
    fn common_prefix(a: &[Self], b: &[Self]) -> usize;

    /// A small number, for tables.
    fn index(self) -> usize;
}

impl Symbol for u8 {
    fn common_prefix(a: &[Self], b: &[Self]) -> usize {
        let (words, _) = a.as_chunks::<8>();
        let mut at = 0;
        for (a, b) in words.iter().zip(b.as_chunks::<8>().0) {
            let unlike = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
            if unlike != 0 {
                return at + unlike.trailing_zeros() as usize / 8;
            }
            at += 8;
        }
        at + a[at..].iter().zip(&b[at..]).take_while(|(a, b)| a == b).count()
    }

    fn index(self) -> usize {
        usize::from(self)
    }
}

impl Symbol for u32 {
    fn common_prefix(a: &[Self], b: &[Self]) -> usize {
        a.iter().zip(b).take_while(|(a, b)| a == b).count()
    }

    fn index(self) -> usize {
        self as usize
    }
}

/// Two texts as symbols.
pub(super) enum Sequences<'s> {
    /// ASCII characters are themselves, and there are at most 128 other graphemes.
    Narrow(&'s [u8], &'s [u8]),
    /// Graphemes are numbered.
    Wide(&'s [u32], &'s [u32]),
}

/// Memory for symbols that is used again.
#[derive(Default)]
pub(super) struct Symbols {
    narrow: [Vec<u8>; 2],
    wide: [Vec<u32>; 2],
}

impl Symbols {
    pub(super) fn read(&mut self, a: &str, b: &str) -> Sequences<'_> {
        let mut others = Vec::new();
        let [first, second] = &mut self.narrow;
        let is_narrow = narrow(a, &mut others, first) && narrow(b, &mut others, second);
        if is_narrow {
            return Sequences::Narrow(first, second);
        }
        let mut ids = HashMap::new();
        let [first, second] = &mut self.wide;
        wide(a, &mut ids, first);
        wide(b, &mut ids, second);
        Sequences::Wide(first, second)
    }
}

/// Writes a text's symbols; false if there are too many graphemes besides ASCII, of which `others` knows the numbers.
fn narrow<'t>(text: &'t str, others: &mut Vec<&'t str>, out: &mut Vec<u8>) -> bool {
    out.clear();
    let mut fits = true;
    stretches(text, |stretch| match stretch {
        Stretch::Ascii(range) => out.extend_from_slice(&text.as_bytes()[range]),
        Stretch::Others(range) if fits => {
            for grapheme in graphemes(&text[range]) {
                if let [byte @ 0..128] = grapheme.as_bytes() {
                    out.push(*byte);
                    continue;
                }
                let known = others.iter().position(|other| *other == grapheme);
                let number = known.unwrap_or_else(|| {
                    others.push(grapheme);
                    others.len() - 1
                });
                fits &= number < 128;
                out.push(128 | number as u8);
                if !fits {
                    return;
                }
            }
        }
        Stretch::Others(_) => {}
    });
    fits
}

fn wide<'t>(text: &'t str, ids: &mut HashMap<&'t str, u32>, out: &mut Vec<u32>) {
    out.clear();
    out.extend(graphemes(text).map(|grapheme| {
        let next = ids.len() as u32;
        *ids.entry(grapheme).or_insert(next)
    }));
}
