//! A GGUF file: its metadata by key and type, and its tensors.

use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::{Device, Tensor};

use crate::error::RestoreError;

/// What a GGUF file begins with.
const MAGIC: [u8; 4] = *b"GGUF";

/// Types of tensors that are read, for messages.
const TYPES: &str = "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K";

/// An open GGUF file, its header read.
#[derive(Debug)]
pub(super) struct GgufFile {
    path: PathBuf,
    content: Content,
    reader: BufReader<File>,
}

impl GgufFile {
    /// Opens a file and reads its header.
    pub(super) fn open(path: &Path) -> Result<Self, RestoreError> {
        let failed = |source| RestoreError::Io { path: path.to_owned(), source };
        let bad = |message| RestoreError::Format { path: path.to_owned(), message };
        let mut reader = BufReader::new(File::open(path).map_err(failed)?);
        let mut magic = Vec::new();
        reader.by_ref().take(4).read_to_end(&mut magic).map_err(failed)?;
        if magic != MAGIC {
            return Err(bad("is no GGUF file: it does not begin with GGUF".to_owned()));
        }
        reader.rewind().map_err(failed)?;
        // The reader divides by an alignment that the file names.
        let read = catch_unwind(AssertUnwindSafe(|| Content::read(&mut reader)));
        let content = match read {
            Ok(Ok(content)) => content,
            Ok(Err(error)) => return Err(bad(why_unreadable(&error.to_string()))),
            Err(_) => return Err(bad("the GGUF header contradicts itself; fetch the file again".to_owned())),
        };
        let file = Self { path: path.to_owned(), content, reader };
        match file.get::<usize>("split.count")? {
            Some(parts) if parts > 1 => Err(bad(format!(
                "is one of {parts} parts of a model; merge them first, with llama.cpp's `llama-gguf-split --merge`"
            ))),
            _ => Ok(file),
        }
    }

    /// An error about this file.
    pub(super) fn error(&self, message: impl Into<String>) -> RestoreError {
        RestoreError::Format { path: self.path.clone(), message: message.into() }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The value of a metadata key, if it is there.
    pub(super) fn get<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<Option<T>, RestoreError> {
        let Some(value) = self.content.metadata.get(key) else { return Ok(None) };
        let wrong =
            || self.error(format!("metadata key `{key}` is {:?}, not {}", value.value_type(), T::WANTED));
        T::from_value(value).map(Some).ok_or_else(wrong)
    }

    /// The value of a metadata key that must be there.
    pub(super) fn need<'a, T: FromValue<'a>>(&'a self, key: &str) -> Result<T, RestoreError> {
        let missing = || {
            self.error(format!(
                "metadata key `{key}` ({}) is missing; convert the model to GGUF anew",
                T::WANTED
            ))
        };
        self.get(key)?.ok_or_else(missing)
    }

    /// The names of all tensors.
    pub(super) fn tensor_names(&self) -> impl Iterator<Item = &str> {
        self.content.tensor_infos.keys().map(String::as_str)
    }

    /// The shape of a tensor, rows first; `None` if there is no such tensor.
    pub(super) fn tensor_shape(&self, name: &str) -> Option<&[usize]> {
        self.content.tensor_infos.get(name).map(|info| info.shape.dims())
    }

    /// A tensor in float32. Its shape must have been checked: it says how much is read.
    pub(super) fn tensor(&mut self, name: &str) -> Result<Tensor, RestoreError> {
        let read = self.content.tensor(&mut self.reader, name, &Device::Cpu);
        read.and_then(|tensor| tensor.dequantize(&Device::Cpu)).map_err(|error| {
            self.error(format!("tensor `{name}` cannot be read ({error}); fetch the file again"))
        })
    }
}

/// What to say where the header cannot be read.
fn why_unreadable(error: &str) -> String {
    let unknown = error.split_once("unknown dtype for tensor ");
    match unknown.and_then(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).next()) {
        Some(number) => format!(
            "a tensor has ggml's type number {number}, which is not read; take a file with types of {TYPES}"
        ),
        None => {
            format!("the GGUF header cannot be read ({error}); the file may be cut short: fetch it again")
        }
    }
}

/// A type of metadata.
pub(super) trait FromValue<'a>: Sized {
    /// What it is, in words.
    const WANTED: &'static str;

    /// The value, if it is of this type.
    fn from_value(value: &'a Value) -> Option<Self>;
}

impl FromValue<'_> for usize {
    const WANTED: &'static str = "a whole number from 0";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::U8(n) => Some(usize::from(*n)),
            Value::U16(n) => Some(usize::from(*n)),
            Value::U32(n) => usize::try_from(*n).ok(),
            Value::U64(n) => usize::try_from(*n).ok(),
            Value::I8(n) => usize::try_from(*n).ok(),
            Value::I16(n) => usize::try_from(*n).ok(),
            Value::I32(n) => usize::try_from(*n).ok(),
            Value::I64(n) => usize::try_from(*n).ok(),
            _ => None,
        }
    }
}

impl FromValue<'_> for f64 {
    const WANTED: &'static str = "a number";

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            // The shortest decimal: 1e-5 was meant, not 9.999999747378752e-6.
            Value::F32(x) => x.to_string().parse().ok(),
            Value::F64(x) => Some(*x),
            _ => usize::from_value(value).map(|n| n as f64),
        }
        .filter(|x| x.is_finite())
    }
}

impl FromValue<'_> for bool {
    const WANTED: &'static str = "true or false";

    fn from_value(value: &Value) -> Option<Self> {
        value.to_bool().ok()
    }
}

impl<'a> FromValue<'a> for &'a str {
    const WANTED: &'static str = "a string";

    fn from_value(value: &'a Value) -> Option<Self> {
        value.to_string().ok().map(String::as_str)
    }
}

impl<'a, T: FromValue<'a>> FromValue<'a> for Vec<T> {
    const WANTED: &'static str = "an array";

    fn from_value(value: &'a Value) -> Option<Self> {
        value.to_vec().ok()?.iter().map(T::from_value).collect()
    }
}
