//! What can go wrong in training and evaluation: what, where, and what to do about it.

use std::path::{Path, PathBuf};

/// The errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum FinetuneError {
    /// The recipe cannot be read, or has an unknown key.
    #[error(transparent)]
    Recipe(#[from] corruptor::RecipeError),
    /// A value of the recipe is outside its range.
    #[error("[{table}] {key} = {value}: {expected}")]
    Setting {
        /// The recipe's table.
        table: &'static str,
        /// The key in that table.
        key: &'static str,
        /// The value given.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The pairs cannot be read.
    #[error(transparent)]
    Pairs(#[from] corruptor::IoError),
    /// There is nothing to work on.
    #[error("{} holds no {what}; make some with `corruptor generate`", path.display())]
    Empty {
        /// The file or directory.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// The settings of the corruption channel are not consistent.
    #[error("the recipe's [corrupt] table: {0}")]
    Corrupt(#[from] corruptor::SettingsError),
    /// The model fails to load, to compute or to save.
    #[error(transparent)]
    Model(#[from] restorer::RestoreError),
    /// A tensor operation of the training step fails.
    #[error(
        "{what}: {source}; where memory is short, lower train.batch_tokens or set train.recompute = true"
    )]
    Tensor {
        /// The part of the step.
        what: &'static str,
        /// The tensor library's error.
        source: candle_core::Error,
    },
    /// A step does not fit into memory.
    #[error(
        "a step needs some {needed_gib:.1} GiB, but {available_gib:.1} are free: {state_gib:.1} for gradients and moments, \
         {activations_gib:.1} for the activations of {workers} micro-batches of train.batch_tokens = {batch_tokens}; \
         lower that{hint} or --threads, or learn updates of low rank ([model.lora])"
    )]
    Memory {
        /// All of it.
        needed_gib: f64,
        /// Gradients, moments, averages.
        state_gib: f64,
        /// Activations.
        activations_gib: f64,
        /// Micro-batches at once.
        workers: usize,
        /// The recipe's key.
        batch_tokens: usize,
        /// What is free.
        available_gib: f64,
        /// What else would help.
        hint: &'static str,
    },
    /// The loss or its gradient is not a number, again and again.
    #[error(
        "step {step}: the loss or its gradient was not finite {skipped} times in a row; \
         lower train.learning_rate and train.table_learning_rate, or resume from the last state"
    )]
    Diverged {
        /// The step that could not be taken.
        step: u64,
        /// Updates skipped in a row.
        skipped: u32,
    },
    /// The output directory already holds a run.
    #[error("{} holds a run at step {step}: go on with --resume, or start anew with --overwrite", path.display())]
    OutputTaken {
        /// The run's directory.
        path: PathBuf,
        /// The step it has reached.
        step: u64,
    },
    /// Another process trains in the output directory.
    #[error("{} is in use by another process that trains; wait for it, or name another directory with --out", path.display())]
    Busy {
        /// The run's state directory.
        path: PathBuf,
    },
    /// The run in the output directory was started with something else.
    #[error(
        "{} cannot go on, since {what} was {saved} and is now {now}; \
         put it back, or start anew with --overwrite", path.display()
    )]
    Disagreement {
        /// The run's directory.
        path: PathBuf,
        /// What differs: a recipe key, the pairs, the initial model.
        what: String,
        /// What the run was started with.
        saved: String,
        /// What it should go on with.
        now: String,
    },
    /// A state file is not what this version writes.
    #[error("{}: {what}; remove the file, or start anew with --overwrite", path.display())]
    State {
        /// The state file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The output directory already holds a model.
    #[error("{} holds a model: replace it with --overwrite, or name another directory with --out", path.display())]
    ModelTaken {
        /// The directory.
        path: PathBuf,
    },
    /// No prior can be made of the texts.
    #[error(transparent)]
    Prior(restorer::ngram::BuildError),
    /// A model family that cannot be trained.
    #[error(
        "family \"{family}\" is not one that can be trained; known: tagger, t5, llama, qwen2, qwen3, ngram, ensemble"
    )]
    Family {
        /// The family asked for.
        family: String,
    },
    /// Sets of one operation need the channel's settings.
    #[error("--sets needs the channel's settings: {model} carries no recipe; name one with --recipe", model = path.display())]
    NoRecipe {
        /// The model's directory.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{}: cannot {action}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Several processes that train one model fail to work together.
    #[error("training in several processes: {what}")]
    Parallel {
        /// What is wrong, and where.
        what: String,
    },
    /// The threads cannot be started.
    #[error("cannot start {threads} worker threads: {source}; ask for fewer with --threads")]
    Threads {
        /// The number asked for.
        threads: usize,
        /// The reason.
        source: rayon::ThreadPoolBuildError,
    },
}

impl FinetuneError {
    /// Wraps an input or output error of `path`.
    pub(crate) fn file(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, action, source }
    }

    /// Something between the processes of one training.
    pub(crate) fn parallel(what: impl Into<String>) -> Self {
        Self::Parallel { what: what.into() }
    }

    /// Wraps an error of the tensor library.
    pub(crate) fn tensor(what: &'static str) -> impl FnOnce(candle_core::Error) -> Self {
        move |source| Self::Tensor { what, source }
    }
}
