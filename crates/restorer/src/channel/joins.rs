//! Which units may follow which: none that would join its predecessor to one grapheme (UAX #29).

use std::collections::HashMap;

use corruptor::graphemes;

/// What the last unit of a text matters for whether another joins it; equal tails are joined by the same units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Tail(u32);

impl Tail {
    /// A printable ASCII character: what extends a grapheme joins it.
    pub(super) const PLAIN: Self = Self(0);
    /// A control character, or the start of a text: nothing joins it.
    pub(super) const BREAK: Self = Self(1);
    /// A carriage return: a line feed joins it.
    pub(super) const RETURN: Self = Self(2);
    const NAMED: u32 = 3;
}

/// Tails by their units, and what is known of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Joins {
    names: Vec<String>,
    tails: HashMap<String, Tail>,
    known: HashMap<(Tail, String), bool>,
}

impl Joins {
    /// The tail of a text that ends with `unit`.
    pub(super) fn tail(&mut self, unit: &str) -> Tail {
        match unit.as_bytes() {
            [b'\r'] => Tail::RETURN,
            [b' '..=b'~'] => Tail::PLAIN,
            [_] | b"\r\n" => Tail::BREAK,
            _ => self.named(unit),
        }
    }

    fn named(&mut self, unit: &str) -> Tail {
        if let Some(tail) = self.tails.get(unit) {
            return *tail;
        }
        let tail = Tail(Tail::NAMED + self.names.len() as u32);
        self.names.push(unit.to_owned());
        self.tails.insert(unit.to_owned(), tail);
        tail
    }

    /// Whether `unit` after `tail` is no grapheme of its own.
    pub(super) fn joins(&mut self, tail: Tail, unit: &str) -> bool {
        let first = unit.as_bytes()[0];
        match tail {
            Tail::BREAK => false,
            Tail::RETURN => first == b'\n',
            Tail::PLAIN if first < 128 => false,
            _ => {
                if let Some(known) = self.known.get(&(tail, unit.to_owned())) {
                    return *known;
                }
                let before = match tail {
                    Tail::PLAIN => "a",
                    Tail(name) => &self.names[(name - Tail::NAMED) as usize],
                };
                let joined = [before, unit].concat();
                let joins = graphemes(&joined).next().map(str::len) != Some(before.len());
                self.known.insert((tail, unit.to_owned()), joins);
                joins
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn units_that_do_not_join_are_the_graphemes_of_their_text(
            text in "([a-c\r\n ]|[\u{300}\u{200d}\u{600}]|[é“]|🇩|🇩🇪|\u{1f469}\u{200d}|\u{1f469}|\u{915}\u{94d}|ก\u{e33}|\u{1100}|\u{1161}|\\PC){0,8}",
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            // Any cut into single graphemes is the segmentation exactly if none joins the one before it.
            let mut bounds: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
            for cut in cuts {
                if bounds.len() > 2 {
                    bounds.remove(1 + cut.index(bounds.len() - 2));
                }
            }
            let units: Vec<&str> = bounds.windows(2).map(|w| &text[w[0]..w[1]]).collect();
            prop_assume!(units.iter().all(|unit| graphemes(unit).count() == 1));
            let mut joins = Joins::default();
            let mut tail = Tail::BREAK;
            let mut is_joined = false;
            for unit in &units {
                is_joined |= joins.joins(tail, unit);
                tail = joins.tail(unit);
            }
            prop_assert_eq!(!is_joined, graphemes(&text).eq(units.iter().copied()));
        }
    }
}
