//! What several processes of one run agree on.

use std::path::Path;

use super::state::Identity;
use super::state_files::{FoundState, StateFiles};
use crate::error::FinetuneError;
use crate::parallel::Group;
use crate::stop::StopReason;

/// What comes after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Step,
    Finish,
    Stop(StopReason),
}

impl Next {
    const CODES: [Self; 4] =
        [Self::Step, Self::Finish, Self::Stop(StopReason::Budget), Self::Stop(StopReason::Signal)];

    pub(super) fn byte(self) -> u8 {
        Self::CODES.iter().position(|code| *code == self).unwrap_or_default() as u8
    }

    pub(super) fn of(bytes: &[u8]) -> Result<Self, FinetuneError> {
        let code = bytes.first().and_then(|byte| Self::CODES.get(usize::from(*byte)));
        code.copied().ok_or_else(|| FinetuneError::parallel("process 0 said something unknown"))
    }
}

/// What all processes of a training must have in common, in a few letters.
pub(super) fn task(identity: &Identity) -> String {
    let about = serde_json::to_vec(identity).unwrap_or_default();
    format!("{} {}", env!("CARGO_PKG_VERSION"), blake3::hash(&about))
}

/// The newest state, the same in all processes.
pub(super) fn newest_of_all(
    files: &StateFiles,
    group: &mut Group,
    out: &Path,
) -> Result<Option<FoundState>, FinetuneError> {
    let leads = group.leads();
    let newest = if leads { files.newest()? } else { None };
    let step = |found: &Option<FoundState>| found.as_ref().map(|found| found.state.step);
    let said = group.broadcast(serde_json::to_vec(&step(&newest)).unwrap_or_default())?;
    if leads {
        return Ok(newest);
    }
    let expected: Option<u64> = serde_json::from_slice(&said).unwrap_or_default();
    let newest = if expected.is_some() { files.newest()? } else { None };
    if step(&newest) != expected {
        return Err(FinetuneError::parallel(format!(
            "process {} does not see the state of step {} in {}: all processes need the same --out",
            group.rank(),
            expected.unwrap_or_default(),
            out.display()
        )));
    }
    Ok(newest)
}
