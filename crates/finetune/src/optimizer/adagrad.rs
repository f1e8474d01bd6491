//! Row-wise Adagrad: one accumulator a row of an embedding table, as in DLRM (Naumov et al., 2019) and FBGEMM.
//!
//! An update touches only the rows a step has used, so its cost follows the batch and not the table.

use restorer::RowTable;

use super::gradients::RowGradients;

/// The optimizer of the tables.
#[derive(Debug)]
pub struct RowWiseAdagrad {
    epsilon: f32,
    accumulators: Vec<Vec<f32>>,
}

impl RowWiseAdagrad {
    /// Zero accumulators for `tables`.
    pub fn new(tables: &[RowTable], epsilon: f64) -> Self {
        let accumulators = tables.iter().map(|table| vec![0.0; table.rows()]).collect();
        Self { epsilon: epsilon as f32, accumulators }
    }

    /// Updates the rows of table number `index` with `scale` times their gradients; every row stands once in `gradients`.
    pub fn step(
        &mut self,
        index: usize,
        table: &RowTable,
        gradients: &RowGradients,
        scale: f32,
        learning_rate: f32,
    ) {
        let dim = table.dim();
        let accumulators = &mut self.accumulators[index];
        table.with_mut(|weights| {
            for (&row, gradient) in gradients.indices.iter().zip(gradients.values.chunks_exact(dim)) {
                let row = row as usize;
                let accumulator = &mut accumulators[row];
                update_row(
                    &mut weights[row * dim..][..dim],
                    accumulator,
                    gradient,
                    scale,
                    learning_rate,
                    self.epsilon,
                );
            }
        });
    }

    /// The accumulators, one list a table, one value a row.
    pub fn accumulators(&self) -> &[Vec<f32>] {
        &self.accumulators
    }

    /// Puts saved accumulators back; they must have the tables' lengths.
    pub fn load(&mut self, accumulators: Vec<Vec<f32>>) {
        self.accumulators = accumulators;
    }
}

fn update_row(
    weights: &mut [f32],
    accumulator: &mut f32,
    gradient: &[f32],
    scale: f32,
    rate: f32,
    epsilon: f32,
) {
    let squares: f32 = gradient.iter().map(|g| (g * scale) * (g * scale)).sum();
    *accumulator += squares / gradient.len() as f32;
    let step = rate * scale / (accumulator.sqrt() + epsilon);
    for (w, g) in weights.iter_mut().zip(gradient) {
        *w -= step * g;
    }
}

#[cfg(test)]
mod tests {
    use super::update_row;

    #[test]
    fn follows_the_definition() {
        let (mut weights, mut accumulator) = ([1.0f32, 2.0], 0.0);
        update_row(&mut weights, &mut accumulator, &[6.0, 8.0], 0.5, 0.1, 0.0);
        // Mean square of (3, 4) is 12.5, its root 3.5355.
        assert!((accumulator - 12.5).abs() < 1e-6);
        assert!((weights[0] - (1.0 - 0.1 * 3.0 / 12.5f32.sqrt())).abs() < 1e-6);
        assert!((weights[1] - (2.0 - 0.1 * 4.0 / 12.5f32.sqrt())).abs() < 1e-6);
        update_row(&mut weights, &mut accumulator, &[0.0, 2.0], 1.0, 0.1, 0.0);
        assert!((accumulator - 14.5).abs() < 1e-6);
    }
}
