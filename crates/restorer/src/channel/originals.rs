//! The most probable originals of a part of a lattice, paths with the same original merged.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap};

use super::lattice::Lattice;
use super::share::{Segment, Sums, ln_add};
use crate::engine::Original;

/// How many originals are told apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Most {
    /// Originals.
    pub(super) originals: usize,
    /// Prefixes of originals that are looked at.
    pub(super) prefixes: usize,
    /// The share of all others together at which it is enough.
    pub(super) others: f64,
    /// Originals that are named even so.
    pub(super) named: usize,
}

/// Where a prefix of an original can have ended: at a node, or so many bytes into the text of an arc.
type Place = (u32, u32, u32);

/// A node, no arc.
const NODE: u32 = u32::MAX;

/// A prefix, everything that it can be.
struct Prefix {
    share: f64,
    text: Vec<u8>,
    /// By place: ln of the weight of all paths that spell the prefix, by level. None: an original that ends.
    reached: Option<BTreeMap<Place, Vec<f64>>>,
}

impl Ord for Prefix {
    fn cmp(&self, other: &Self) -> Ordering {
        let is_end = |prefix: &Self| prefix.reached.is_none();
        // Of equal ones the lesser text, and of those the one that ends.
        self.share
            .total_cmp(&other.share)
            .then_with(|| other.text.cmp(&self.text))
            .then_with(|| is_end(self).cmp(&is_end(other)))
    }
}

impl PartialOrd for Prefix {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Prefix {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Prefix {}

/// The originals of a segment, the one with the greatest share first: best first over their prefixes, byte by byte; the share of
/// all originals that begin with a prefix is known exactly, so that none is missed. Also how many of them are enough.
pub(super) fn originals(
    lattice: &Lattice,
    sums: &Sums,
    strings: &str,
    segment: &Segment,
    most: Most,
) -> (Vec<Original>, usize) {
    let ways = Ways::of(lattice, segment);
    let start = BTreeMap::from([((segment.first, NODE, 0), sums.before(segment.first).to_vec())]);
    let mut heap = BinaryHeap::from([Prefix { share: 1.0, text: Vec::new(), reached: Some(start) }]);
    let mut found = Vec::new();
    let mut left = 1.0;
    let mut enough = 1;
    for _ in 0..most.prefixes {
        let Some(Prefix { share, text, reached }) = heap.pop() else { break };
        let Some(reached) = reached else {
            left -= share;
            if let Ok(text) = String::from_utf8(text) {
                found.push(Original { text, share });
            }
            if left > most.others {
                enough = found.len() + 1;
            }
            if found.len() >= most.originals || left <= most.others && found.len() >= most.named {
                break;
            }
            continue;
        };
        let (ended, by_byte) = ways.follow(lattice, strings, reached);
        if let Some(ended) = ended {
            let share = sums.share(segment.last, &ended);
            heap.push(Prefix { share, text: text.clone(), reached: None });
        }
        for (byte, reached) in by_byte {
            let share = reached.iter().map(|(place, ln)| share_of(lattice, sums, *place, ln)).sum();
            let mut text = text.clone();
            text.push(byte);
            if share > 0.0 {
                heap.push(Prefix { share, text, reached: Some(reached) });
            }
        }
    }
    (found, enough)
}

/// The arcs of a segment by the node that they come from.
struct Ways {
    first: u32,
    last: u32,
    by_node: Vec<Vec<u32>>,
}

/// Ends of the original, and what it goes on with.
type Followed = (Option<Vec<f64>>, BTreeMap<u8, BTreeMap<Place, Vec<f64>>>);

impl Ways {
    fn of(lattice: &Lattice, segment: &Segment) -> Self {
        let mut by_node = vec![Vec::new(); (segment.last - segment.first) as usize];
        // Arcs are in the order of the nodes that they lead to.
        let from = lattice.arcs.partition_point(|arc| arc.to <= segment.first);
        let to = lattice.arcs.partition_point(|arc| arc.to <= segment.last);
        for at in from..to {
            by_node[(lattice.arcs[at].from - segment.first) as usize].push(at as u32);
        }
        Self { first: segment.first, last: segment.last, by_node }
    }

    /// Every next byte, and where it leads; arcs without a text are followed at once.
    fn follow(&self, lattice: &Lattice, strings: &str, mut reached: BTreeMap<Place, Vec<f64>>) -> Followed {
        let bytes = strings.as_bytes();
        let (mut ended, mut by_byte) = (None, BTreeMap::<u8, BTreeMap<Place, Vec<f64>>>::new());
        let mut on = |byte: u8, place: Place, ln: &mut dyn Iterator<Item = f64>| {
            merge(by_byte.entry(byte).or_default(), place, ln);
        };
        // Nodes come in their order: what an arc without a text leads to is still to come.
        while let Some(((node, arc, read), ln)) = reached.pop_first() {
            if arc != NODE {
                // The weight of the arc has been added with its first byte.
                let Some(one) = lattice.arcs.get(arc as usize) else { continue };
                let read = read + 1;
                let place =
                    if one.text.start + read == one.text.end { (one.to, NODE, 0) } else { (node, arc, read) };
                on(bytes[(one.text.start + read - 1) as usize], place, &mut ln.into_iter());
                continue;
            }
            if node == self.last {
                ended = Some(ln);
                continue;
            }
            for &way in &self.by_node[(node - self.first) as usize] {
                let one = &lattice.arcs[way as usize];
                let mut weights = ln.iter().zip(lattice.weights(one)).map(|(ln, weight)| ln + weight);
                match one.text.end - one.text.start {
                    0 => merge(&mut reached, (one.to, NODE, 0), &mut weights),
                    1 => on(bytes[one.text.start as usize], (one.to, NODE, 0), &mut weights),
                    _ => on(bytes[one.text.start as usize], (node, way, 1), &mut weights),
                }
            }
        }
        (ended, by_byte)
    }
}

/// The share of all paths that lead through a place with the weights `ln`.
fn share_of(lattice: &Lattice, sums: &Sums, (node, arc, _): Place, ln: &[f64]) -> f64 {
    let node = if arc == NODE { node } else { lattice.arcs[arc as usize].to };
    sums.share(node, ln)
}

fn merge(reached: &mut BTreeMap<Place, Vec<f64>>, place: Place, ln: &mut dyn Iterator<Item = f64>) {
    match reached.get_mut(&place) {
        Some(known) => known.iter_mut().zip(ln).for_each(|(known, ln)| *known = ln_add(*known, ln)),
        None => _ = reached.insert(place, ln.collect()),
    }
}
