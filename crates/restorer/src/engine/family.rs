//! What a model family does with windows.

use std::sync::Arc;

use super::window::{Window, WindowEdits};
use crate::error::RestoreError;

/// What a window takes, at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Tokens of the step in which it begins.
    pub(crate) first_tokens: usize,
    /// Tokens of every further step.
    pub(crate) step_tokens: usize,
    /// Bytes that are held for it.
    pub(crate) cache_bytes: usize,
}

/// A family of models. What is found in a window depends on nothing but the window: not on what is begun or advanced with it.
pub(crate) trait Family: Sync {
    /// A window under way.
    type Job<'f>: Send
    where
        Self: 'f;

    /// What a window costs.
    fn cost(&self, window: &Window) -> Cost;

    /// Begins windows: one job each.
    fn begin<'f>(&'f self, windows: &[Arc<Window>]) -> Result<Vec<Self::Job<'f>>, RestoreError>;

    /// Advances jobs by a step, those that matter more first: for each what was found, if it is done.
    fn advance<'f>(
        &'f self,
        jobs: &mut [&mut Self::Job<'f>],
    ) -> Result<Vec<Option<WindowEdits>>, RestoreError>;
}
