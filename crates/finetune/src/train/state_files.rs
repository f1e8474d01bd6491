//! The state files of a run: each appears whole or not at all, the newest few are kept, and a damaged one is passed over.

use std::path::{Path, PathBuf};

use corruptor::lock::FileLock;
use restorer::RowTable;
use restorer::train::Trainable;

use super::state::{FORMAT, RunState};
use super::tensor_file::{TensorFile, Values, values_of, weights, write};
use crate::error::FinetuneError;
use crate::optimizer::{Optimizer, SavedMoments, WeightAverage};

/// What a run leaves beside its state and its log.
const CHECKPOINT_FILES: [&str; 9] = [
    "model.safetensors",
    "adapter_model.safetensors",
    "adapter_config.json",
    "restorer.json",
    "config.json",
    "tokenizer_config.json",
    "generation_config.json",
    "README.md",
    "metrics.json",
];

/// A state that was found whole.
#[derive(Debug)]
pub struct FoundState {
    /// How far the run is.
    pub state: RunState,
    /// What is to be said about newer files that were passed over.
    pub passed_over: Vec<String>,
    file: TensorFile,
}

/// The state files of a run directory.
#[derive(Clone, Debug)]
pub struct StateFiles {
    directory: PathBuf,
}

impl StateFiles {
    /// The state files under `run`.
    pub fn of(run: &Path) -> Self {
        Self { directory: run.join("state") }
    }

    /// Makes the directory, keeps other processes out, and removes what an interrupted write has left.
    ///
    /// # Errors
    /// If the directory cannot be made or read, or another process trains in it.
    pub fn lock(&self) -> Result<FileLock, FinetuneError> {
        let directory = &self.directory;
        std::fs::create_dir_all(directory).map_err(FinetuneError::file(directory, "create"))?;
        let path = directory.join("lock");
        let busy = || FinetuneError::Busy { path: directory.clone() };
        let lock = FileLock::acquire(&path)?.ok_or_else(busy)?;
        for directory in directory.parent().into_iter().chain([directory.as_path()]) {
            let entries = std::fs::read_dir(directory).map_err(FinetuneError::file(directory, "read"))?;
            let interrupted = |path: &Path| {
                path.extension().is_some_and(|extension| extension == "tmp")
                    && path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
            };
            for path in entries.flatten().map(|entry| entry.path()).filter(|path| interrupted(path)) {
                std::fs::remove_file(&path).map_err(FinetuneError::file(&path, "remove"))?;
            }
        }
        Ok(lock)
    }

    fn best_file(&self) -> PathBuf {
        self.directory.join("best.safetensors")
    }

    fn run_file(&self, step: u64) -> PathBuf {
        self.directory.join(format!("run-{step:09}.safetensors"))
    }

    /// The files of all states, the newest first.
    fn run_files(&self) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return Vec::new() };
        let is_state = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with("run") && name.ends_with(".safetensors")
        };
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_state).collect();
        files.sort_unstable_by(|a, b| b.cmp(a));
        files
    }

    /// Writes the whole state, and removes all but the newest `keep`.
    ///
    /// # Errors
    /// If a tensor cannot be copied from its device, or a file cannot be written or removed.
    pub fn save<M: Trainable>(
        &self,
        state: &RunState,
        model: &M,
        optimizer: &Optimizer,
        keep: usize,
    ) -> Result<(), FinetuneError> {
        let mut tensors = weights(optimizer.dense.parameters(), model.tables())?;
        for SavedMoments { name, first, second } in
            optimizer.dense.moments().map_err(FinetuneError::tensor("saving the moments"))?
        {
            tensors.push((format!("first.{name}"), Values::new(first)));
            tensors.push((format!("second.{name}"), Values::new(second)));
        }
        for (table, values) in model.tables().iter().zip(optimizer.tables.accumulators()) {
            tensors.push((format!("accumulator.{}", table.name()), Values::new(values.clone())));
        }
        for (name, average) in optimizer.average.iter().flat_map(WeightAverage::averages) {
            let values = values_of(average, "saving the average of the weights")?;
            tensors.push((format!("average.{name}"), Values::new(values)));
        }
        let path = self.run_file(state.step);
        let about = serde_json::to_string(state)
            .map_err(|e| FinetuneError::State { path: path.clone(), what: e.to_string() })?;
        write(&path, tensors, &about)?;
        for path in self.run_files().into_iter().skip(keep) {
            std::fs::remove_file(&path).map_err(FinetuneError::file(&path, "remove"))?;
        }
        Ok(())
    }

    /// Writes the weights as the best so far.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub fn save_best<M: Trainable>(&self, model: &M) -> Result<(), FinetuneError> {
        write(&self.best_file(), weights(&model.parameters(), model.tables())?, "{}")
    }

    /// How far the run is, if there is a state.
    ///
    /// # Errors
    /// As [`Self::newest`].
    pub fn progress(&self) -> Result<Option<RunState>, FinetuneError> {
        Ok(self.newest()?.map(|found| found.state))
    }

    /// The newest state that is whole, if there is a state at all.
    ///
    /// # Errors
    /// If there are states, but none is whole, or it was written by another version.
    pub fn newest(&self) -> Result<Option<FoundState>, FinetuneError> {
        let mut damaged: Vec<FinetuneError> = Vec::new();
        for path in self.run_files() {
            let error = |what: String| FinetuneError::State { path: path.clone(), what };
            let file = match TensorFile::read(&path) {
                Ok(file) => file,
                Err(error @ FinetuneError::State { .. }) => {
                    damaged.push(error);
                    continue;
                }
                // A run under way has replaced it meanwhile.
                Err(FinetuneError::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                    continue;
                }
                Err(error) => return Err(error),
            };
            let state: RunState =
                serde_json::from_str(file.about()).map_err(|e| error(format!("entry `run`: {e}")))?;
            if state.format != FORMAT {
                return Err(error(format!("format {} instead of {FORMAT}", state.format)));
            }
            let passed_over = damaged.iter().map(ToString::to_string).collect();
            return Ok(Some(FoundState { state, passed_over, file }));
        }
        damaged.into_iter().next().map_or(Ok(None), Err)
    }

    /// Puts weights, moments and averages of a state back.
    ///
    /// # Errors
    /// If a tensor is missing or has another size.
    pub fn load<M: Trainable>(
        &self,
        found: &FoundState,
        model: &M,
        optimizer: &mut Optimizer,
    ) -> Result<(), FinetuneError> {
        let saved = found.file.tensors()?;
        let parameters = optimizer.dense.parameters().to_vec();
        saved.load_weights(&parameters, model.tables())?;
        let moments = parameters.iter().map(|(name, var)| {
            let values = |kind: &str| saved.values(&format!("{kind}.{name}"), var.elem_count());
            Ok((values("first")?, values("second")?))
        });
        let moments = moments.collect::<Result<Vec<_>, FinetuneError>>()?;
        let loaded = optimizer.dense.load(moments, found.state.updates);
        loaded.map_err(FinetuneError::tensor("loading the moments"))?;
        let accumulator =
            |table: &RowTable| saved.values(&format!("accumulator.{}", table.name()), table.rows());
        optimizer.tables.load(model.tables().iter().map(accumulator).collect::<Result<_, _>>()?);
        if let Some(average) = &mut optimizer.average {
            let values = parameters
                .iter()
                .map(|(name, var)| saved.values(&format!("average.{name}"), var.elem_count()));
            let loaded = average.load(values.collect::<Result<_, _>>()?);
            loaded.map_err(FinetuneError::tensor("loading the average of the weights"))?;
        }
        Ok(())
    }

    /// Puts the best weights back.
    ///
    /// # Errors
    /// If the file or a tensor is missing.
    pub fn load_best<M: Trainable>(&self, model: &M) -> Result<(), FinetuneError> {
        TensorFile::read(&self.best_file())?.tensors()?.load_weights(&model.parameters(), model.tables())
    }

    /// Removes all state and the checkpoint that came of it.
    ///
    /// # Errors
    /// If a file cannot be removed.
    pub fn clear(&self) -> Result<(), FinetuneError> {
        let run = self.directory.parent().unwrap_or(&self.directory);
        let checkpoint = CHECKPOINT_FILES.map(|name| run.join(name));
        for path in self.run_files().into_iter().chain([self.best_file()]).chain(checkpoint) {
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(FinetuneError::file(&path, "remove")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
