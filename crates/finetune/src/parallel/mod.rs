//! Data-parallel training: one process a device, each with its share of every step's micro-batches.
//!
//! All processes hold the whole model and take the same updates: gradients are summed over them before each. Process 0
//! evaluates, writes and decides when to stop; the others only compute. Who is who stands in the environment, by the names
//! that `torchrun` sets.

mod all_reduce;
#[cfg(feature = "nccl")]
mod nccl;
mod place;
mod star;

#[cfg(feature = "nccl")]
use candle_core::Device;
use restorer::RowTable;

pub use all_reduce::AllReduce;
pub use place::Place;
pub use star::Star;

use crate::error::FinetuneError;
use crate::optimizer::{Gradients, RowGradients};

/// The processes that train one model, seen from one of them.
#[derive(Debug)]
pub struct Group {
    rank: usize,
    world: usize,
    links: Option<Links>,
}

/// What connects several processes.
#[derive(Debug)]
struct Links {
    star: Star,
    /// Sums tensors on the GPUs themselves; none: over the star.
    reducer: Option<Box<dyn AllReduce>>,
}

impl Group {
    /// One process by itself.
    pub fn alone() -> Self {
        Self { rank: 0, world: 1, links: None }
    }

    /// Finds the others, and makes sure that all of them do the same, which `task` names.
    ///
    /// # Errors
    /// If one of them is not there within minutes, or does something else.
    pub fn join(place: &Place, task: &str) -> Result<Self, FinetuneError> {
        let Place { rank, world, .. } = *place;
        if world == 1 {
            return Ok(Self::alone());
        }
        let mut star = Star::connect(place)?;
        star.agree_on(task)?;
        Ok(Self { rank, world, links: Some(Links { star, reducer: None }) })
    }

    /// Sums tensors on `device` itself, where it is a GPU; else, and in other builds, they go over the host.
    ///
    /// # Errors
    /// If the GPUs cannot be connected.
    #[cfg(feature = "nccl")]
    pub fn reduce_on(&mut self, device: &Device) -> Result<(), FinetuneError> {
        if let (Some(links), Device::Cuda(device)) = (&mut self.links, device) {
            let id = links.star.broadcast(nccl::Nccl::id(self.rank)?)?;
            links.reducer = Some(Box::new(nccl::Nccl::new(device, self.rank, self.world, &id)?));
        }
        Ok(())
    }

    /// Whether this process evaluates, writes and decides.
    pub fn leads(&self) -> bool {
        self.rank == 0
    }

    /// Number of this process, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Number of processes.
    pub fn world(&self) -> usize {
        self.world
    }

    /// What process 0 says, to all.
    ///
    /// # Errors
    /// If a process has hung up.
    pub fn broadcast(&mut self, said: Vec<u8>) -> Result<Vec<u8>, FinetuneError> {
        match &mut self.links {
            Some(links) => links.star.broadcast(said),
            None => Ok(said),
        }
    }

    /// Whether `flag` is set in any process.
    ///
    /// # Errors
    /// If a process has hung up.
    pub fn any(&mut self, flag: bool) -> Result<bool, FinetuneError> {
        let Some(Links { star, .. }) = &mut self.links else { return Ok(flag) };
        let others = star.gather(&[u8::from(flag)])?;
        let any = flag || others.iter().any(|other| other.first() == Some(&1));
        Ok(star.broadcast(vec![u8::from(any)])? == [1])
    }

    /// Replaces the sums of each process by those over all of them, the same bits in each.
    ///
    /// # Errors
    /// If a process has hung up, or the tensor library fails.
    pub fn sum(&mut self, gradients: &mut Gradients, tables: &[RowTable]) -> Result<(), FinetuneError> {
        let Some(Links { star, reducer }) = &mut self.links else { return Ok(()) };
        match reducer {
            Some(reducer) => reducer.all_reduce(&mut gradients.dense)?,
            None => star.all_reduce(&mut gradients.dense)?,
        }
        let own = Counts { loss: gradients.loss, labels: gradients.labels, tokens: gradients.tokens };
        let counts = star.fold(&own.bytes(), |all| {
            let all = all.iter().filter_map(|bytes| Counts::read(bytes));
            all.fold(Counts::default(), Counts::plus).bytes()
        })?;
        let Some(Counts { loss, labels, tokens }) = Counts::read(&counts) else {
            return Err(FinetuneError::parallel("the sums of a step came back incomplete"));
        };
        (gradients.loss, gradients.labels, gradients.tokens) = (loss, labels, tokens);
        for (rows, table) in gradients.tables.iter_mut().zip(tables) {
            let merged = star.fold(&rows.to_bytes(), |all| {
                let parts = all.iter().map(|bytes| RowGradients::from_bytes(bytes, table.dim()));
                RowGradients::merge(parts.collect(), table).to_bytes()
            })?;
            *rows = RowGradients::from_bytes(&merged, table.dim());
        }
        Ok(())
    }
}

/// The scalars of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Counts {
    loss: f64,
    labels: usize,
    tokens: usize,
}

impl Counts {
    fn bytes(&self) -> Vec<u8> {
        [self.loss.to_le_bytes(), (self.labels as u64).to_le_bytes(), (self.tokens as u64).to_le_bytes()]
            .concat()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (words, []) = bytes.as_chunks::<8>() else { return None };
        let [loss, labels, tokens] = words else { return None };
        Some(Self {
            loss: f64::from_le_bytes(*loss),
            labels: u64::from_le_bytes(*labels) as usize,
            tokens: u64::from_le_bytes(*tokens) as usize,
        })
    }

    fn plus(self, other: Self) -> Self {
        Self {
            loss: self.loss + other.loss,
            labels: self.labels + other.labels,
            tokens: self.tokens + other.tokens,
        }
    }
}
