//! Sums on the GPUs themselves, by NVIDIA's collective library.

use std::fmt;
use std::sync::Arc;

use candle_core::cuda_backend::cudarc::nccl::{Comm, Id, ReduceOp, group_end, group_start};
use candle_core::{CpuStorage, CudaDevice, CudaStorage, InplaceOp1, Layout, Tensor};

use super::all_reduce::AllReduce;
use crate::error::FinetuneError;

/// The GPUs of all processes.
pub(super) struct Nccl {
    comm: Arc<Communicator>,
}

/// A communicator that may move between threads.
struct Communicator(Comm);

#[expect(unsafe_code, reason = "the handle is a pointer that any thread may use, one at a time")]
// SAFETY: NCCL allows calls from any thread as long as they do not overlap; `&mut self` of `all_reduce` sees to that.
unsafe impl Send for Communicator {}
#[expect(unsafe_code, reason = "the handle is a pointer that any thread may use, one at a time")]
// SAFETY: as above.
unsafe impl Sync for Communicator {}

impl fmt::Debug for Nccl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nccl").field("rank", &self.comm.0.rank()).finish_non_exhaustive()
    }
}

impl Nccl {
    /// What process 0 tells the others so that they find each other; the others have nothing to tell.
    pub(super) fn id(rank: usize) -> Result<Vec<u8>, FinetuneError> {
        if rank > 0 {
            return Ok(Vec::new());
        }
        let id = Id::new().map_err(failed)?;
        Ok(id.internal().iter().map(|byte| byte.cast_unsigned()).collect())
    }

    /// Connects this process's GPU with the others; all of them call it at once.
    pub(super) fn new(
        device: &CudaDevice,
        rank: usize,
        world: usize,
        id: &[u8],
    ) -> Result<Self, FinetuneError> {
        let mut internal = [0; 128];
        for (to, from) in internal.iter_mut().zip(id) {
            *to = from.cast_signed();
        }
        let comm =
            Comm::from_rank(device.cuda_stream(), rank, world, Id::uninit(internal)).map_err(failed)?;
        Ok(Self { comm: Arc::new(Communicator(comm)) })
    }
}

impl AllReduce for Nccl {
    fn all_reduce(&mut self, tensors: &mut [Tensor]) -> Result<(), FinetuneError> {
        let op = Sum(Arc::clone(&self.comm));
        let mut reduce = || -> candle_core::Result<()> {
            for tensor in tensors.iter_mut() {
                // A sum of its own memory, whoever else holds the gradient.
                *tensor = tensor.force_contiguous()?.detach();
            }
            group_start().map_err(|error| candle_core::Error::Msg(format!("{error:?}")))?;
            for tensor in tensors.iter() {
                tensor.inplace_op1(&op)?;
            }
            group_end().map_err(|error| candle_core::Error::Msg(format!("{error:?}")))?;
            Ok(())
        };
        reduce().map_err(FinetuneError::tensor("gradient sum over the GPUs"))
    }
}

struct Sum(Arc<Communicator>);

impl InplaceOp1 for Sum {
    fn name(&self) -> &'static str {
        "all-reduce"
    }

    fn cpu_fwd(&self, _: &mut CpuStorage, _: &Layout) -> candle_core::Result<()> {
        candle_core::bail!("NCCL sums on GPUs only")
    }

    fn cuda_fwd(&self, storage: &mut CudaStorage, layout: &Layout) -> candle_core::Result<()> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            candle_core::bail!("a gradient with gaps")
        };
        let slice = storage.as_cuda_slice_mut::<f32>()?;
        let sum = self.0.0.all_reduce_in_place(&mut slice.slice_mut(start..end), &ReduceOp::Sum);
        sum.map_err(|error| candle_core::Error::Msg(format!("{error:?}")))?;
        Ok(())
    }
}

fn failed(error: impl fmt::Debug) -> FinetuneError {
    FinetuneError::parallel(format!("NCCL: {error:?}"))
}
