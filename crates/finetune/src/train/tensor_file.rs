//! Files of named float32 tensors, with a digest, so that a damaged one is known as such.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{Tensor, Var};
use corruptor::atomic::AtomicFile;
use restorer::RowTable;
use safetensors::tensor::{Dtype, SafeTensors, View};

use crate::error::FinetuneError;

/// The entry of the header that says what the tensors are.
const ABOUT: &str = "run";
/// The entry of the header that holds the digest.
const DIGEST: &str = "blake3";

/// Float32 values on their way into a file.
pub(super) struct Values {
    shape: [usize; 1],
    values: Vec<f32>,
}

impl Values {
    pub(super) fn new(values: Vec<f32>) -> Self {
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

/// The weights of a model: parameters, and tables.
///
/// # Errors
/// If they cannot be copied from their device.
pub(super) fn weights(
    parameters: &[(String, Var)],
    tables: &[RowTable],
) -> Result<Vec<(String, Values)>, FinetuneError> {
    let dense = |(name, var): &(String, Var)| {
        let values = values_of(var.as_tensor(), "saving the weights")?;
        Ok((format!("weights.{name}"), Values::new(values)))
    };
    let table = |table: &RowTable| Ok((format!("table.{}", table.name()), Values::new(table.to_vec())));
    parameters.iter().map(dense).chain(tables.iter().map(table)).collect()
}

/// The values of a tensor, on the host.
///
/// # Errors
/// If they cannot be copied from their device.
pub(super) fn values_of(tensor: &Tensor, what: &'static str) -> Result<Vec<f32>, FinetuneError> {
    tensor.flatten_all().and_then(|flat| flat.to_vec1()).map_err(FinetuneError::tensor(what))
}

/// Writes tensors and a JSON text about them: the file appears whole or not at all.
///
/// # Errors
/// If it cannot be written.
pub(super) fn write(path: &Path, tensors: Vec<(String, Values)>, about: &str) -> Result<(), FinetuneError> {
    let error = |what: String| FinetuneError::State { path: path.to_owned(), what };
    let tensors: BTreeMap<String, Values> = tensors.into_iter().collect();
    let mut hasher = blake3::Hasher::new();
    hasher.update(about.as_bytes());
    for (name, values) in &tensors {
        hasher.update(name.as_bytes()).update(&values.data());
    }
    let digest = hasher.finalize().to_hex().to_string();
    let metadata = HashMap::from([(ABOUT.to_owned(), about.to_owned()), (DIGEST.to_owned(), digest)]);
    let bytes = safetensors::serialize(tensors, Some(metadata)).map_err(|e| error(e.to_string()))?;
    Ok(AtomicFile::write_whole(path, &bytes)?)
}

/// A file that was read, and found to be what was written.
#[derive(Debug)]
pub(super) struct TensorFile {
    path: PathBuf,
    bytes: Vec<u8>,
    about: String,
}

impl TensorFile {
    /// Reads a file and compares its digest.
    ///
    /// # Errors
    /// If it cannot be read, or is not what [`write`] has written.
    pub(super) fn read(path: &Path) -> Result<Self, FinetuneError> {
        let error = |what: String| FinetuneError::State { path: path.to_owned(), what };
        let bytes = std::fs::read(path).map_err(FinetuneError::file(path, "read"))?;
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(|e| error(e.to_string()))?;
        let entry = |name: &str| {
            let found = metadata.metadata().as_ref().and_then(|entries| entries.get(name)).cloned();
            found.ok_or_else(|| error(format!("the entry `{name}` is missing")))
        };
        let (about, digest) = (entry(ABOUT)?, entry(DIGEST)?);
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| error(e.to_string()))?;
        let sorted: BTreeMap<String, _> = tensors.tensors().into_iter().collect();
        let mut hasher = blake3::Hasher::new();
        hasher.update(about.as_bytes());
        for (name, view) in &sorted {
            hasher.update(name.as_bytes()).update(view.data());
        }
        if hasher.finalize().to_hex().as_str() != digest {
            return Err(error("its contents are not what was written".to_owned()));
        }
        Ok(Self { path: path.to_owned(), bytes, about })
    }

    /// The JSON text.
    pub(super) fn about(&self) -> &str {
        &self.about
    }

    /// The tensors.
    ///
    /// # Errors
    /// If the file is damaged.
    pub(super) fn tensors(&self) -> Result<Saved<'_>, FinetuneError> {
        Saved::parse(&self.path, &self.bytes)
    }
}

/// The tensors of a file.
pub(super) struct Saved<'a> {
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

    /// The values of a tensor of this length.
    ///
    /// # Errors
    /// If it is missing or has another.
    pub(super) fn values(&self, name: &str, length: usize) -> Result<Vec<f32>, FinetuneError> {
        let error = |what: String| FinetuneError::State { path: self.path.to_owned(), what };
        let tensor = self.tensors.tensor(name).map_err(|_| error(format!("tensor `{name}` is missing")))?;
        let bytes = tensor.data();
        if tensor.dtype() != Dtype::F32 || bytes.len() != length * size_of::<f32>() {
            return Err(error(format!("tensor `{name}` does not have {length} float32 values")));
        }
        Ok(bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }

    /// Puts weights back.
    ///
    /// # Errors
    /// If one is missing or has another size.
    pub(super) fn load_weights(
        &self,
        parameters: &[(String, Var)],
        tables: &[RowTable],
    ) -> Result<(), FinetuneError> {
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
