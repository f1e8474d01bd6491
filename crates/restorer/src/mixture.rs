//! A mixture of priors: what the texts are like is not known, only how often they are like what each prior has read.

use smallvec::SmallVec;

use crate::prior::{END, Prior, Ranked, Symbol};

/// Parts whose states take no memory of their own.
const FEW: usize = 4;
/// Rounds of expectation and maximization at most.
const MOST_ROUNDS: usize = 100;
/// A change of the weights that no longer matters.
const SETTLED: f64 = 1e-6;

/// Linear interpolation (Jelinek & Mercer 1980): each symbol has the weighted mean of its probabilities under the parts.
#[derive(Clone, Debug)]
pub struct Mixture<P> {
    parts: Vec<P>,
    /// Of each part, ln of its weight.
    ln_weights: Vec<f32>,
}

impl<P: Prior> Mixture<P> {
    /// Mixes priors; weights are scaled to a sum of 1.
    ///
    /// `None` if there are no parts, not as many weights, or the weights are negative, not finite or all 0.
    pub fn new(parts: Vec<P>, weights: &[f64]) -> Option<Self> {
        let sum: f64 = weights.iter().sum();
        let fits = weights.iter().all(|weight| *weight >= 0.0) && sum > 0.0 && sum.is_finite();
        (fits && parts.len() == weights.len()).then(|| Self {
            ln_weights: weights.iter().map(|weight| (weight / sum).ln() as f32).collect(),
            parts,
        })
    }

    /// The weights under which `texts` are most probable, by expectation and maximization from equal ones; of no texts, equal ones.
    pub fn fit<T: AsRef<str>>(parts: &[P], texts: &[T]) -> Vec<f64> {
        let mut weights = vec![1.0 / parts.len() as f64; parts.len()];
        let probabilities = probabilities(parts, texts);
        let symbols = probabilities.len() / parts.len().max(1);
        if symbols == 0 {
            return weights;
        }
        for _ in 0..MOST_ROUNDS {
            let mut expected = vec![0.0; parts.len()];
            for each in probabilities.chunks_exact(parts.len()) {
                let of = |(p, weight): (&f32, &f64)| f64::from(*p) * weight;
                let sum: f64 = each.iter().zip(&weights).map(of).sum();
                for (expected, pair) in expected.iter_mut().zip(each.iter().zip(&weights)) {
                    *expected += of(pair) / sum;
                }
            }
            let next: Vec<f64> = expected.into_iter().map(|expected| expected / symbols as f64).collect();
            let change: f64 = next.iter().zip(&weights).map(|(a, b)| (a - b).abs()).sum();
            weights = next;
            if change < SETTLED {
                break;
            }
        }
        weights
    }

    /// The parts.
    pub fn parts(&self) -> &[P] {
        &self.parts
    }

    /// Their weights, which sum to 1.
    pub fn weights(&self) -> impl Iterator<Item = f64> + use<'_, P> {
        self.ln_weights.iter().map(|ln| f64::from(*ln).exp())
    }

    fn states(&self, of: impl Fn(&P) -> P::State) -> SmallVec<[P::State; FEW]> {
        self.parts.iter().map(of).collect()
    }
}

/// By symbol and part: the probabilities of the symbols of texts and of their ends.
fn probabilities<P: Prior, T: AsRef<str>>(parts: &[P], texts: &[T]) -> Vec<f32> {
    let (mut found, mut next) = (Vec::new(), Vec::with_capacity(1));
    for text in texts {
        let symbols: Vec<Symbol> = text.as_ref().bytes().chain([END]).collect();
        let first = found.len();
        found.resize(first + symbols.len() * parts.len(), 0.0);
        for (index, part) in parts.iter().enumerate() {
            part.read(&part.start(), &symbols, &mut next);
            let own = found[first..].iter_mut().skip(index).step_by(parts.len());
            own.zip(&next).for_each(|(found, (ln, _))| *found = ln.exp());
        }
    }
    found
}

/// ln Σ exp.
fn ln_sum(terms: impl Iterator<Item = f32> + Clone) -> f32 {
    let greatest = terms.clone().fold(f32::NEG_INFINITY, f32::max);
    if greatest == f32::NEG_INFINITY {
        return greatest;
    }
    greatest + terms.map(|term| (term - greatest).exp()).sum::<f32>().ln()
}

impl<P: Prior> Prior for Mixture<P> {
    type State = SmallVec<[P::State; FEW]>;

    fn start(&self) -> Self::State {
        self.states(Prior::start)
    }

    fn open(&self) -> Self::State {
        self.states(Prior::open)
    }

    fn is_asked_together(&self) -> bool {
        self.parts.iter().any(Prior::is_asked_together)
    }

    fn state_bytes(&self) -> usize {
        self.parts.iter().map(Prior::state_bytes).sum()
    }

    fn advance(&self, steps: &[(Self::State, Symbol)], next: &mut Vec<(f32, Self::State)>) {
        next.clear();
        next.resize_with(steps.len(), || (f32::NEG_INFINITY, SmallVec::new()));
        let (mut own, mut found) = (Vec::with_capacity(steps.len()), Vec::with_capacity(steps.len()));
        let mut terms = vec![SmallVec::<[f32; FEW]>::new(); steps.len()];
        for (index, (part, ln_weight)) in self.parts.iter().zip(&self.ln_weights).enumerate() {
            own.clear();
            own.extend(steps.iter().map(|(states, symbol)| (states[index].clone(), *symbol)));
            part.advance(&own, &mut found);
            for (((_, states), terms), (ln, state)) in next.iter_mut().zip(&mut terms).zip(found.drain(..)) {
                states.push(state);
                terms.push(ln + ln_weight);
            }
        }
        for ((ln, _), terms) in next.iter_mut().zip(terms) {
            *ln = ln_sum(terms.iter().copied());
        }
    }

    fn read(&self, state: &Self::State, symbols: &[Symbol], next: &mut Vec<(f32, Self::State)>) {
        next.clear();
        next.resize_with(symbols.len(), || (f32::NEG_INFINITY, SmallVec::new()));
        let mut found = Vec::with_capacity(symbols.len());
        let mut terms = vec![SmallVec::<[f32; FEW]>::new(); symbols.len()];
        for ((part, state), ln_weight) in self.parts.iter().zip(state).zip(&self.ln_weights) {
            part.read(state, symbols, &mut found);
            for (((_, states), terms), (ln, state)) in next.iter_mut().zip(&mut terms).zip(found.drain(..)) {
                states.push(state);
                terms.push(ln + ln_weight);
            }
        }
        for ((ln, _), terms) in next.iter_mut().zip(terms) {
            *ln = ln_sum(terms.iter().copied());
        }
    }

    /// What is probable in the mean is as probable under one of the parts.
    fn likely(&self, states: &[(Self::State, f64)], most: usize, found: &mut Ranked<Symbol, Self::State>) {
        let mut of_part = Ranked::default();
        let mut candidates: Vec<Vec<Symbol>> = vec![Vec::new(); states.len()];
        for (index, part) in self.parts.iter().enumerate() {
            let own: Vec<_> = states.iter().map(|(state, least)| (state[index].clone(), *least)).collect();
            part.likely(&own, usize::MAX, &mut of_part);
            for (state, candidates) in candidates.iter_mut().enumerate() {
                candidates.extend(of_part.of(state).iter().map(|(symbol, ..)| *symbol));
            }
        }
        let mut steps = Vec::new();
        for ((state, _), candidates) in states.iter().zip(&mut candidates) {
            candidates.sort_unstable();
            candidates.dedup();
            steps.extend(candidates.iter().map(|symbol| (state.clone(), *symbol)));
        }
        let mut next = Vec::with_capacity(steps.len());
        self.advance(&steps, &mut next);
        found.clear();
        let mut next = next.into_iter();
        for ((_, least), candidates) in states.iter().zip(candidates) {
            let all = candidates
                .into_iter()
                .zip(&mut next)
                .map(|(symbol, (ln, state))| (symbol, f64::from(ln), state));
            found.extend(all.filter(|(_, ln, _)| ln >= least));
            found.close(most);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ngram::{BuildOptions, Counter, NgramModel, Pruning, Smoothing, build};
    use crate::prior::{bits, is_symbol};

    fn counted(text: &str) -> NgramModel {
        let mut counter = Counter::new(6);
        counter.add(text).unwrap();
        let options = BuildOptions {
            max_bytes: 1 << 20,
            smoothings: vec![Smoothing::WittenBell],
            prunings: vec![Pruning::Count],
        };
        build(&counter.finish().unwrap(), &options, |_| 0.0).unwrap().model
    }

    fn parts() -> Vec<NgramModel> {
        [
            "the whale swims in the sea and the sailor sees the whale",
            "a law of the union is a law of the people",
            "0123456789 0123456789",
        ]
        .map(counted)
        .to_vec()
    }

    proptest! {
        #[test]
        fn a_symbol_has_the_weighted_mean_of_its_probabilities(
            text in "[a-z 0-9é]{0,12}",
            weights in prop::array::uniform3(0.01f64..1.0),
        ) {
            let (parts, sum) = (parts(), weights.iter().sum::<f64>());
            let mixture = Mixture::new(parts.clone(), &weights).unwrap();
            let mut states = parts.iter().map(Prior::start).collect::<Vec<_>>();
            let (mut state, mut next) = (mixture.start(), Vec::new());
            for symbol in text.bytes().chain([END]) {
                let mut mean = 0.0;
                for ((part, state), weight) in parts.iter().zip(&mut states).zip(weights) {
                    let (ln, after) = part.step(*state, symbol);
                    mean += f64::from(ln).exp() * weight / sum;
                    *state = after;
                }
                mixture.advance(&[(state, symbol)], &mut next);
                let (ln, after) = next.pop().unwrap();
                prop_assert!((f64::from(ln) - mean.ln()).abs() < 1e-5);
                state = after;
            }
        }

        #[test]
        fn the_likely_symbols_are_the_most_probable_ones(
            text in "[a-z ]{0,8}",
            least in -9.0f64..0.0,
            most in 1usize..30,
        ) {
            let mixture = Mixture::new(parts(), &[0.5, 0.3, 0.2]).unwrap();
            let (mut state, mut next) = (mixture.open(), Vec::new());
            for symbol in text.bytes() {
                mixture.advance(&[(state, symbol)], &mut next);
                state = next.pop().unwrap().1;
            }
            let symbols: Vec<Symbol> = (0..=u8::MAX).filter(|symbol| is_symbol(*symbol)).collect();
            let steps: Vec<_> = symbols.iter().map(|symbol| (state.clone(), *symbol)).collect();
            mixture.advance(&steps, &mut next);
            let mut expected: Vec<(Symbol, f64)> =
                symbols.into_iter().zip(next.iter().map(|(ln, _)| f64::from(*ln))).collect();
            expected.retain(|(_, ln)| *ln >= least);
            expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            expected.truncate(most);
            let mut found = Ranked::default();
            mixture.likely(&[(state, least)], most, &mut found);
            let found: Vec<_> = found.of(0).iter().map(|(symbol, ln, _)| (*symbol, *ln)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn fitted_weights_are_the_best_there_are() {
        let texts = ["the whale of the union", "the sailor sees a law"];
        let cost = |weights: &[f64]| {
            let mixture = Mixture::new(parts(), weights).unwrap();
            texts.iter().map(|text| bits(&mixture, text)).sum::<f64>()
        };
        let fitted = Mixture::fit(&parts(), &texts);
        assert!((fitted.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{fitted:?}");
        assert!(fitted[2] < 0.2, "digits do not occur: {fitted:?}");
        for towards in 0..3 {
            let mut other: Vec<f64> = fitted.iter().map(|weight| weight * 0.95).collect();
            other[towards] += 0.05;
            assert!(cost(&fitted) <= cost(&other) + 1e-6, "{fitted:?} and {other:?}");
        }
    }

    #[test]
    fn weights_that_do_not_fit_are_refused() {
        for weights in [&[1.0][..], &[0.0; 3], &[1.0, -1.0, 1.0], &[1.0, f64::NAN, 1.0]] {
            assert!(Mixture::new(parts(), weights).is_none(), "{weights:?}");
        }
    }
}
