//! The weights of a checkpoint in the Hugging Face layout, in one file or in shards.

#[cfg(feature = "hub")]
use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::{Component, Path, PathBuf};

use candle_core::safetensors::Load as _;
use candle_core::{Device, Tensor};
use safetensors::tensor::{Metadata, TensorView};
use safetensors::{Dtype, SafeTensorError, SafeTensors};
use serde::Deserialize;

use crate::bytes::SharedBytes;
use crate::checkpoint::WEIGHTS;
use crate::error::RestoreError;

/// Says which shard holds which tensor.
pub const WEIGHTS_INDEX: &str = "model.safetensors.index.json";

/// Bytes of the length that a safetensors file begins with.
const LENGTH_BYTES: usize = 8;

/// The tensors of a checkpoint by name. Files are mapped: a tensor is read when it is asked for.
#[derive(Debug)]
pub struct Weights {
    shards: Vec<Shard>,
    shard_of: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    bytes: SharedBytes,
    metadata: Metadata,
    data_start: usize,
}

/// `model.safetensors.index.json`.
#[derive(Deserialize)]
pub(crate) struct WeightsIndex {
    weight_map: BTreeMap<String, String>,
}

/// Opens `model.safetensors`, or the shards that `model.safetensors.index.json` names.
///
/// # Errors
/// If neither is there, a shard is missing (the error names it), or a file is no safetensors file or lacks a tensor that
/// the index places in it.
pub fn open(dir: &Path) -> Result<Weights, RestoreError> {
    let single = dir.join(WEIGHTS);
    if single.exists() {
        return Weights::single(single);
    }
    let path = dir.join(WEIGHTS_INDEX);
    let text = std::fs::read(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => {
            RestoreError::Format { path: dir.to_owned(), message: nothing_there(dir) }
        }
        _ => RestoreError::Io { path: path.clone(), source },
    })?;
    Weights::sharded(dir, &WeightsIndex::parse(&path, &text)?)
}

/// Opens one safetensors file.
///
/// # Errors
/// If it is missing or no safetensors file.
pub fn open_file(path: &Path) -> Result<Weights, RestoreError> {
    Weights::single(path.to_owned())
}

/// A tensor on its way into a file.
#[derive(Debug)]
pub(crate) struct FileEntry {
    pub(crate) name: String,
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    /// Little-endian.
    pub(crate) bytes: Vec<u8>,
}

impl FileEntry {
    fn view(&self) -> Result<(&String, TensorView<'_>), SafeTensorError> {
        Ok((&self.name, TensorView::new(self.dtype, self.shape.clone(), &self.bytes)?))
    }
}

/// A whole safetensors file; the error says what does not fit.
pub(crate) fn tensor_file(entries: &[FileEntry]) -> Result<Vec<u8>, String> {
    let views: Result<Vec<_>, _> = entries.iter().map(FileEntry::view).collect();
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    views.and_then(|views| safetensors::serialize(views, Some(metadata))).map_err(|e| e.to_string())
}

impl Weights {
    /// BLAKE3 of all files, in the order of their names.
    pub fn digest(&self) -> [u8; 32] {
        let mut shards: Vec<&Shard> = self.shards.iter().collect();
        shards.sort_unstable_by_key(|shard| &shard.path);
        let mut hasher = blake3::Hasher::new();
        for shard in shards {
            let bytes = shard.bytes.as_ref();
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        }
        *hasher.finalize().as_bytes()
    }

    /// The tensor `name` as the file has it (F32, F16, BF16, …), on `device`; `None` if there is no such tensor.
    pub fn get(&self, name: &str, device: &Device) -> Option<candle_core::Result<Tensor>> {
        self.view(name).map(|view| view?.load(device))
    }

    /// The shape of the tensor `name`, without reading it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        Some(&self.shard(name)?.metadata.info(name)?.shape)
    }

    /// The names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.shard_of.keys().map(String::as_str)
    }

    /// The file that holds the tensor `name`, for messages.
    pub fn path(&self, name: &str) -> Option<&Path> {
        Some(&self.shard(name)?.path)
    }

    fn shard(&self, name: &str) -> Option<&Shard> {
        self.shards.get(*self.shard_of.get(name)?)
    }

    /// The tensor `name` as it lies in its file.
    pub(crate) fn view(&self, name: &str) -> Option<candle_core::Result<TensorView<'_>>> {
        let shard = self.shard(name)?;
        let info = shard.metadata.info(name)?;
        let (start, end) = info.data_offsets;
        let bytes = &shard.bytes.as_ref()[shard.data_start..][start..end];
        Some(TensorView::new(info.dtype, info.shape.clone(), bytes).map_err(candle_core::Error::wrap))
    }

    fn single(path: PathBuf) -> Result<Self, RestoreError> {
        let shard = Shard::map(path)?;
        let shard_of = shard.metadata.tensors().into_keys().map(|name| (name, 0)).collect();
        Ok(Self { shards: vec![shard], shard_of })
    }

    fn sharded(dir: &Path, index: &WeightsIndex) -> Result<Self, RestoreError> {
        let (mut shards, mut shard_of) = (Vec::new(), BTreeMap::new());
        let mut opened = BTreeMap::new();
        for (name, file) in &index.weight_map {
            let place = match opened.entry(file) {
                Entry::Occupied(place) => *place.get(),
                Entry::Vacant(vacant) => {
                    shards.push(Shard::map(dir.join(file))?);
                    *vacant.insert(shards.len() - 1)
                }
            };
            let shard: &Shard = &shards[place];
            if shard.metadata.info(name).is_none() {
                let message = format!("has no tensor `{name}`, which {WEIGHTS_INDEX} places in it");
                return Err(RestoreError::Format { path: shard.path.clone(), message });
            }
            shard_of.insert(name.clone(), place);
        }
        Ok(Self { shards, shard_of })
    }
}

impl Shard {
    fn map(path: PathBuf) -> Result<Self, RestoreError> {
        let bytes = SharedBytes::map(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => RestoreError::Format {
                path: path.clone(),
                message: format!(
                    "this shard, which {WEIGHTS_INDEX} names, is missing; fetch the model again"
                ),
            },
            _ => RestoreError::Io { path: path.clone(), source },
        })?;
        let (header, metadata) =
            SafeTensors::read_metadata(bytes.as_ref()).map_err(|error| RestoreError::Format {
                path: path.clone(),
                message: format!("is no whole safetensors file ({error}); fetch or write it again"),
            })?;
        Ok(Self { path, bytes, metadata, data_start: LENGTH_BYTES + header })
    }
}

impl WeightsIndex {
    /// Parses an index; `path` stands in errors.
    pub(crate) fn parse(path: &Path, text: &[u8]) -> Result<Self, RestoreError> {
        let error = |message| RestoreError::Format { path: path.to_owned(), message };
        let index: Self = serde_json::from_slice(text).map_err(|e| error(e.to_string()))?;
        let is_plain = |file: &str| {
            let mut components = Path::new(file).components();
            matches!(components.next(), Some(Component::Normal(_))) && components.next().is_none()
        };
        match index.weight_map.values().find(|file| !is_plain(file)) {
            Some(file) => Err(error(format!(
                "weight_map: \"{}\" is not the name of a file beside it",
                file.escape_debug()
            ))),
            None if index.weight_map.is_empty() => Err(error("weight_map: it names no tensor".to_owned())),
            None => Ok(index),
        }
    }
    /// The names of the shards, sorted.
    #[cfg(feature = "hub")]
    pub(crate) fn shards(&self) -> BTreeSet<&str> {
        self.weight_map.values().map(String::as_str).collect()
    }
}

fn nothing_there(dir: &Path) -> String {
    let hint = if dir.join("pytorch_model.bin").exists() {
        "; it holds pytorch_model.bin, which is not read: convert it, with transformers' save_pretrained(…, safe_serialization=True)"
    } else {
        ""
    };
    format!("neither {WEIGHTS} nor {WEIGHTS_INDEX} is there{hint}")
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::*;

    fn write(path: &Path, name: &str, dtype: DType) -> Tensor {
        let tensor = Tensor::arange(0f32, 6.0, &Device::Cpu).unwrap().reshape((2, 3)).unwrap();
        let tensor = tensor.to_dtype(dtype).unwrap();
        tensor.save_safetensors(name, path).unwrap();
        tensor
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
    }

    fn message(dir: &Path) -> String {
        open(dir).unwrap_err().to_string()
    }

    #[test]
    fn a_single_file_keeps_its_types() {
        let home = tempfile::tempdir().unwrap();
        for dtype in [DType::F32, DType::F16, DType::BF16] {
            let written = write(&home.path().join(WEIGHTS), "a.weight", dtype);
            let weights = open(home.path()).unwrap();
            assert_eq!(weights.names().collect::<Vec<_>>(), ["a.weight"]);
            assert_eq!(weights.shape("a.weight"), Some(&[2, 3][..]));
            let read = weights.get("a.weight", &Device::Cpu).unwrap().unwrap();
            assert_eq!((read.dtype(), values(&read)), (dtype, values(&written)));
            assert!(weights.get("b.weight", &Device::Cpu).is_none());
        }
    }

    #[test]
    fn shards_are_one_map_and_what_is_missing_is_named() {
        let home = tempfile::tempdir().unwrap();
        let (first, second) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
        let index = |map: &str| {
            std::fs::write(home.path().join(WEIGHTS_INDEX), format!("{{\"weight_map\": {map}}}")).unwrap();
        };
        index(&format!("{{\"b\": \"{first}\", \"a\": \"{second}\"}}"));
        write(&home.path().join(first), "b", DType::F32);
        assert!(message(home.path()).contains(second));
        let written = write(&home.path().join(second), "a", DType::BF16);
        let weights = open(home.path()).unwrap();
        assert_eq!(weights.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(weights.path("a"), Some(&*home.path().join(second)));
        assert_eq!(values(&weights.get("a", &Device::Cpu).unwrap().unwrap()), values(&written));

        index(&format!("{{\"c\": \"{first}\"}}"));
        assert!(message(home.path()).contains("`c`"));
        for bad in ["{\"a\": \"../x\"}", "{\"a\": \"/x\"}", "{}"] {
            index(bad);
            assert!(message(home.path()).contains("weight_map"), "{bad}");
        }
    }

    #[test]
    fn a_file_that_is_cut_or_of_another_kind_is_an_error() {
        let home = tempfile::tempdir().unwrap();
        assert!(message(home.path()).contains(WEIGHTS_INDEX));
        std::fs::write(home.path().join("pytorch_model.bin"), b"").unwrap();
        assert!(message(home.path()).contains("save_pretrained"));
        let path = home.path().join(WEIGHTS);
        write(&path, "a", DType::F32);
        let bytes = std::fs::read(&path).unwrap();
        for cut in [0, 7, 30, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            assert!(message(home.path()).contains("safetensors"), "{cut}");
        }
    }
}
