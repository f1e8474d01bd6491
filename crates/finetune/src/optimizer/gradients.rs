//! Gradients of micro-batches and their sum.
//!
//! The sum runs over the micro-batches in their order, whatever order they were computed in.

use candle_core::{DType, Result, Tensor, Var};
use restorer::RowTable;

use crate::workers::Workers;

/// Gradients of some rows of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowGradients {
    /// Row numbers.
    pub indices: Vec<u32>,
    /// One gradient a row number, `dim` values each.
    pub values: Vec<f32>,
}

/// What one micro-batch contributes to a step.
#[derive(Debug)]
pub struct MicroBatchGradients {
    /// Sum of the loss over the labelled positions, in nats.
    pub loss: f64,
    /// Labelled positions.
    pub labels: usize,
    /// Tokens without padding.
    pub tokens: usize,
    /// One gradient a dense parameter; none where the micro-batch does not use it.
    pub dense: Vec<Option<Tensor>>,
    /// Table number and gradients of its rows; a row may stand in it several times.
    pub rows: Vec<(usize, RowGradients)>,
}

/// The sums over one step.
#[derive(Debug)]
pub struct Gradients {
    /// Sum of the loss over the labelled positions, in nats.
    pub loss: f64,
    /// Labelled positions.
    pub labels: usize,
    /// Tokens without padding.
    pub tokens: usize,
    /// One gradient a dense parameter.
    pub dense: Vec<Tensor>,
    /// One list a table; every row stands in it at most once.
    pub tables: Vec<RowGradients>,
}

/// Sums the parts in their order; tables in parallel.
///
/// # Errors
/// If a tensor operation fails.
pub fn reduce(
    parts: &[MicroBatchGradients],
    parameters: &[(String, Var)],
    tables: &[RowTable],
    workers: &Workers,
) -> Result<Gradients> {
    let sum = |(index, (_, var)): (usize, &(String, Var))| -> Result<Tensor> {
        let mut terms = parts.iter().filter_map(|part| part.dense[index].as_ref());
        match terms.next() {
            None => var.as_detached_tensor().zeros_like(),
            Some(first) => terms.try_fold(first.clone(), |sum, term| sum.add(term)),
        }
    };
    let tables = workers.map(tables, |index, table| {
        let mut merged = RowMerger::new(table.rows(), table.dim());
        for (_, rows) in parts.iter().flat_map(|part| &part.rows).filter(|(number, _)| *number == index) {
            merged.add(rows);
        }
        merged.finish()
    });
    Ok(Gradients {
        loss: parts.iter().map(|part| part.loss).sum(),
        labels: parts.iter().map(|part| part.labels).sum(),
        tokens: parts.iter().map(|part| part.tokens).sum(),
        dense: parameters.iter().enumerate().map(sum).collect::<Result<_>>()?,
        tables,
    })
}

impl Gradients {
    /// Euclidean norm over all dense parameters and all rows of all tables.
    ///
    /// # Errors
    /// If a tensor operation fails.
    pub fn norm(&self) -> Result<f64> {
        let squares =
            self.dense.iter().map(|gradient| gradient.sqr()?.sum_all()).collect::<Result<Vec<_>>>()?;
        let dense: f64 = match squares.as_slice() {
            [] => 0.0,
            squares => Tensor::stack(squares, 0)?.to_dtype(DType::F64)?.to_vec1::<f64>()?.iter().sum(),
        };
        let row_squares = |chunk: &[f32]| f64::from(chunk.iter().map(|g| g * g).sum::<f32>());
        let tables: f64 = self.tables.iter().flat_map(|rows| rows.values.chunks(64)).map(row_squares).sum();
        Ok((dense + tables).sqrt())
    }
}

/// Sums gradients of the same row, rows in the order of their first use.
struct RowMerger {
    dim: usize,
    slots: Vec<u32>,
    merged: RowGradients,
}

impl RowMerger {
    const FREE: u32 = u32::MAX;

    fn new(rows: usize, dim: usize) -> Self {
        Self { dim, slots: vec![Self::FREE; rows], merged: RowGradients::default() }
    }

    fn add(&mut self, rows: &RowGradients) {
        for (&row, gradient) in rows.indices.iter().zip(rows.values.chunks_exact(self.dim)) {
            let slot = &mut self.slots[row as usize];
            if *slot == Self::FREE {
                *slot = self.merged.indices.len() as u32;
                self.merged.indices.push(row);
                self.merged.values.extend_from_slice(gradient);
            } else {
                let sum = &mut self.merged.values[*slot as usize * self.dim..][..self.dim];
                sum.iter_mut().zip(gradient).for_each(|(sum, g)| *sum += g);
            }
        }
    }

    fn finish(self) -> RowGradients {
        self.merged
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_used_twice_are_summed() {
        let mut merger = RowMerger::new(8, 2);
        merger.add(&RowGradients { indices: vec![3, 1, 3], values: vec![1., 2., 3., 4., 5., 6.] });
        merger.add(&RowGradients { indices: vec![1, 7], values: vec![10., 20., 0., 1.] });
        let expected = RowGradients { indices: vec![3, 1, 7], values: vec![6., 8., 13., 24., 0., 1.] };
        assert_eq!(merger.finish(), expected);
    }
}
