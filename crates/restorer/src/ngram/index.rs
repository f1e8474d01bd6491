//! What a look-up needs of a context, side by side: worked out from the table when it is opened.

use std::ops::Range;

use rayon::prelude::*;

use super::quantize::ln_weight;

/// Contexts whose links are worked out by one thread.
const CHUNK_NODES: usize = 4096;

/// A context.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Node {
    /// Its first arc; the next node's is the first that is not its own.
    first_arc: u32,
    /// The node that the first of its arcs with a child leads to, if there is one.
    first_child: u32,
    /// The node of its longest known suffix.
    pub(super) link: u32,
    /// ln of its back-off weight.
    pub(super) ln_weight: f32,
}

/// The contexts of a table, and one more at the end.
#[derive(Clone, Debug)]
pub(super) struct Index {
    nodes: Vec<Node>,
}

/// The parts of a table that lead from node to node.
#[derive(Clone, Copy)]
pub(super) struct Trie<'t> {
    /// By arc: symbol and code.
    pub(super) arcs: &'t [[u8; 2]],
    /// A bit an arc: whether it has a child.
    pub(super) marks: &'t [u8],
}

impl Trie<'_> {
    /// The arc of a node for a symbol.
    #[inline]
    pub(super) fn find(&self, arcs: Range<usize>, symbol: u8) -> Option<usize> {
        let pairs = &self.arcs[arcs.clone()];
        let found = if pairs.len() <= 12 {
            pairs.iter().position(|pair| pair[0] == symbol)
        } else {
            pairs.binary_search_by_key(&symbol, |pair| pair[0]).ok()
        };
        found.map(|at| arcs.start + at)
    }

    /// Whether an arc has a child.
    #[inline]
    pub(super) fn has_child(&self, arc: usize) -> bool {
        self.marks[arc / 8] >> (arc % 8) & 1 != 0
    }

    /// Arcs with a child among some.
    #[inline]
    fn children(&self, arcs: Range<usize>) -> u32 {
        let (first, last) = (arcs.start / 8, arcs.end / 8);
        let below = |arc: usize| (1u16 << (arc % 8)) as u8 - 1;
        let bits = |byte: usize, keep: u8| (self.marks.get(byte).copied().unwrap_or(0) & keep).count_ones();
        if first == last {
            return bits(first, below(arcs.end) & !below(arcs.start));
        }
        let between: u32 = self.marks[first + 1..last].iter().map(|byte| byte.count_ones()).sum();
        bits(first, !below(arcs.start)) + between + bits(last, below(arcs.end))
    }
}

impl Index {
    /// Works out the index of a table; `degrees` are the arcs of each node, less 1, `weights` the codes of their weights.
    ///
    /// # Errors
    /// If they do not fit each other.
    pub(super) fn new(trie: Trie<'_>, degrees: &[u8], weights: &[u8]) -> Result<Self, String> {
        let mut nodes = Vec::with_capacity(degrees.len() + 1);
        let (mut first_arc, mut first_child) = (0usize, 1u32);
        for (node, (degree, weight)) in degrees.iter().zip(weights.as_chunks::<2>().0).enumerate() {
            if first_child as usize <= node && node > 0 {
                return Err(format!("node {node} is no arc's child"));
            }
            let ln_weight = ln_weight(u16::from_le_bytes(*weight)) as f32;
            nodes.push(Node { first_arc: first_arc as u32, first_child, link: 0, ln_weight });
            let next = first_arc + usize::from(*degree) + 1;
            if next > trie.arcs.len() {
                break;
            }
            first_child += trie.children(first_arc..next);
            first_arc = next;
        }
        if nodes.len() != degrees.len() || first_arc != trie.arcs.len() {
            let asked: usize = degrees.iter().map(|degree| usize::from(*degree) + 1).sum();
            return Err(format!("`degrees` ask for {asked} arcs, but there are {}", trie.arcs.len()));
        }
        if first_child as usize != nodes.len() {
            return Err(format!(
                "{} arcs have a child, but there are {} nodes",
                first_child - 1,
                nodes.len()
            ));
        }
        nodes.push(Node { first_arc: first_arc as u32, first_child, ..Node::default() });
        let mut new = Self { nodes };
        new.link(trie);
        Ok(new)
    }

    /// Finds the longest known suffix of every context: that of a child is what its symbol leads to from a suffix of its parent. Level by
    /// level, since the suffixes are shorter.
    fn link(&mut self, trie: Trie<'_>) {
        let mut level = 0..1usize;
        while !level.is_empty() {
            let of_chunk = |first: usize| {
                let chunk = first..(first + CHUNK_NODES).min(level.end);
                chunk.flat_map(|node| self.links_of_children(trie, node as u32)).collect::<Vec<u32>>()
            };
            let chunks: Vec<usize> = level.clone().step_by(CHUNK_NODES).collect();
            let links: Vec<Vec<u32>> = chunks.into_par_iter().map(of_chunk).collect();
            let first = self.nodes[level.start].first_child as usize;
            let mut next = first;
            for link in links.into_iter().flatten() {
                self.nodes[next].link = link;
                next += 1;
            }
            level = first..next;
        }
    }

    fn links_of_children(&self, trie: Trie<'_>, node: u32) -> impl Iterator<Item = u32> {
        let with_child = self.arcs(node).filter(move |arc| trie.has_child(*arc));
        with_child.map(
            move |arc| if node == 0 { 0 } else { self.after(trie, self.node(node).link, trie.arcs[arc][0]) },
        )
    }

    /// Number of nodes.
    pub(super) fn len(&self) -> usize {
        self.nodes.len() - 1
    }

    #[inline]
    pub(super) fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    /// The arcs of a node.
    #[inline]
    pub(super) fn arcs(&self, node: u32) -> Range<usize> {
        let node = node as usize;
        self.nodes[node].first_arc as usize..self.nodes[node + 1].first_arc as usize
    }

    /// The node that an arc of `node` leads to.
    #[inline]
    pub(super) fn child(&self, trie: Trie<'_>, node: u32, arc: usize) -> Option<u32> {
        let Node { first_arc, first_child, .. } = *self.node(node);
        trie.has_child(arc).then(|| first_child + trie.children(first_arc as usize..arc))
    }

    /// The node that `symbol` leads to from the longest suffix of `node` from which it leads to one, itself included.
    #[inline]
    pub(super) fn after(&self, trie: Trie<'_>, mut node: u32, symbol: u8) -> u32 {
        loop {
            let found = trie.find(self.arcs(node), symbol);
            if let Some(child) = found.and_then(|arc| self.child(trie, node, arc)) {
                return child;
            }
            if node == 0 {
                return 0;
            }
            node = self.node(node).link;
        }
    }
}
