//! A prior of either kind, so that both can stand in one mixture.

use crate::lm::{LmPrior, LmState};
use crate::ngram::NgramModel;
use crate::prior::{Prior, Ranked, Symbol};
use crate::restorer::Restorer as _;

/// A prior that can be a part of an ensemble.
#[derive(Clone, Debug)]
pub enum PartPrior {
    /// A byte n-gram model.
    Ngram(NgramModel),
    /// A decoder that reads bytes.
    Decoder(LmPrior),
}

/// A state of a [`PartPrior`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PartState {
    /// Of a [`PartPrior::Ngram`].
    Ngram(<NgramModel as Prior>::State),
    /// Of a [`PartPrior::Decoder`].
    Decoder(LmState),
}

impl PartPrior {
    /// Weights, or probabilities, that it consists of.
    pub fn parameters(&self) -> usize {
        match self {
            Self::Ngram(prior) => prior.arcs(),
            Self::Decoder(prior) => prior.model().info().parameters,
        }
    }

    /// The n-gram model, if it is one.
    pub fn ngram(&self) -> Option<&NgramModel> {
        match self {
            Self::Ngram(prior) => Some(prior),
            Self::Decoder(_) => None,
        }
    }
}

/// The states of one kind; another prior's are none.
fn own<S, T>(states: &[(PartState, T)], of: impl Fn(&PartState) -> Option<&S>) -> Vec<(S, T)>
where
    S: Clone,
    T: Copy,
{
    states.iter().filter_map(|(state, with)| Some((of(state)?.clone(), *with))).collect()
}

fn ngram(state: &PartState) -> Option<&<NgramModel as Prior>::State> {
    match state {
        PartState::Ngram(state) => Some(state),
        PartState::Decoder(_) => None,
    }
}

fn decoder(state: &PartState) -> Option<&LmState> {
    match state {
        PartState::Decoder(state) => Some(state),
        PartState::Ngram(_) => None,
    }
}

impl Prior for PartPrior {
    type State = PartState;

    fn start(&self) -> PartState {
        match self {
            Self::Ngram(prior) => PartState::Ngram(prior.start()),
            Self::Decoder(prior) => PartState::Decoder(prior.start()),
        }
    }

    fn open(&self) -> PartState {
        match self {
            Self::Ngram(prior) => PartState::Ngram(prior.open()),
            Self::Decoder(prior) => PartState::Decoder(prior.open()),
        }
    }

    fn is_asked_together(&self) -> bool {
        match self {
            Self::Ngram(prior) => prior.is_asked_together(),
            Self::Decoder(prior) => prior.is_asked_together(),
        }
    }

    fn state_bytes(&self) -> usize {
        match self {
            Self::Ngram(prior) => prior.state_bytes(),
            Self::Decoder(prior) => prior.state_bytes(),
        }
    }

    fn advance(&self, steps: &[(PartState, Symbol)], next: &mut Vec<(f32, PartState)>) {
        match self {
            Self::Ngram(prior) => {
                with(next, PartState::Ngram, |found| prior.advance(&own(steps, ngram), found));
            }
            Self::Decoder(prior) => {
                with(next, PartState::Decoder, |found| prior.advance(&own(steps, decoder), found));
            }
        }
    }

    fn read(&self, state: &PartState, symbols: &[Symbol], next: &mut Vec<(f32, PartState)>) {
        next.clear();
        match (self, state) {
            (Self::Ngram(prior), PartState::Ngram(state)) => {
                with(next, PartState::Ngram, |found| prior.read(state, symbols, found));
            }
            (Self::Decoder(prior), PartState::Decoder(state)) => {
                with(next, PartState::Decoder, |found| prior.read(state, symbols, found));
            }
            _ => {}
        }
    }

    fn likely(&self, states: &[(PartState, f64)], most: usize, found: &mut Ranked<Symbol, PartState>) {
        match self {
            Self::Ngram(prior) => {
                let mut own_found = Ranked::default();
                prior.likely(&own(states, ngram), most, &mut own_found);
                *found = own_found.map(PartState::Ngram);
            }
            Self::Decoder(prior) => {
                let mut own_found = Ranked::default();
                prior.likely(&own(states, decoder), most, &mut own_found);
                *found = own_found.map(PartState::Decoder);
            }
        }
    }
}

/// Lets a prior fill a list with states of its own kind.
fn with<S>(
    next: &mut Vec<(f32, PartState)>,
    wrap: fn(S) -> PartState,
    fill: impl FnOnce(&mut Vec<(f32, S)>),
) {
    let mut found = Vec::new();
    fill(&mut found);
    next.clear();
    next.extend(found.into_iter().map(|(ln, state)| (ln, wrap(state))));
}
