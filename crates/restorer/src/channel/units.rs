//! The graphemes that a text can have lost, and how a prior proposes them.

use corruptor::graphemes;

use super::asking::Asking;
use crate::prior::{Prior, Ranked, Symbol};

/// Units of the least joint probability that [`Units::of_prior`] lists.
const LEAST_LN: f64 = -14.0;
/// Most units that [`Units::of_prior`] lists.
const MOST_UNITS: usize = 20_000;

/// Graphemes as a trie over their bytes.
#[derive(Clone, Debug)]
pub(super) struct Units {
    texts: Vec<String>,
    nodes: Vec<Node>,
}

/// What follows the bytes that lead to a node.
#[derive(Clone, Debug, Default)]
struct Node {
    /// Sorted by byte.
    children: Vec<(u8, u32)>,
    unit: Option<u32>,
}

impl Units {
    /// The units of a list; what is no single grapheme is left out.
    pub(super) fn new<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let mut units = Self { texts: Vec::new(), nodes: vec![Node::default()] };
        for text in texts {
            if graphemes(text).count() == 1 {
                units.add(text);
            }
        }
        units
    }

    /// Printable ASCII, the line feed, `others`, and every character that the prior gives at least one in a million where
    /// nothing is known before it.
    pub(super) fn of_prior<'t, P: Prior>(prior: &P, others: impl IntoIterator<Item = &'t str>) -> Self {
        let ascii: Vec<String> = (' '..='~').chain(['\n']).map(String::from).collect();
        let mut units = Self::new(ascii.iter().map(String::as_str));
        others.into_iter().filter(|text| graphemes(text).count() == 1).for_each(|text| units.add(text));
        let mut frontier = vec![(Vec::new(), 0.0, prior.open())];
        let mut found = Ranked::default();
        while let Some((bytes, ln, state)) = frontier.pop() {
            prior.likely(&[(state, LEAST_LN - ln)], usize::MAX, &mut found);
            for (symbol, more, next) in found.of(0) {
                let mut bytes: Vec<u8> = bytes.clone();
                bytes.push(*symbol);
                match std::str::from_utf8(&bytes) {
                    Ok(text) if units.texts.len() < MOST_UNITS => units.add(text),
                    Err(error) if error.error_len().is_none() => {
                        frontier.push((bytes, ln + more, next.clone()));
                    }
                    _ => {}
                }
            }
        }
        units
    }

    fn add(&mut self, text: &str) {
        let mut at = 0;
        for byte in text.bytes() {
            at = match self.nodes[at].children.binary_search_by_key(&byte, |(byte, _)| *byte) {
                Ok(found) => self.nodes[at].children[found].1 as usize,
                Err(place) => {
                    let new = self.nodes.len();
                    self.nodes.push(Node::default());
                    self.nodes[at].children.insert(place, (byte, new as u32));
                    new
                }
            };
        }
        if self.nodes[at].unit.is_none() {
            self.nodes[at].unit = Some(self.texts.len() as u32);
            self.texts.push(text.to_owned());
        }
    }

    /// A unit's text.
    pub(super) fn text(&self, unit: u32) -> &str {
        &self.texts[unit as usize]
    }

    /// For each state with a least ln of a probability, the `most` units that the prior holds most probable there.
    pub(super) async fn propose<P: Prior>(
        &self,
        asking: &Asking<'_, P>,
        states: &[(P::State, f64)],
        most: usize,
        proposals: &mut Ranked<u32, P::State>,
    ) {
        let mut symbols: Ranked<Symbol, P::State> = Ranked::default();
        // Of each state, with the trie's node and what has been spent on the way to it.
        let mut owners: Vec<(u32, u32, f64)> =
            (0..states.len() as u32).map(|owner| (owner, 0, 0.0)).collect();
        let mut frontier = states.to_vec();
        let mut found: Vec<(u32, u32, f64, P::State)> = Vec::with_capacity(states.len() * most.min(64));
        while !frontier.is_empty() {
            asking.likely(&frontier, most, &mut symbols).await;
            let (mut next_owners, mut next) = (Vec::new(), Vec::new());
            for (i, (owner, at, spent)) in owners.iter().enumerate() {
                let children = &self.nodes[*at as usize].children;
                for (symbol, ln, state) in symbols.of(i) {
                    let Ok(child) = children.binary_search_by_key(symbol, |(byte, _)| *byte) else {
                        continue;
                    };
                    let child = children[child].1;
                    let node = &self.nodes[child as usize];
                    if let Some(unit) = node.unit {
                        found.push((*owner, unit, spent + ln, state.clone()));
                    }
                    if !node.children.is_empty() {
                        next_owners.push((*owner, child, spent + ln));
                        next.push((state.clone(), states[*owner as usize].1 - spent - ln));
                    }
                }
            }
            (owners, frontier) = (next_owners, next);
        }
        found.sort_by_key(|(owner, ..)| *owner);
        proposals.clear();
        let mut found = found.into_iter().peekable();
        for owner in 0..states.len() as u32 {
            let own = std::iter::from_fn(|| found.next_if(|(of, ..)| *of == owner));
            proposals.extend(own.map(|(_, unit, ln, state)| (unit, ln, state)));
            proposals.close(most);
        }
    }
}
