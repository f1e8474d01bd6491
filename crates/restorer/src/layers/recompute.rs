//! Gradient checkpointing (Chen et al. 2016, arXiv 1604.06174): what a segment computes is forgotten, and computed again when its
//! gradient is needed. Memory then grows with what lies between segments, at the price of a second forward pass.

use std::collections::HashSet;

use candle_core::backprop::GradStore;
use candle_core::{Result, Tensor, TensorId, Var};

type Function<'a> = Box<dyn Fn(&[Tensor]) -> Result<Tensor> + 'a>;

/// What a forward pass needs to be differentiated.
pub struct Tape<'a> {
    keep: Keep,
    events: Vec<Event<'a>>,
    known: HashSet<TensorId>,
}

/// What stays of a segment.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keep {
    All,
    Boundaries,
    Nothing,
}

enum Event<'a> {
    /// A tensor with a graph of its own that a segment has used.
    Root(Tensor),
    /// A segment: what went in, what came out, and how.
    Segment { inputs: Vec<Tensor>, output: Var, function: Function<'a> },
}

impl<'a> Tape<'a> {
    /// Everything is kept.
    pub fn keeping() -> Self {
        Self { keep: Keep::All, events: Vec::new(), known: HashSet::new() }
    }

    /// Nothing is kept: nobody will ask for gradients.
    pub fn forgetting() -> Self {
        Self { keep: Keep::Nothing, ..Self::keeping() }
    }

    /// Segments are computed again.
    pub fn recomputing() -> Self {
        Self { keep: Keep::Boundaries, ..Self::keeping() }
    }

    /// Runs a segment. `function` must give the same result whenever it is given the same inputs, and must reach everything
    /// that learns either through them or as a variable.
    ///
    /// # Errors
    /// Those of `function`.
    pub fn run(
        &mut self,
        inputs: &[&Tensor],
        function: impl Fn(&[Tensor]) -> Result<Tensor> + 'a,
    ) -> Result<Tensor> {
        let inputs: Vec<Tensor> = inputs.iter().map(|input| (*input).clone()).collect();
        match self.keep {
            Keep::All => return function(&inputs),
            Keep::Nothing => return Ok(function(&inputs)?.detach()),
            Keep::Boundaries => {}
        }
        for input in &inputs {
            if self.known.insert(input.id()) {
                self.events.push(Event::Root(input.clone()));
            }
        }
        let detached: Vec<Tensor> = inputs.iter().map(Tensor::detach).collect();
        let output = Var::from_tensor(&function(&detached)?.detach())?;
        let result = output.as_tensor().clone();
        self.known.insert(result.id());
        self.events.push(Event::Segment { inputs, output, function: Box::new(function) });
        Ok(result)
    }

    /// The gradients of the scalar `loss`.
    ///
    /// # Errors
    /// If the tensor library fails.
    pub fn backward(self, loss: &Tensor) -> Result<GradStore> {
        let mut gradients = loss.backward()?;
        for event in self.events.into_iter().rev() {
            match event {
                Event::Root(tensor) => {
                    if let Some(gradient) = gradients.remove(&tensor) {
                        if tensor.is_variable() {
                            gradients.insert(&tensor, gradient);
                        } else {
                            // A gradient may remember what it was made of.
                            gradients.extend((tensor * gradient.detach())?.sum_all()?.backward()?)?;
                        }
                    }
                }
                Event::Segment { inputs, output, function } => {
                    let Some(gradient) = gradients.remove(&output) else { continue };
                    let leaves: Vec<Var> = inputs
                        .iter()
                        .map(|input| Var::from_tensor(&input.detach()))
                        .collect::<Result<_>>()?;
                    let tensors: Vec<Tensor> = leaves.iter().map(|leaf| leaf.as_tensor().clone()).collect();
                    let mut inner = (function(&tensors)? * gradient.detach())?.sum_all()?.backward()?;
                    for (input, leaf) in inputs.iter().zip(&leaves) {
                        if let Some(gradient) = inner.remove(leaf) {
                            let sum = match gradients.remove(input) {
                                Some(before) => (before + gradient)?,
                                None => gradient,
                            };
                            gradients.insert(input, sum);
                        }
                    }
                    gradients.extend(inner)?;
                }
            }
        }
        Ok(gradients)
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::random;
    use super::*;

    /// Two segments that share an input with a graph of its own, and something between them.
    fn loss<'a>(tape: &mut Tape<'a>, w: &'a [Var; 3]) -> Tensor {
        let x = random(&[3, 4], 1);
        let shared = w[2].sqr().unwrap();
        let first = tape.run(&[&x, &shared], |v| v[0].matmul(&w[0])?.tanh()?.broadcast_mul(&v[1])).unwrap();
        let between = (first * 2.0).unwrap();
        let second =
            tape.run(&[&between, &shared], |v| v[0].matmul(&w[1])?.broadcast_add(&v[1])?.sqr()).unwrap();
        second.sum_all().unwrap()
    }

    #[test]
    fn gradients_are_those_of_the_whole_graph() {
        let weights = [random(&[4, 4], 2), random(&[4, 4], 3), random(&[1, 4], 4)];
        let weights = weights.map(|weight| Var::from_tensor(&weight).unwrap());
        let gradients = |recompute: bool| {
            let mut tape = if recompute { Tape::recomputing() } else { Tape::keeping() };
            let loss = loss(&mut tape, &weights);
            let store = tape.backward(&loss).unwrap();
            weights.each_ref().map(|w| store.get(w).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap())
        };
        let (kept, again) = (gradients(false), gradients(true));
        for (kept, again) in kept.iter().zip(&again) {
            for (a, b) in kept.iter().zip(again) {
                assert!((a - b).abs() < 1e-5 * (1.0 + a.abs()), "{a} against {b}");
            }
        }
    }
}
