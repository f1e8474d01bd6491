//! What a decoder has read: texts as paths through a tree, so that what several have in common is read once.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use crate::layers::{KvBlock, KvPath};

/// Tokens in which the ends of two texts agree that are followed as one: what differs so far back hardly matters for what comes,
/// while every doubt would double the texts at hand for as long as it is open.
const HISTORY: usize = 24;

/// A text that begins somewhere, by its last token.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) parent: Option<Arc<Node>>,
    pub(super) token: u32,
    /// Tokens before it.
    pub(super) depth: usize,
    /// Of the last [`HISTORY`] tokens up to it.
    key: u128,
    read: OnceLock<Read>,
    children: Mutex<Vec<(u32, Weak<Node>)>>,
}

/// What reading a token gives.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) block: Arc<KvBlock>,
    pub(super) row: usize,
    /// Of each symbol, ln of its probability in nats.
    pub(super) ln: Arc<[f32]>,
}

fn mixed(key: u128, token: u32) -> u128 {
    let key = (key ^ u128::from(token + 1)).wrapping_mul(0x2360_ED05_1FC6_5DA4_4385_DF64_9FCC_F645);
    key ^ (key >> 71)
}

impl Node {
    /// The beginning of texts.
    pub(super) fn root(token: u32) -> Arc<Self> {
        Arc::new(Self::after(None, token))
    }

    fn after(parent: Option<Arc<Self>>, token: u32) -> Self {
        let before = std::iter::successors(parent.as_ref(), |node| node.parent.as_ref());
        // A multiplicative hash of 128 bits: no two histories of a search have the same.
        let key = before.map(|node| node.token).take(HISTORY - 1).fold(mixed(0, token), mixed);
        let depth = parent.as_ref().map_or(0, |parent| parent.depth + 1);
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

    /// What stands before it, all of which has been read; `None` where something has not.
    pub(super) fn before(&self) -> Option<KvPath<'_>> {
        let mut path = KvPath::with_capacity(self.depth);
        let mut at = self.parent.as_ref();
        while let Some(node) = at {
            let Read { block, row, .. } = node.read()?;
            match path.last_mut() {
                Some((last, tokens))
                    if std::ptr::eq(*last, Arc::as_ptr(block)) && tokens.start == row + 1 =>
                {
                    tokens.start = *row;
                }
                _ => path.push((block, *row..row + 1)),
            }
            at = node.parent.as_ref();
        }
        path.reverse();
        Some(path)
    }

    /// It and what stands before it, the last token first.
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

/// Where a decoder is in a text; equal after texts whose last [`HISTORY`] tokens are equal.
#[derive(Clone, Debug)]
pub struct LmState(pub(super) Arc<Node>);

impl PartialEq for LmState {
    fn eq(&self, other: &Self) -> bool {
        self.0.key == other.0.key
    }
}

impl Eq for LmState {}

impl Hash for LmState {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.key.hash(state);
    }
}
