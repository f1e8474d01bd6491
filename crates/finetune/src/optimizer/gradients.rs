//! Gradients of micro-batches and their sum.
//!
//! The sum has one order, whatever order the micro-batches were computed in, and by how many processes: 1, 2, 4 or 8 of them give
//! the same bits. Micro-batches are dealt out to [`LEAVES`] sums, whose upper half is added to the lower one until one is left; the
//! sums of one of two processes are then every other one.

use candle_core::{DType, Result, Tensor, Var};
use restorer::RowTable;

use crate::workers::Workers;

/// Sums that the micro-batches of a step are dealt out to.
const LEAVES: usize = 8;

/// Of [`LEAVES`], those that are a process's own.
fn leaves(processes: usize) -> usize {
    if LEAVES.is_multiple_of(processes) { LEAVES / processes } else { 1 }
}

/// Adds the upper half of the terms to the lower one until one is left; none of none.
pub(crate) fn fold_halves<T, E>(
    terms: impl IntoIterator<Item = T>,
    add: impl Fn(T, T) -> std::result::Result<T, E>,
) -> std::result::Result<Option<T>, E> {
    let mut terms: Vec<T> = terms.into_iter().collect();
    while terms.len() > 1 {
        let upper = terms.split_off(terms.len().div_ceil(2));
        let mut upper = upper.into_iter();
        let add = |term: T| match upper.next() {
            Some(other) => add(term, other),
            None => Ok(term),
        };
        terms = terms.into_iter().map(add).collect::<std::result::Result<_, E>>()?;
    }
    Ok(terms.pop())
}

/// Gradients of some rows of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RowGradients {
    /// Row numbers.
    pub indices: Vec<u32>,
    /// One gradient a row number, `dim` values each.
    pub values: Vec<f32>,
}

impl RowGradients {
    /// Sums those of one table, one a process.
    pub fn merge(parts: Vec<Self>, table: &RowTable) -> Self {
        let add = |sum: Self, term: Self| Ok::<_, std::convert::Infallible>(merged([&sum, &term], table));
        let Ok(sum) = fold_halves(parts, add);
        sum.unwrap_or_default()
    }

    /// Row numbers, then values; each of four little-endian bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let indices = self.indices.iter().map(|index| index.to_le_bytes());
        indices.chain(self.values.iter().map(|value| value.to_le_bytes())).flatten().collect()
    }

    /// Reads [`Self::to_bytes`] of a table with `dim` values a row.
    pub fn from_bytes(bytes: &[u8], dim: usize) -> Self {
        let words = bytes.as_chunks::<4>().0;
        let (indices, values) = words.split_at(words.len() / (dim + 1));
        Self {
            indices: indices.iter().map(|word| u32::from_le_bytes(*word)).collect(),
            values: values.iter().map(|word| f32::from_le_bytes(*word)).collect(),
        }
    }
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

/// Sums the parts, which are those of one of several `processes`; tables in parallel.
///
/// # Errors
/// If a tensor operation fails.
pub fn reduce(
    parts: &[MicroBatchGradients],
    parameters: &[(String, Var)],
    tables: &[RowTable],
    workers: &Workers,
    processes: usize,
) -> Result<Gradients> {
    let leaves = leaves(processes);
    let dealt = |leaf: usize| parts.iter().skip(leaf).step_by(leaves);
    let sum = |(index, (_, var)): (usize, &(String, Var))| -> Result<Tensor> {
        let leaf = |leaf: usize| -> Result<Option<Tensor>> {
            let mut terms = dealt(leaf).filter_map(|part| part.dense[index].as_ref());
            let first = terms.next().cloned();
            first.map(|first| terms.try_fold(first, |sum, term| sum.add(term))).transpose()
        };
        let add = |a: Option<Tensor>, b: Option<Tensor>| match (a, b) {
            (Some(a), Some(b)) => a.add(&b).map(Some),
            (a, b) => Ok(a.or(b)),
        };
        let leaves = (0..leaves).map(leaf).collect::<Result<Vec<_>>>()?;
        match fold_halves(leaves, add)?.flatten() {
            Some(sum) => Ok(sum),
            None => var.as_detached_tensor().zeros_like(),
        }
    };
    let tables = workers.map(tables, |index, table| {
        let leaf = |leaf: usize| {
            let own = dealt(leaf).flat_map(|part| &part.rows).filter(|(number, _)| *number == index);
            merged(own.map(|(_, rows)| rows), table)
        };
        RowGradients::merge((0..leaves).map(leaf).collect(), table)
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

/// Sums several of one table in their order: every row stands in the sum at most once.
fn merged<'a>(parts: impl IntoIterator<Item = &'a RowGradients>, table: &RowTable) -> RowGradients {
    let mut merged = RowMerger::new(table.rows(), table.dim());
    for rows in parts {
        merged.add(rows);
    }
    merged.finish()
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
    fn processes_give_the_sum_of_one() {
        let add = |a: f32, b: f32| Ok::<_, std::convert::Infallible>(a + b);
        let terms: Vec<f32> = (0..21).map(|i| 1.0 / (i as f32 + 0.7)).collect();
        let of = |rank: usize, processes: usize| {
            let own: Vec<f32> = terms.iter().copied().skip(rank).step_by(processes).collect();
            let leaf = |leaf| own.iter().copied().skip(leaf).step_by(leaves(processes)).sum::<f32>();
            fold_halves((0..leaves(processes)).map(leaf), add).unwrap().unwrap()
        };
        for processes in [2, 4, 8] {
            let sum = fold_halves((0..processes).map(|rank| of(rank, processes)), add).unwrap().unwrap();
            assert_eq!(sum.to_bits(), of(0, 1).to_bits(), "{processes}");
        }
    }

    #[test]
    fn rows_are_bytes_and_come_back() {
        let rows = RowGradients { indices: vec![3, 1], values: vec![1., -2., 3.5, 4.] };
        assert_eq!(RowGradients::from_bytes(&rows.to_bytes(), 2), rows);
        let none = RowGradients::default();
        assert_eq!(RowGradients::from_bytes(&none.to_bytes(), 2), none);
    }

    #[test]
    fn rows_used_twice_are_summed() {
        let mut merger = RowMerger::new(8, 2);
        merger.add(&RowGradients { indices: vec![3, 1, 3], values: vec![1., 2., 3., 4., 5., 6.] });
        merger.add(&RowGradients { indices: vec![1, 7], values: vec![10., 20., 0., 1.] });
        let expected = RowGradients { indices: vec![3, 1, 7], values: vec![6., 8., 13., 24., 0., 1.] };
        assert_eq!(merger.finish(), expected);
    }
}
