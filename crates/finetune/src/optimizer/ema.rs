//! An exponential moving average of the weights (Polyak and Juditsky 1992), in float32 beside them.

use candle_core::{Result, Tensor, Var};

/// The averages of all dense parameters.
#[derive(Debug)]
pub struct WeightAverage {
    decay: f64,
    parameters: Vec<(String, Var)>,
    averages: Vec<Tensor>,
}

impl WeightAverage {
    /// Begins at the parameters' values; `decay` is the share of the average that a step keeps.
    ///
    /// # Errors
    /// If memory on the parameters' device is refused.
    pub fn new(parameters: Vec<(String, Var)>, decay: f64) -> Result<Self> {
        let averages =
            parameters.iter().map(|(_, var)| var.as_detached_tensor().copy()).collect::<Result<_>>()?;
        Ok(Self { decay, parameters, averages })
    }

    /// Takes in the parameters after update number `updates`, counted from 1. Young averages forget faster, else the first
    /// values would stay for long.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn update(&mut self, updates: u64) -> Result<()> {
        let decay = self.decay.min((1.0 + updates as f64) / (10.0 + updates as f64));
        for ((_, var), average) in self.parameters.iter().zip(&mut self.averages) {
            let value = var.as_detached_tensor();
            *average = ((&*average * decay)? + (value * (1.0 - decay))?)?;
        }
        Ok(())
    }

    /// Puts the averages in the parameters' places, and the parameters in theirs; a second call undoes it.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn swap(&mut self) -> Result<()> {
        for ((_, var), average) in self.parameters.iter().zip(&mut self.averages) {
            let value = var.as_detached_tensor().copy()?;
            var.set(average)?;
            *average = value;
        }
        Ok(())
    }

    /// The averages, in the order of the parameters.
    pub fn averages(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.parameters.iter().map(|(name, _)| name.as_str()).zip(&self.averages)
    }

    /// Puts saved averages back, in the order of the parameters.
    ///
    /// # Errors
    /// If a number of values is another than its parameter's.
    pub fn load(&mut self, saved: Vec<Vec<f32>>) -> Result<()> {
        for (((_, var), average), values) in self.parameters.iter().zip(&mut self.averages).zip(saved) {
            *average = Tensor::from_vec(values, var.shape(), var.device())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    fn value(var: &Var) -> f32 {
        var.to_vec1::<f32>().unwrap()[0]
    }

    #[test]
    fn follows_the_weights_and_swaps_with_them() {
        let var = Var::new(&[0f32], &Device::Cpu).unwrap();
        let mut average = WeightAverage::new(vec![("w".to_owned(), var.clone())], 0.5).unwrap();
        let mut expected = 0.0;
        for step in 1..20u64 {
            var.set(&Tensor::new(&[step as f32], &Device::Cpu).unwrap()).unwrap();
            average.update(step).unwrap();
            let decay = 0.5f32.min((1.0 + step as f32) / (10.0 + step as f32));
            expected = expected * decay + step as f32 * (1.0 - decay);
        }
        average.swap().unwrap();
        assert!((value(&var) - expected).abs() < 1e-4);
        average.swap().unwrap();
        assert!((value(&var) - 19.0).abs() < 1e-6);
    }
}
