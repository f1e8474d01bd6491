//! `AdamW` (Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019) with float32 state.

use candle_core::{Device, Result, Tensor, Var};

/// Hyperparameters, as in the paper.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWSettings {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// Decay of the weights per unit of learning rate; only of tensors with two dimensions or more.
    pub weight_decay: f64,
}

/// First and second moment of one parameter, where the parameter lives.
#[derive(Debug)]
enum Moments {
    Host { first: Vec<f32>, second: Vec<f32> },
    Device { first: Tensor, second: Tensor },
}

/// The moments of one parameter, on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedMoments {
    /// The parameter's name.
    pub name: String,
    /// First moment, one value an element.
    pub first: Vec<f32>,
    /// Second moment, one value an element.
    pub second: Vec<f32>,
}

/// The factors of one update that are the same for all elements of a parameter.
#[derive(Clone, Copy)]
struct Factors {
    keep: f32,
    scale: f32,
    beta1: f32,
    beta2: f32,
    rate: f32,
    second_correction: f32,
    epsilon: f32,
}

/// The optimizer of the dense parameters.
#[derive(Debug)]
pub struct AdamW {
    settings: AdamWSettings,
    parameters: Vec<(String, Var)>,
    moments: Vec<Moments>,
    updates: u64,
}

impl AdamW {
    /// Zero moments for `parameters` (float32).
    ///
    /// # Errors
    /// If a moment cannot be allocated on a parameter's device.
    pub fn new(parameters: Vec<(String, Var)>, settings: AdamWSettings) -> Result<Self> {
        let zero = |(_, var): &(String, Var)| -> Result<Moments> {
            Ok(match var.device() {
                Device::Cpu => {
                    Moments::Host { first: vec![0.0; var.elem_count()], second: vec![0.0; var.elem_count()] }
                }
                _ => {
                    Moments::Device { first: var.zeros_like()?.detach(), second: var.zeros_like()?.detach() }
                }
            })
        };
        let moments = parameters.iter().map(zero).collect::<Result<_>>()?;
        Ok(Self { settings, parameters, moments, updates: 0 })
    }

    /// The parameters, in the order of the gradients.
    pub fn parameters(&self) -> &[(String, Var)] {
        &self.parameters
    }

    /// Updates so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// One update with `scale` times `gradients` (one a parameter, same order and shapes).
    ///
    /// # Errors
    /// If a gradient has another shape or type than its parameter.
    pub fn step(&mut self, gradients: &[Tensor], scale: f64, learning_rate: f64) -> Result<()> {
        self.updates += 1;
        let AdamWSettings { beta1, beta2, epsilon, weight_decay } = self.settings;
        let exponent = i32::try_from(self.updates).unwrap_or(i32::MAX);
        let first_correction = 1.0 - beta1.powi(exponent);
        let second_correction = 1.0 - beta2.powi(exponent);
        for (((_, var), moments), gradient) in self.parameters.iter().zip(&mut self.moments).zip(gradients) {
            let decay = if var.rank() >= 2 { weight_decay } else { 0.0 };
            let factors = Factors {
                keep: (1.0 - learning_rate * decay) as f32,
                scale: scale as f32,
                beta1: beta1 as f32,
                beta2: beta2 as f32,
                rate: (learning_rate / first_correction) as f32,
                second_correction: second_correction.sqrt().recip() as f32,
                epsilon: epsilon as f32,
            };
            match moments {
                Moments::Host { first, second } => {
                    let mut weights = var.flatten_all()?.to_vec1::<f32>()?;
                    let gradient = gradient.flatten_all()?.to_vec1::<f32>()?;
                    update_host(&mut weights, first, second, &gradient, factors);
                    var.set(&Tensor::from_vec(weights, var.shape(), var.device())?)?;
                }
                Moments::Device { first, second } => update_device(var, first, second, gradient, factors)?,
            }
        }
        Ok(())
    }

    /// Copies of the moments, in the order of [`Self::parameters`].
    ///
    /// # Errors
    /// If they cannot be copied from the device.
    pub fn moments(&self) -> Result<Vec<SavedMoments>> {
        let values = |((name, _), moments): (&(String, Var), &Moments)| -> Result<_> {
            let (first, second) = match moments {
                Moments::Host { first, second } => (first.clone(), second.clone()),
                Moments::Device { first, second } => {
                    (first.flatten_all()?.to_vec1()?, second.flatten_all()?.to_vec1()?)
                }
            };
            Ok(SavedMoments { name: name.clone(), first, second })
        };
        self.parameters.iter().zip(&self.moments).map(values).collect()
    }

    /// Puts saved moments back: `(first, second)` a parameter in the order of [`Self::parameters`], and the updates behind them.
    ///
    /// # Errors
    /// If a length differs from its parameter's.
    pub fn load(&mut self, saved: Vec<(Vec<f32>, Vec<f32>)>, updates: u64) -> Result<()> {
        for (((_, var), moments), (first, second)) in self.parameters.iter().zip(&mut self.moments).zip(saved)
        {
            let tensor = |values: Vec<f32>| Tensor::from_vec(values, var.shape(), var.device());
            match moments {
                Moments::Host { .. } => {
                    let length = var.elem_count();
                    if first.len() != length || second.len() != length {
                        candle_core::bail!("moments of {} values for a parameter of {length}", first.len());
                    }
                    *moments = Moments::Host { first, second };
                }
                Moments::Device { .. } => {
                    *moments = Moments::Device { first: tensor(first)?, second: tensor(second)? };
                }
            }
        }
        self.updates = updates;
        Ok(())
    }
}

/// One pass over memory: decay, both moments, update.
fn update_host(weights: &mut [f32], first: &mut [f32], second: &mut [f32], gradient: &[f32], f: Factors) {
    for (((w, m), v), g) in weights.iter_mut().zip(first).zip(second).zip(gradient) {
        let g = g * f.scale;
        *m = f.beta1 * *m + (1.0 - f.beta1) * g;
        *v = f.beta2 * *v + (1.0 - f.beta2) * g * g;
        *w = f.keep * *w - f.rate * *m / (v.sqrt() * f.second_correction + f.epsilon);
    }
}

fn update_device(
    var: &Var,
    first: &mut Tensor,
    second: &mut Tensor,
    gradient: &Tensor,
    f: Factors,
) -> Result<()> {
    let (beta1, beta2) = (f64::from(f.beta1), f64::from(f.beta2));
    let g = (gradient * f64::from(f.scale))?;
    *first = ((&*first * beta1)? + (&g * (1.0 - beta1))?)?;
    *second = ((&*second * beta2)? + (g.sqr()? * (1.0 - beta2))?)?;
    let root = ((second.sqrt()? * f64::from(f.second_correction))? + f64::from(f.epsilon))?;
    let update = (first.div(&root)? * f64::from(f.rate))?;
    var.set(&((var.as_detached_tensor() * f64::from(f.keep))? - update)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What runs on a GPU, run on the CPU.
    #[test]
    fn both_forms_of_the_update_agree() {
        let start = [0.5f32, -1.0, 2.0];
        let factors = |step: i32| Factors {
            keep: 0.999,
            scale: 0.5,
            beta1: 0.9,
            beta2: 0.98,
            rate: 0.01 / (1.0 - 0.9f32.powi(step)),
            second_correction: (1.0 - 0.98f32.powi(step)).sqrt().recip(),
            epsilon: 1e-8,
        };
        let (mut weights, mut m, mut v) = (start, [0.0f32; 3], [0.0f32; 3]);
        let var = Var::new(&start, &Device::Cpu).unwrap();
        let mut first = var.zeros_like().unwrap().detach();
        let mut second = first.clone();
        for step in 1..6 {
            let gradient = [step as f32, -0.1, 1e-3 * (3 - step) as f32];
            update_host(&mut weights, &mut m, &mut v, &gradient, factors(step));
            let gradient = Tensor::new(&gradient, &Device::Cpu).unwrap();
            update_device(&var, &mut first, &mut second, &gradient, factors(step)).unwrap();
            for (host, device) in weights.iter().zip(var.to_vec1::<f32>().unwrap()) {
                assert!((host - device).abs() < 1e-6, "{host} is not {device}");
            }
        }
    }
}
