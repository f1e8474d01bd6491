//! The model as it is used: a table of bytes, in memory, mapped from a file, or part of the program.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::entry::START;
use super::index::{Index, Trie};
use super::pack::Packed;
use super::quantize::probability;
use crate::bytes::SharedBytes;
use crate::error::RestoreError;
use crate::prior::{Prior, Ranked, Symbol, is_symbol};

/// `model_type` of the checkpoints.
pub const MODEL_TYPE: &str = "revertant-ngram";

/// The tensors of the table: name, type and bytes of an element.
const TENSORS: [(&str, Dtype, usize); 5] = [
    ("arcs", Dtype::U8, 2),
    ("marks", Dtype::U8, 1),
    ("degrees", Dtype::U8, 1),
    ("weights", Dtype::U16, 2),
    ("unigrams", Dtype::F32, 4),
];

/// Steps that are looked up together.
const BLOCK_STEPS: usize = 32;

/// A byte n-gram model with back-off.
///
/// Its states are nodes: the longest known contexts. What is not among the arcs of one has the back-off weight of the node times
/// its probability after the linked, shorter context (Katz 1987).
#[derive(Clone, Debug)]
pub struct NgramModel {
    bytes: SharedBytes,
    /// Where each of [`TENSORS`] lies.
    at: [Range<usize>; 5],
    index: Arc<Index>,
    /// The node at the start of a text.
    start: u32,
    ln_codes: Arc<[f32; 256]>,
    ln_unigrams: Arc<[f32; 256]>,
}

/// The table as a safetensors file.
pub(super) fn to_safetensors(packed: &Packed) -> Result<Vec<u8>, safetensors::SafeTensorError> {
    let contents: [Vec<u8>; 5] = [
        packed.arcs.clone(),
        packed.marks.clone(),
        packed.degrees.clone(),
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
        let mut at: [Range<usize>; 5] = Default::default();
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
        let of = |tensor: usize| &content[at[tensor].clone()];
        check_sizes(&at).map_err(format)?;
        let trie = Trie { arcs: of(ARCS).as_chunks().0, marks: of(MARKS) };
        let index = Index::new(trie, of(DEGREES), of(WEIGHTS)).map_err(format)?;
        let (unigrams, _) = of(UNIGRAMS).as_chunks::<4>();
        let unigrams: [f32; 256] = std::array::from_fn(|symbol| f32::from_le_bytes(unigrams[symbol]));
        let knows =
            |symbol: u8| trie.find(index.arcs(0), symbol).is_some() && unigrams[usize::from(symbol)] > 0.0;
        let is_one = (unigrams.iter().sum::<f32>() - 1.0).abs() < 1e-3;
        if !is_one || !(0..=u8::MAX).filter(|symbol| is_symbol(*symbol)).all(knows) {
            return Err(format("the root does not give every symbol a probability".to_owned()));
        }
        let start = trie.find(index.arcs(0), START).and_then(|arc| index.child(trie, 0, arc)).unwrap_or(0);
        let ln_unigram =
            |symbol: usize| if is_symbol(symbol as u8) { unigrams[symbol].ln() } else { f32::NEG_INFINITY };
        Ok(Self {
            start,
            ln_codes: Arc::new(std::array::from_fn(|code| probability(code as u8).ln() as f32)),
            ln_unigrams: Arc::new(std::array::from_fn(ln_unigram)),
            index: Arc::new(index),
            at,
            bytes,
        })
    }

    /// Contexts that are known.
    pub fn nodes(&self) -> usize {
        self.index.len()
    }

    /// N-grams that are known.
    pub fn arcs(&self) -> usize {
        self.at[ARCS].len() / 2
    }

    fn tensor(&self, tensor: usize) -> &[u8] {
        &self.bytes.as_ref()[self.at[tensor].clone()]
    }

    #[inline]
    fn trie(&self) -> Trie<'_> {
        Trie { arcs: self.tensor(ARCS).as_chunks().0, marks: self.tensor(MARKS) }
    }

    /// ln of the probability of `symbol` after the context of `node`, and the node of the longest known context after it.
    pub fn step(&self, node: u32, symbol: Symbol) -> (f32, u32) {
        self.step_in(self.trie(), node, symbol)
    }

    /// The contexts that are known, by node.
    #[cfg(test)]
    pub(super) fn contexts(&self) -> Vec<Vec<u8>> {
        let mut contexts = vec![Vec::new(); self.nodes()];
        for node in 0..self.nodes() as u32 {
            for arc in self.index.arcs(node) {
                if let Some(child) = self.index.child(self.trie(), node, arc) {
                    contexts[child as usize] =
                        [&contexts[node as usize][..], &[self.trie().arcs[arc][0]]].concat();
                }
            }
        }
        contexts
    }

    #[inline]
    fn step_in(&self, trie: Trie<'_>, node: u32, symbol: Symbol) -> (f32, u32) {
        let (mut ln, mut at) = (0.0, node);
        loop {
            if let Some(arc) = trie.find(self.index.arcs(at), symbol) {
                return (ln + self.ln_arc(trie, at, arc), self.after(trie, at, arc));
            }
            if at == 0 {
                // The root has all symbols that can occur.
                return (f32::NEG_INFINITY, 0);
            }
            let shorter = self.index.node(at);
            ln += shorter.ln_weight;
            at = shorter.link;
        }
    }

    /// Brings what a block of steps begins with into the cache: waits for memory that do not depend on each other overlap.
    #[inline]
    fn touch(&self, trie: Trie<'_>, block: &[(u32, Symbol)]) {
        let mut first = [0usize; BLOCK_STEPS];
        for (first, (node, _)) in first.iter_mut().zip(block) {
            *first = self.index.arcs(*node).start;
        }
        let arcs = first.iter().take(block.len()).map(|first| trie.arcs[*first][0] ^ trie.marks[*first / 8]);
        std::hint::black_box(arcs.fold(0, |sum, byte| sum ^ byte));
    }

    /// ln of the probability that an arc has at its node.
    #[inline]
    fn ln_arc(&self, trie: Trie<'_>, node: u32, arc: usize) -> f32 {
        let [symbol, code] = trie.arcs[arc];
        if node == 0 { self.ln_unigrams[usize::from(symbol)] } else { self.ln_codes[usize::from(code)] }
    }

    /// The node of the longest known context after the symbol of `arc`, which is one of `node`.
    #[inline]
    fn after(&self, trie: Trie<'_>, node: u32, arc: usize) -> u32 {
        match self.index.child(trie, node, arc) {
            Some(child) => child,
            None if node == 0 => 0,
            None => self.index.after(trie, self.index.node(node).link, trie.arcs[arc][0]),
        }
    }
}

/// Checks that the tensors are as long as arcs and nodes ask for.
fn check_sizes(at: &[Range<usize>; 5]) -> Result<(), String> {
    let (arcs, nodes) = (at[ARCS].len() / 2, at[DEGREES].len());
    if nodes == 0 {
        return Err("tensor `degrees` is empty; the root is missing".to_owned());
    }
    let sizes = [(ARCS, 2 * arcs), (MARKS, arcs.div_ceil(8)), (WEIGHTS, 2 * nodes), (UNIGRAMS, 4 * 256)];
    for (tensor, bytes) in sizes {
        let (name, found) = (TENSORS[tensor].0, at[tensor].len());
        if found != bytes {
            return Err(format!(
                "tensor `{name}` has {found} bytes, but `arcs` and `degrees` ask for {bytes}"
            ));
        }
    }
    Ok(())
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
    fn known(&self, trie: Trie<'_>, node: u32, least: f64, most: usize, known: &mut Vec<Known>) {
        known.clear();
        let (mut seen, mut ln, mut at) = ([false; 256], 0.0, node);
        let order = |a: &Known, b: &Known| b.ln.total_cmp(&a.ln).then(a.symbol.cmp(&b.symbol));
        loop {
            let arcs = self.index.arcs(at);
            for (arc, [symbol, _]) in arcs.clone().zip(&trie.arcs[arcs]) {
                if is_symbol(*symbol) && !std::mem::replace(&mut seen[usize::from(*symbol)], true) {
                    let ln = ln + self.ln_arc(trie, at, arc);
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
            let shorter = self.index.node(at);
            ln += shorter.ln_weight;
            // What is not known here has the weight at most.
            if f64::from(ln) < least || known.len() == most && known.iter().all(|known| known.ln >= ln) {
                return;
            }
            at = shorter.link;
        }
    }
}

const ARCS: usize = 0;
const MARKS: usize = 1;
const DEGREES: usize = 2;
const WEIGHTS: usize = 3;
const UNIGRAMS: usize = 4;

impl Prior for NgramModel {
    type State = u32;

    fn start(&self) -> u32 {
        self.start
    }

    fn open(&self) -> u32 {
        0
    }

    fn advance(&self, steps: &[(u32, Symbol)], next: &mut Vec<(f32, u32)>) {
        let trie = self.trie();
        next.clear();
        for block in steps.chunks(BLOCK_STEPS) {
            self.touch(trie, block);
            next.extend(block.iter().map(|(node, symbol)| self.step_in(trie, *node, *symbol)));
        }
    }

    fn likely(&self, states: &[(u32, f64)], most: usize, found: &mut Ranked<Symbol, u32>) {
        found.clear();
        let trie = self.trie();
        let mut known = Vec::with_capacity(64);
        for (node, least) in states {
            self.known(trie, *node, *least, most, &mut known);
            let next = |one: &Known| (one.symbol, f64::from(one.ln), self.after(trie, one.node, one.arc));
            found.extend(known.iter().map(next));
            found.close(most);
        }
    }
}
