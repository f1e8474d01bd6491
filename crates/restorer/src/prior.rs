//! Priors: how probable a text is, symbol by symbol.

use std::hash::Hash;

/// What a prior predicts: a byte of UTF-8, or [`END`].
pub type Symbol = u8;

/// The end of a text. No byte of UTF-8 has this value.
pub const END: Symbol = 0xFF;

/// Whether a symbol can occur: bytes that UTF-8 has, and [`END`].
pub fn is_symbol(symbol: Symbol) -> bool {
    !matches!(symbol, 0xC0 | 0xC1 | 0xF5..=0xFE)
}

/// A probability distribution over texts, factored over their bytes and their end.
///
/// After any state, the probabilities of all [symbols](is_symbol) sum to 1 within the precision of the stored weights.
pub trait Prior: Send + Sync {
    /// What of the symbols so far matters for those to come: equal states have equal futures.
    type State: Clone + Eq + Hash + Send + Sync;

    /// Before the first byte of a text.
    fn start(&self) -> Self::State;

    /// Inside of a text of which nothing so far is known.
    fn open(&self) -> Self::State;

    /// For each state and symbol, ln of the symbol's probability in nats and the state after it, into `next`, which is cleared.
    /// Many at once, so that a prior can batch; the result of each does not depend on the others.
    fn advance(&self, steps: &[(Self::State, Symbol)], next: &mut Vec<(f32, Self::State)>);

    /// Whether many questions asked together are cheaper than each by itself.
    fn is_asked_together(&self) -> bool {
        false
    }

    /// Bytes that a state holds, about.
    fn state_bytes(&self) -> usize {
        size_of::<Self::State>()
    }

    /// Reads symbols one after the other: of each, ln of its probability in nats and the state after it, into `next`, which is
    /// cleared. The same as single steps, at once where a prior can.
    fn read(&self, state: &Self::State, symbols: &[Symbol], next: &mut Vec<(f32, Self::State)>) {
        next.clear();
        let (mut state, mut one) = (state.clone(), Vec::with_capacity(1));
        for symbol in symbols {
            self.advance(&[(state.clone(), *symbol)], &mut one);
            let Some((ln, after)) = one.pop() else { return };
            state = after.clone();
            next.push((ln, after));
        }
    }

    /// For each state with a least ln of a probability, at most `most` symbols that come next and are at least so probable, the most
    /// probable first and equal ones in their order; impossible ones are left out. `found` is cleared.
    fn likely(&self, states: &[(Self::State, f64)], most: usize, found: &mut Ranked<Symbol, Self::State>) {
        let symbols = || (0..=u8::MAX).filter(|symbol| is_symbol(*symbol));
        let steps: Vec<_> = states
            .iter()
            .flat_map(|(state, _)| symbols().map(move |symbol| (state.clone(), symbol)))
            .collect();
        let mut next = Vec::with_capacity(steps.len());
        self.advance(&steps, &mut next);
        found.clear();
        let mut next = next.into_iter();
        for (_, least) in states {
            let all = symbols().zip(&mut next).map(|(symbol, (ln, state))| (symbol, f64::from(ln), state));
            found.extend(all.filter(|(_, ln, _)| ln >= least));
            found.close(most);
        }
    }
}

/// What may come next after each of several states: a key, ln of its probability in nats, and the state after it.
#[derive(Clone, Debug)]
pub struct Ranked<K, S> {
    entries: Vec<(K, f64, S)>,
    ends: Vec<usize>,
}

impl<K, S> Default for Ranked<K, S> {
    fn default() -> Self {
        Self { entries: Vec::new(), ends: Vec::new() }
    }
}

impl<K: Ord, S> Ranked<K, S> {
    /// Forgets everything, but keeps the memory.
    pub fn clear(&mut self) {
        self.entries.clear();
        self.ends.clear();
    }

    /// Adds what may come after the state at hand; what is impossible is left out.
    pub fn extend(&mut self, entries: impl Iterator<Item = (K, f64, S)>) {
        self.entries.extend(entries.filter(|(_, ln, _)| *ln > f64::NEG_INFINITY));
    }

    /// Ends the state at hand: what was added since the last one is sorted, and the `most` most probable stay.
    pub fn close(&mut self, most: usize) {
        let first = self.ends.last().copied().unwrap_or(0);
        self.entries[first..].sort_unstable_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        self.entries.truncate(first.saturating_add(most));
        self.ends.push(self.entries.len());
    }

    /// The lists of all states, one after the other.
    pub(crate) fn into_states(self) -> impl Iterator<Item = Vec<(K, f64, S)>> {
        let mut entries = self.entries.into_iter();
        let mut first = 0;
        self.ends.into_iter().map(move |end| {
            let own = entries.by_ref().take(end - first).collect();
            first = end;
            own
        })
    }

    /// The same with other states.
    pub(crate) fn map<T>(self, of: impl Fn(S) -> T) -> Ranked<K, T> {
        let entries = self.entries.into_iter().map(|(key, ln, state)| (key, ln, of(state))).collect();
        Ranked { entries, ends: self.ends }
    }

    /// What was found for the state with index `state`.
    pub fn of(&self, state: usize) -> &[(K, f64, S)] {
        let first = state.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.entries[first..self.ends[state]]
    }
}

impl<K, S> FromIterator<Vec<(K, f64, S)>> for Ranked<K, S> {
    /// Of lists that are sorted, one a state.
    fn from_iter<I: IntoIterator<Item = Vec<(K, f64, S)>>>(lists: I) -> Self {
        let mut ranked = Self::default();
        for mut list in lists {
            ranked.entries.append(&mut list);
            ranked.ends.push(ranked.entries.len());
        }
        ranked
    }
}

/// Σ −log₂ of the probabilities of the bytes of `text` and its end, in bits.
pub fn bits<P: Prior>(prior: &P, text: &str) -> f64 {
    let symbols: Vec<Symbol> = text.bytes().chain([END]).collect();
    let mut next = Vec::with_capacity(symbols.len());
    prior.read(&prior.start(), &symbols, &mut next);
    let nats: f64 = next.iter().map(|(ln, _)| -f64::from(*ln)).sum();
    nats / std::f64::consts::LN_2
}
