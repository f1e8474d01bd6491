//! The gradient of one step: this process's micro-batches in parallel, summed in their order, then over all processes.

use corruptor::RecordStream;
use restorer::train::{BatchLoss, LossMode, Trainable};

use crate::batch::Batch;
use crate::error::FinetuneError;
use crate::optimizer::{Gradients, MicroBatchGradients, Optimizer, RowGradients, reduce};
use crate::parallel::Group;
use crate::settings::TrainSettings;
use crate::workers::Workers;

/// The sum of the gradients of `batches`, which are the micro-batches of step number `step`; each process of `group` computes those
/// whose number modulo the number of processes is its own.
///
/// # Errors
/// If the model or a tensor operation fails.
pub fn gradients<M: Trainable>(
    model: &M,
    optimizer: &Optimizer,
    batches: &[Batch<M::Example>],
    workers: &Workers,
    settings: &TrainSettings,
    step: u64,
    group: &mut Group,
) -> Result<Gradients, FinetuneError> {
    // A micro-batch has the same seed, whichever process takes it.
    let own: Vec<(usize, &Batch<M::Example>)> =
        batches.iter().enumerate().skip(group.rank()).step_by(group.world()).collect();
    let parts = workers.map(&own, |_, (index, batch)| {
        let mode = LossMode::Train {
            seed: micro_batch_seed(settings.seed, step, *index as u64),
            label_smoothing: settings.label_smoothing,
            recompute: settings.recompute,
        };
        micro_batch(model, optimizer, batch, mode)
    });
    let parts = parts.into_iter().collect::<Result<Vec<_>, _>>()?;
    let mut sum = reduce(&parts, optimizer.dense.parameters(), model.tables(), workers, group.world())
        .map_err(FinetuneError::tensor("gradient sum"))?;
    group.sum(&mut sum, model.tables())?;
    Ok(sum)
}

/// Forward and backward pass of one micro-batch.
fn micro_batch<M: Trainable>(
    model: &M,
    optimizer: &Optimizer,
    batch: &Batch<M::Example>,
    mode: LossMode,
) -> Result<MicroBatchGradients, FinetuneError> {
    let examples: Vec<&M::Example> = batch.examples.iter().collect();
    let (BatchLoss { loss, labels, rows }, mut store) = model.backward(&examples, mode)?;
    let tokens = batch.tokens;
    let collect = || -> candle_core::Result<MicroBatchGradients> {
        let dense = optimizer.dense.parameters().iter().map(|(_, var)| store.remove(var)).collect();
        let mut row_gradients = Vec::with_capacity(rows.len());
        for used in rows {
            if let Some(gradient) = store.remove(&used.leaf) {
                let values = gradient.flatten_all()?.to_vec1::<f32>()?;
                row_gradients.push((used.table, RowGradients { indices: used.indices, values }));
            }
        }
        let loss = f64::from(loss.to_scalar::<f32>()?);
        Ok(MicroBatchGradients { loss, labels, tokens, dense, rows: row_gradients })
    };
    collect().map_err(FinetuneError::tensor("gradient of a micro-batch"))
}

/// A different seed for every micro-batch of a run.
fn micro_batch_seed(seed: u64, step: u64, index: u64) -> u64 {
    RecordStream::for_purpose(seed, &format!("step {step} micro-batch {index}")).next_u64()
}
