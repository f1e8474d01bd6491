//! The state of a run: everything that a bit-exact resume needs, in one file that is replaced atomically.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Tensor, Var};
use corruptor::atomic::AtomicFile;
use corruptor::lock::FileLock;
use restorer::RowTable;
use restorer::metrics::TextCounts;
use restorer::train::Trainable;
use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::{Deserialize, Serialize};

use crate::batch::Cursor;
use crate::error::FinetuneError;
use crate::optimizer::{Optimizer, SavedMoments};

/// Version of the state file's layout.
const FORMAT: u32 = 1;

/// What a run leaves beside its state and its log.
const CHECKPOINT_FILES: [&str; 5] =
    ["model.safetensors", "restorer.json", "config.json", "README.md", "metrics.json"];

/// What a run was started with; a resumed run must agree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The recipe, with its overrides.
    pub recipe: String,
    /// Digest of the training pairs.
    pub train_pairs: String,
    /// Digest of the validation pairs.
    pub valid_pairs: String,
    /// Digest of the model that `--init` names.
    pub init: Option<String>,
}

/// The best evaluation so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Steps behind it.
    pub step: u64,
    /// Counts on the validation pairs.
    pub counts: TextCounts,
}

/// The progress of a run, without its tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunState {
    format: u32,
    /// What the run was started with.
    pub identity: Identity,
    /// Steps taken.
    pub step: u64,
    /// Updates of the optimizer (steps that were not skipped).
    pub updates: u64,
    /// The next batch.
    pub cursor: Cursor,
    /// Tokens trained on, without padding.
    pub tokens: u64,
    /// Seconds of training and evaluation so far.
    pub elapsed_s: f64,
    /// Steps skipped because the loss or its gradient was not finite.
    pub skipped: u64,
    /// The best evaluation.
    pub best: Option<Best>,
    /// Bytes of the log that belong to this state.
    pub log_bytes: u64,
}

impl RunState {
    /// The state before the first step.
    pub fn new(identity: Identity) -> Self {
        Self {
            format: FORMAT,
            identity,
            step: 0,
            updates: 0,
            cursor: Cursor::default(),
            tokens: 0,
            elapsed_s: 0.0,
            skipped: 0,
            best: None,
            log_bytes: 0,
        }
    }
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

    fn run_file(&self) -> PathBuf {
        self.directory.join("run.safetensors")
    }

    fn best_file(&self) -> PathBuf {
        self.directory.join("best.safetensors")
    }

    /// Writes the whole state.
    ///
    /// # Errors
    /// If a tensor cannot be copied from its device, or the file cannot be written.
    pub fn save<M: Trainable>(
        &self,
        state: &RunState,
        model: &M,
        optimizer: &Optimizer,
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
        write(&self.run_file(), tensors, Some(state))
    }

    /// Writes the weights as the best so far.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub fn save_best<M: Trainable>(&self, model: &M) -> Result<(), FinetuneError> {
        write(&self.best_file(), weights(&model.parameters(), model.tables())?, None)
    }

    /// Reads the progress, if there is a state.
    ///
    /// # Errors
    /// If the file cannot be read or is not a state file.
    pub fn progress(&self) -> Result<Option<RunState>, FinetuneError> {
        let path = self.run_file();
        if !path.exists() {
            return Ok(None);
        }
        let bytes = read(&path)?;
        let error = |what: String| FinetuneError::State { path: path.clone(), what };
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| error(e.to_string()))?;
        let run = metadata.metadata().as_ref().and_then(|entries| entries.get("run"));
        let run = run.ok_or_else(|| error("the entry `run` is missing".to_owned()))?;
        let state: RunState = serde_json::from_str(run).map_err(|e| error(format!("entry `run`: {e}")))?;
        if state.format != FORMAT {
            return Err(error(format!("format {} instead of {FORMAT}", state.format)));
        }
        Ok(Some(state))
    }

    /// Puts weights and moments of `state`, read before, back.
    ///
    /// # Errors
    /// If a tensor is missing or has another size.
    pub fn load<M: Trainable>(
        &self,
        state: &RunState,
        model: &M,
        optimizer: &mut Optimizer,
    ) -> Result<(), FinetuneError> {
        let path = self.run_file();
        let bytes = read(&path)?;
        let saved = Saved::parse(&path, &bytes)?;
        saved.load_weights(optimizer.dense.parameters(), model.tables())?;
        let moments = optimizer.dense.parameters().iter().map(|(name, var)| {
            let values = |kind: &str| saved.values(&format!("{kind}.{name}"), var.elem_count());
            Ok((values("first")?, values("second")?))
        });
        let moments = moments.collect::<Result<Vec<_>, FinetuneError>>()?;
        optimizer.dense.load(moments, state.updates).map_err(FinetuneError::tensor("loading the moments"))?;
        let accumulator =
            |table: &RowTable| saved.values(&format!("accumulator.{}", table.name()), table.rows());
        optimizer.tables.load(model.tables().iter().map(accumulator).collect::<Result<_, _>>()?);
        Ok(())
    }

    /// Puts the best weights back.
    ///
    /// # Errors
    /// If the file or a tensor is missing.
    pub fn load_best<M: Trainable>(&self, model: &M) -> Result<(), FinetuneError> {
        let path = self.best_file();
        let bytes = read(&path)?;
        Saved::parse(&path, &bytes)?.load_weights(&model.parameters(), model.tables())
    }

    /// Removes all state and the checkpoint that came of it.
    ///
    /// # Errors
    /// If a file cannot be removed.
    pub fn clear(&self) -> Result<(), FinetuneError> {
        let run = self.directory.parent().unwrap_or(&self.directory);
        let checkpoint = CHECKPOINT_FILES.map(|name| run.join(name));
        for path in [self.run_file(), self.best_file()].into_iter().chain(checkpoint) {
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

/// Float32 values on their way into a file.
struct Values {
    shape: [usize; 1],
    values: Vec<f32>,
}

impl Values {
    fn new(values: Vec<f32>) -> Self {
        Self { shape: [values.len()], values }
    }
}

impl View for Values {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let mut bytes = vec![0; self.data_len()];
        for (bytes, value) in bytes.chunks_exact_mut(4).zip(&self.values) {
            bytes.copy_from_slice(&value.to_le_bytes());
        }
        Cow::Owned(bytes)
    }

    fn data_len(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}

fn weights(
    parameters: &[(String, Var)],
    tables: &[RowTable],
) -> Result<Vec<(String, Values)>, FinetuneError> {
    let dense = |(name, var): &(String, Var)| {
        let values = var.flatten_all().and_then(|flat| flat.to_vec1::<f32>());
        let values = values.map_err(FinetuneError::tensor("saving the weights"))?;
        Ok((format!("weights.{name}"), Values::new(values)))
    };
    let table = |table: &RowTable| Ok((format!("table.{}", table.name()), Values::new(table.to_vec())));
    parameters.iter().map(dense).chain(tables.iter().map(table)).collect()
}

fn write(path: &Path, tensors: Vec<(String, Values)>, state: Option<&RunState>) -> Result<(), FinetuneError> {
    let error = |what: String| FinetuneError::State { path: path.to_owned(), what };
    let run = state.map(serde_json::to_string).transpose().map_err(|e| error(e.to_string()))?;
    let metadata = run.map(|run| HashMap::from([("run".to_owned(), run)]));
    let bytes = safetensors::serialize(tensors, metadata).map_err(|e| error(e.to_string()))?;
    Ok(AtomicFile::write_whole(path, &bytes)?)
}

fn read(path: &Path) -> Result<Vec<u8>, FinetuneError> {
    std::fs::read(path).map_err(FinetuneError::file(path, "read"))
}

/// A parsed state file.
struct Saved<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
}

impl<'a> Saved<'a> {
    fn parse(path: &'a Path, bytes: &'a [u8]) -> Result<Self, FinetuneError> {
        let tensors = SafeTensors::deserialize(bytes);
        let error = |e: safetensors::SafeTensorError| FinetuneError::State {
            path: path.to_owned(),
            what: e.to_string(),
        };
        Ok(Self { path, tensors: tensors.map_err(error)? })
    }

    fn values(&self, name: &str, length: usize) -> Result<Vec<f32>, FinetuneError> {
        let error = |what: String| FinetuneError::State { path: self.path.to_owned(), what };
        let tensor = self.tensors.tensor(name).map_err(|_| error(format!("tensor `{name}` is missing")))?;
        let bytes = tensor.data();
        if tensor.dtype() != Dtype::F32 || bytes.len() != length * size_of::<f32>() {
            return Err(error(format!("tensor `{name}` does not have {length} float32 values")));
        }
        Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    fn load_weights(&self, parameters: &[(String, Var)], tables: &[RowTable]) -> Result<(), FinetuneError> {
        for (name, var) in parameters {
            let values = self.values(&format!("weights.{name}"), var.elem_count())?;
            let set = Tensor::from_vec(values, var.shape(), var.device()).and_then(|tensor| var.set(&tensor));
            set.map_err(FinetuneError::tensor("loading the weights"))?;
        }
        for table in tables {
            table.load(&self.values(&format!("table.{}", table.name()), table.rows() * table.dim())?);
        }
        Ok(())
    }
}
