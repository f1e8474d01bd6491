//! What a decoder has read: texts as paths through a tree, so that what several have in common is read once.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

/// A text that begins somewhere, by its last token.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) parent: Option<Arc<Node>>,
    pub(super) token: u32,
    /// Tokens before it.
    pub(super) depth: usize,
    /// Of all tokens up to it.
    key: u128,
    read: OnceLock<Read>,
    children: Mutex<Vec<(u32, Weak<Node>)>>,
}

/// What reading a token gives.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) block: Arc<Block>,
    pub(super) row: usize,
    /// Of each symbol, ln of its probability in nats.
    pub(super) ln: Arc<[f32]>,
}

/// Keys beside values of tokens that were read together: for each layer `[tokens · width]`.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) layers: Vec<Vec<f32>>,
    pub(super) width: usize,
}

impl Block {
    /// One token's keys beside values in one layer.
    pub(super) fn row(&self, layer: usize, row: usize) -> &[f32] {
        &self.layers[layer][row * self.width..][..self.width]
    }
}

impl Node {
    /// The beginning of texts.
    pub(super) fn root(token: u32) -> Arc<Self> {
        Arc::new(Self::after(None, token))
    }

    fn after(parent: Option<Arc<Self>>, token: u32) -> Self {
        // A multiplicative hash of 128 bits: no two texts of a search have the same.
        let before = parent.as_ref().map_or(0, |parent| parent.key);
        let key = (before ^ u128::from(token + 1)).wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645);
        let depth = parent.as_ref().map_or(0, |parent| parent.depth + 1);
        let key = key ^ (key >> 71);
        Self { parent, token, depth, key, read: OnceLock::new(), children: Mutex::default() }
    }

    /// The text with one token more: the same node as long as somebody holds it.
    pub(super) fn child(self: &Arc<Self>, token: u32) -> Arc<Self> {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        let known = children.iter().find(|(known, _)| *known == token);
        if let Some(child) = known.and_then(|(_, child)| child.upgrade()) {
            return child;
        }
        let child = Arc::new(Self::after(Some(Arc::clone(self)), token));
        children.retain(|(_, child)| child.strong_count() > 0);
        children.push((token, Arc::downgrade(&child)));
        child
    }

    /// What reading it has given, if it was read.
    pub(super) fn read(&self) -> Option<&Read> {
        self.read.get()
    }

    /// Keeps what reading it has given.
    pub(super) fn set_read(&self, read: Read) {
        // Who was faster has found the same.
        let _ = self.read.set(read);
    }

    /// It and what stands before it down to a depth, the last token first.
    pub(super) fn path(self: &Arc<Self>) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::successors(Some(self), |node| node.parent.as_ref())
    }
}

/// A long text ends without a deep recursion.
impl Drop for Node {
    fn drop(&mut self) {
        let mut parent = self.parent.take();
        while let Some(node) = parent {
            let Some(mut last) = Arc::into_inner(node) else { return };
            parent = last.parent.take();
        }
    }
}

/// Where a decoder is in a text; equal after equal texts.
#[derive(Clone, Debug)]
pub struct LmState(pub(super) Arc<Node>);

impl PartialEq for LmState {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key && self.0.depth == other.0.depth
    }
}

impl Eq for LmState {}

impl Hash for LmState {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}
