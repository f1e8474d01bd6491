//! Reading pairs in bounded memory: a chunk of a row group at a time.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::vec;

use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};

use super::convert::from_batch;
use super::schema::{check_schema, pair_schema};
use crate::guarded::guarded;
use crate::io_error::IoError;
use crate::pair::Pair;
use crate::store::{Fetcher, Location, Object, ObjectUrl, footer, objects};

/// Rows decoded at a time.
const CHUNK_ROWS: usize = 1_024;

/// Consecutive pairs of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct PairChunk {
    /// The file.
    pub file: PathBuf,
    /// Number of the first row in that file, counted from 0.
    pub first_row: u64,
    /// The pairs.
    pub pairs: Vec<Pair>,
}

/// Opens a file of pairs, or a directory of `*.parquet` files in the order of their names; either may be the URL of a store.
///
/// # Errors
/// If there is no such file, or none in the directory, or a store refuses. Damaged files and other schemas are found when they are reached.
pub fn read_pairs(path: &Path) -> Result<Pairs, IoError> {
    let (files, fetcher) = (sources(path)?.into(), Fetcher::default());
    Ok(Pairs { files, fetcher, current: None, rows: vec::IntoIter::default() })
}

/// The files of pairs at `path`: itself, or the `*.parquet` files of a directory in the order of their names; paths or URLs.
///
/// # Errors
/// If there is no such file, or none in the directory, or a store refuses.
pub fn pair_files(path: &Path) -> Result<Vec<PathBuf>, IoError> {
    Ok(sources(path)?.into_iter().map(|source| source.path).collect())
}

/// A file of pairs and, if it lies on a store, the object.
struct Source {
    path: PathBuf,
    object: Option<Object>,
}

fn sources(path: &Path) -> Result<Vec<Source>, IoError> {
    match Location::of(path)? {
        Location::Local(path) => {
            Ok(local_files(&path)?.into_iter().map(|path| Source { path, object: None }).collect())
        }
        Location::Remote(url) => remote_files(&url),
    }
}

fn no_files(path: &Path) -> IoError {
    let message =
        "there is no .parquet file directly in it; name one split of a data set, such as data/pairs/test";
    IoError::PairSchema { path: path.to_path_buf(), message: message.to_owned() }
}

fn remote_files(url: &ObjectUrl) -> Result<Vec<Source>, IoError> {
    let directory = url.to_path();
    let mut found = objects(url)?;
    found.retain(|object| {
        let path = object.url.to_path();
        let is_part = path.parent() == Some(&directory) && path.extension().is_some_and(|e| e == "parquet");
        object.url == *url || is_part
    });
    if found.is_empty() {
        return Err(no_files(&directory));
    }
    let source = |object: Object| Source { path: object.url.to_path(), object: Some(object) };
    Ok(found.into_iter().map(source).collect())
}

fn local_files(path: &Path) -> Result<Vec<PathBuf>, IoError> {
    if !path.metadata().map_err(IoError::file("read", path))?.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(IoError::file("list", path))? {
        let file = entry.map_err(IoError::file("list", path))?.path();
        if file.is_file() && file.extension().is_some_and(|extension| extension == "parquet") {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() { Err(no_files(path)) } else { Ok(files) }
}

/// An iterator over the pairs of one or several files; it ends at the first error.
pub struct Pairs {
    files: VecDeque<Source>,
    fetcher: Fetcher,
    current: Option<Current>,
    rows: vec::IntoIter<Pair>,
}

struct Current {
    file: PathBuf,
    batches: ParquetRecordBatchReader,
    row: u64,
}

impl Pairs {
    /// Rows of all files at `path`, by their footers.
    ///
    /// # Errors
    /// If a file is missing or no whole Parquet file.
    pub fn rows_in(path: &Path) -> Result<u64, IoError> {
        let files = pair_files(path)?;
        files.iter().map(|file| Ok(footer(file)?.file_metadata().num_rows().max(0) as u64)).sum()
    }

    /// The next pairs of one file, with their place. Pairs already begun by [`next`](Iterator::next) are not among them.
    ///
    /// # Errors
    /// If a file is damaged or departs from the pair schema; nothing follows then.
    pub fn next_chunk(&mut self) -> Result<Option<PairChunk>, IoError> {
        let chunk = self.try_chunk();
        if chunk.is_err() {
            self.files.clear();
            self.current = None;
        }
        chunk
    }

    fn try_chunk(&mut self) -> Result<Option<PairChunk>, IoError> {
        loop {
            let Some(current) = &mut self.current else {
                let Some(source) = self.files.pop_front() else { return Ok(None) };
                let next = self.files.front().and_then(|next| next.object.as_ref());
                let stored = self.fetcher.open(&source.path, source.object.as_ref(), next)?;
                let path = source.path.clone();
                let open = guarded(|| Current::open(source.path, stored));
                self.current = Some(open.map_err(IoError::parquet(&path))??);
                continue;
            };
            let Some(batch) = guarded(|| current.batches.next()).map_err(IoError::parquet(&current.file))?
            else {
                self.current = None;
                continue;
            };
            let batch = batch.map_err(IoError::arrow(&current.file))?;
            let pairs = from_batch(&batch).map_err(|message| IoError::PairSchema {
                path: current.file.clone(),
                message: format!(
                    "{message} (rows {} to {})",
                    current.row,
                    current.row + batch.num_rows() as u64 - 1
                ),
            })?;
            let first_row = current.row;
            current.row += pairs.len() as u64;
            if !pairs.is_empty() {
                return Ok(Some(PairChunk { file: current.file.clone(), first_row, pairs }));
            }
        }
    }
}

impl Iterator for Pairs {
    type Item = Result<Pair, IoError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(pair) = self.rows.next() {
                return Some(Ok(pair));
            }
            match self.next_chunk() {
                Ok(Some(chunk)) => self.rows = chunk.pairs.into_iter(),
                Ok(None) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Current {
    fn open(file: PathBuf, stored: File) -> Result<Self, IoError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(stored).map_err(IoError::parquet(&file))?;
        check_schema(builder.schema(), &file)?;
        let roots = pair_schema();
        let roots = roots.fields().iter().filter_map(|field| builder.schema().index_of(field.name()).ok());
        let mask = ProjectionMask::roots(builder.parquet_schema(), roots);
        let batches = builder
            .with_projection(mask)
            .with_batch_size(CHUNK_ROWS)
            .build()
            .map_err(IoError::parquet(&file))?;
        Ok(Self { file, batches, row: 0 })
    }
}
