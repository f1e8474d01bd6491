//! The model as it is used: a table of bytes, in memory, mapped from a file, or part of the program.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::entry::START;
use super::pack::{MARK_BLOCK, NODE_BLOCK, Packed};
use super::quantize::{ln_weight, probability};
use crate::bytes::SharedBytes;
use crate::error::RestoreError;
use crate::prior::{Prior, Ranked, Symbol, is_symbol};

/// `model_type` of the checkpoints.
pub const MODEL_TYPE: &str = "revertant-ngram";

/// The tensors of the table: name, type and bytes of an element.
const TENSORS: [(&str, Dtype, usize); 8] = [
    ("arcs", Dtype::U8, 2),
    ("marks", Dtype::U8, 1),
    ("mark_sums", Dtype::U32, 4),
    ("degrees", Dtype::U8, 1),
    ("arc_sums", Dtype::U32, 4),
    ("links", Dtype::U32, 4),
    ("weights", Dtype::U16, 2),
    ("unigrams", Dtype::F32, 4),
];

/// A byte n-gram model with back-off.
///
/// Its states are nodes: the longest known contexts. What is not among the arcs of one has the back-off weight of the node times
/// its probability after the linked, shorter context (Katz 1987).
#[derive(Clone, Debug)]
pub struct NgramModel {
    bytes: SharedBytes,
    /// Where each of [`TENSORS`] lies.
    at: [Range<usize>; 8],
    nodes: u32,
    /// The node at the start of a text.
    start: u32,
    ln_codes: Arc<[f32; 256]>,
    ln_unigrams: Arc<[f32; 256]>,
}

/// The table as a safetensors file.
pub(super) fn to_safetensors(packed: &Packed) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
    let contents: [Vec<u8>; 8] = [
        packed.arcs.clone(),
        packed.marks.clone(),
        words(&packed.mark_sums),
        packed.degrees.clone(),
        words(&packed.arc_sums),
        words(&packed.links),
        packed.weights.iter().flat_map(|weight| weight.to_le_bytes()).collect(),
        packed.unigrams.iter().flat_map(|p| p.to_le_bytes()).collect(),
    ];
    let mut views = Vec::with_capacity(TENSORS.len());
    for ((name, dtype, size), content) in TENSORS.iter().zip(&contents) {
        let shape = if *name == "arcs" { vec![content.len() / 2, 2] } else { vec![content.len() / size] };
        views.push((*name, TensorView::new(*dtype, shape, content)?));
    }
    safetensors::serialize(views, Some(HashMap::from([("format".to_owned(), "pt".to_owned())])))
}

impl NgramModel {
    /// Takes the contents of `model.safetensors`; `path` stands in errors.
    ///
    /// # Errors
    /// If a tensor is missing, has another form, or does not fit the others: the file is cut short, or of another family.
    pub fn from_bytes(bytes: SharedBytes, path: &Path) -> Result<Self, RestoreError> {
        let format = |message: String| RestoreError::Format { path: path.to_owned(), message };
        let content: &[u8] = bytes.as_ref();
        let tensors = SafeTensors::deserialize(content)
            .map_err(|error| format(format!("{error}; is the file complete?")))?;
        let mut at: [Range<usize>; 8] = Default::default();
        for (range, (name, dtype, _)) in at.iter_mut().zip(&TENSORS) {
            let missing = |_| RestoreError::MissingTensor {
                path: path.to_owned(),
                name: (*name).to_owned(),
                family: MODEL_TYPE,
            };
            let view = tensors.tensor(name).map_err(missing)?;
            if view.dtype() != *dtype {
                return Err(format(format!("tensor `{name}` is {:?}, expected {dtype:?}", view.dtype())));
            }
            let from = view.data().as_ptr() as usize - content.as_ptr() as usize;
            *range = from..from + view.data().len();
        }
        let nodes = at[DEGREES].len() as u32;
        let mut model = Self {
            at,
            nodes,
            start: 0,
            ln_codes: Arc::new(std::array::from_fn(|code| probability(code as u8).ln() as f32)),
            ln_unigrams: Arc::new([f32::NEG_INFINITY; 256]),
            bytes,
        };
        model.check().map_err(format)?;
        model.ln_unigrams = Arc::new(std::array::from_fn(|symbol| {
            if is_symbol(symbol as u8) { model.unigram(symbol).ln() } else { f32::NEG_INFINITY }
        }));
        model.start = model.find(0, START).and_then(|arc| model.child(arc)).unwrap_or(0);
        Ok(model)
    }

    /// Contexts that are known.
    pub fn nodes(&self) -> usize {
        self.nodes as usize
    }

    /// N-grams that are known.
    pub fn arcs(&self) -> usize {
        self.at[ARCS].len() / 2
    }

    /// What every look-up relies on.
    fn check(&self) -> Result<(), String> {
        let (arcs, nodes) = (self.arcs(), self.nodes());
        let sizes = [
            (MARKS, arcs.div_ceil(8)),
            (MARK_SUMS, 4 * arcs.div_ceil(MARK_BLOCK)),
            (ARC_SUMS, 4 * nodes.div_ceil(NODE_BLOCK)),
            (LINKS, 4 * nodes),
            (WEIGHTS, 2 * nodes),
            (UNIGRAMS, 4 * 256),
        ];
        if nodes == 0 {
            return Err("tensor `degrees` is empty; the root is missing".to_owned());
        }
        for (tensor, bytes) in sizes {
            let (name, found) = (TENSORS[tensor].0, self.at[tensor].len());
            if found != bytes {
                return Err(format!(
                    "tensor `{name}` has {found} bytes, but `arcs` and `degrees` ask for {bytes}"
                ));
            }
        }
        let (mut sum, mut children) = (0usize, 0u32);
        for node in 0..nodes {
            if node.is_multiple_of(NODE_BLOCK) && self.word(ARC_SUMS, node / NODE_BLOCK) as usize != sum {
                return Err(format!("`arc_sums` disagrees with `degrees` at node {node}"));
            }
            sum += usize::from(self.tensor(DEGREES)[node]) + 1;
            let link = self.word(LINKS, node) as usize;
            if link >= node.max(1) {
                return Err(format!(
                    "the link of node {node} leads to node {link}, which is no shorter context"
                ));
            }
        }
        if sum != arcs {
            return Err(format!("`degrees` ask for {sum} arcs, but there are {arcs}"));
        }
        for arc in (0..arcs).step_by(8) {
            if arc.is_multiple_of(MARK_BLOCK) && self.word(MARK_SUMS, arc / MARK_BLOCK) != children {
                return Err(format!("`mark_sums` disagrees with `marks` at arc {arc}"));
            }
            children += self.tensor(MARKS)[arc / 8].count_ones();
        }
        if children as usize + 1 != nodes {
            return Err(format!("{children} arcs have a child, but there are {nodes} nodes"));
        }
        let unigrams: f32 = (0..256).map(|symbol| self.unigram(symbol)).sum();
        let is_one = |sum: f32| (sum - 1.0).abs() < 1e-3;
        let has_all = (0..=u8::MAX)
            .filter(|s| is_symbol(*s))
            .all(|symbol| self.find(0, symbol).is_some() && self.unigram(usize::from(symbol)) > 0.0);
        if !is_one(unigrams) || !has_all {
            return Err("the root does not give every symbol a probability".to_owned());
        }
        Ok(())
    }

    fn tensor(&self, tensor: usize) -> &[u8] {
        &self.bytes.as_ref()[self.at[tensor].clone()]
    }

    fn word(&self, tensor: usize, index: usize) -> u32 {
        let bytes = &self.tensor(tensor)[4 * index..4 * index + 4];
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    fn unigram(&self, symbol: usize) -> f32 {
        f32::from_bits(self.word(UNIGRAMS, symbol))
    }

    fn ln_weight(&self, node: u32) -> f32 {
        let bytes = &self.tensor(WEIGHTS)[2 * node as usize..2 * node as usize + 2];
        ln_weight(u16::from_le_bytes([bytes[0], bytes[1]])) as f32
    }

    fn link(&self, node: u32) -> u32 {
        self.word(LINKS, node as usize)
    }

    /// The arcs of a node: index of the first, and symbol and code of each, in the order of symbols.
    fn arcs_of(&self, node: u32) -> (usize, &[[u8; 2]]) {
        let (node, degrees) = (node as usize, self.tensor(DEGREES));
        let block = node / NODE_BLOCK;
        let first =
            self.word(ARC_SUMS, block) as usize + sum(&degrees[block * NODE_BLOCK..node]) + node % NODE_BLOCK;
        let arcs = &self.tensor(ARCS)[2 * first..2 * (first + usize::from(degrees[node]) + 1)];
        (first, arcs.as_chunks().0)
    }

    /// The arc of a node for a symbol.
    fn find(&self, node: u32, symbol: u8) -> Option<usize> {
        let (first, pairs) = self.arcs_of(node);
        let found = if pairs.len() <= 12 {
            pairs.iter().position(|pair| pair[0] == symbol)
        } else {
            pairs.binary_search_by_key(&symbol, |pair| pair[0]).ok()
        };
        found.map(|at| first + at)
    }

    /// The node that an arc leads to.
    fn child(&self, arc: usize) -> Option<u32> {
        let marks = self.tensor(MARKS);
        if marks[arc / 8] >> (arc % 8) & 1 == 0 {
            return None;
        }
        let block = arc / MARK_BLOCK;
        let whole = &marks[block * MARK_BLOCK / 8..arc / 8];
        let below = marks[arc / 8] & ((1u16 << (arc % 8)) - 1) as u8;
        let before: u32 = whole.iter().map(|mark| mark.count_ones()).sum();
        Some(self.word(MARK_SUMS, block) + before + below.count_ones() + 1)
    }

    /// ln of the probability of `symbol` after the context of `node`, and the node of the longest known context after it.
    pub fn step(&self, node: u32, symbol: Symbol) -> (f32, u32) {
        let (mut ln, mut at) = (0.0, node);
        loop {
            if let Some(arc) = self.find(at, symbol) {
                return (ln + self.ln_arc(at, arc, symbol), self.after(at, arc, symbol));
            }
            if at == 0 {
                // The root has all symbols that can occur.
                return (f32::NEG_INFINITY, 0);
            }
            ln += self.ln_weight(at);
            at = self.link(at);
        }
    }

    /// ln of the probability that an arc has at its node.
    fn ln_arc(&self, node: u32, arc: usize, symbol: Symbol) -> f32 {
        match node {
            0 => self.ln_unigrams[usize::from(symbol)],
            _ => self.ln_codes[usize::from(self.tensor(ARCS)[2 * arc + 1])],
        }
    }

    /// The node of the longest known context after `symbol`, which has the arc `arc` at `node`.
    fn after(&self, mut node: u32, mut arc: usize, symbol: Symbol) -> u32 {
        loop {
            if let Some(child) = self.child(arc) {
                return child;
            }
            loop {
                if node == 0 {
                    return 0;
                }
                node = self.link(node);
                if let Some(found) = self.find(node, symbol) {
                    arc = found;
                    break;
                }
            }
        }
    }
}

/// A symbol that may come next, and the arc that says so.
#[derive(Clone, Copy)]
struct Known {
    symbol: Symbol,
    ln: f32,
    node: u32,
    arc: usize,
}

impl NgramModel {
    /// The `most` most probable symbols of at least e^`least`: those that the longest contexts know, until no other can be among them. In no order.
    fn known(&self, node: u32, least: f64, most: usize, known: &mut Vec<Known>) {
        known.clear();
        let (mut seen, mut ln, mut at) = ([false; 256], 0.0, node);
        let order = |a: &Known, b: &Known| b.ln.total_cmp(&a.ln).then(a.symbol.cmp(&b.symbol));
        loop {
            let (first, pairs) = self.arcs_of(at);
            for (arc, [symbol, _]) in (first..).zip(pairs) {
                if is_symbol(*symbol) && !std::mem::replace(&mut seen[usize::from(*symbol)], true) {
                    let ln = ln + self.ln_arc(at, arc, *symbol);
                    if f64::from(ln) >= least {
                        known.push(Known { symbol: *symbol, ln, node: at, arc });
                    }
                }
            }
            if known.len() > most {
                known.select_nth_unstable_by(most - 1, order);
                known.truncate(most);
            }
            if at == 0 {
                return;
            }
            ln += self.ln_weight(at);
            // What is not known here has the weight at most.
            if f64::from(ln) < least || known.len() == most && known.iter().all(|known| known.ln >= ln) {
                return;
            }
            at = self.link(at);
        }
    }
}

/// Σ of bytes, eight at a time.
fn sum(bytes: &[u8]) -> usize {
    let (words, rest) = bytes.as_chunks::<8>();
    let of_word = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        let pairs = (word & 0x00FF_00FF_00FF_00FF) + (word >> 8 & 0x00FF_00FF_00FF_00FF);
        (pairs.wrapping_mul(0x0001_0001_0001_0001) >> 48) as usize
    };
    words.iter().map(of_word).sum::<usize>() + rest.iter().map(|byte| usize::from(*byte)).sum::<usize>()
}

const ARCS: usize = 0;
const MARKS: usize = 1;
const MARK_SUMS: usize = 2;
const DEGREES: usize = 3;
const ARC_SUMS: usize = 4;
const LINKS: usize = 5;
const WEIGHTS: usize = 6;
const UNIGRAMS: usize = 7;

impl Prior for NgramModel {
    type State = u32;

    fn start(&self) -> u32 {
        self.start
    }

    fn open(&self) -> u32 {
        0
    }

    fn advance(&self, steps: &[(u32, Symbol)], next: &mut Vec<(f32, u32)>) {
        next.clear();
        next.extend(steps.iter().map(|(node, symbol)| self.step(*node, *symbol)));
    }

    fn likely(&self, states: &[(u32, f64)], most: usize, found: &mut Ranked<Symbol, u32>) {
        found.clear();
        let mut known = Vec::with_capacity(64);
        for (node, least) in states {
            self.known(*node, *least, most, &mut known);
            let next =
                |one: &Known| (one.symbol, f64::from(one.ln), self.after(one.node, one.arc, one.symbol));
            found.extend(known.iter().map(next));
            found.close(most);
        }
    }
}
