//! The footer of a Parquet file, wherever it lies: of an object, only its end is fetched.

use std::fs::File;
use std::path::Path;

use parquet::errors::ParquetError;
use parquet::file::metadata::{FooterTail, ParquetMetaData, ParquetMetaDataReader};

use super::list::{Object, object};
use super::location::Location;
use super::remote;
use crate::guarded::guarded;
use crate::io_error::IoError;

/// The last bytes of a Parquet file: the length of its metadata and a mark.
const TAIL_BYTES: u64 = 8;

/// Reads the metadata of a Parquet file.
///
/// # Errors
/// If there is no such file, or it is no whole Parquet file.
pub(crate) fn footer(path: &Path) -> Result<ParquetMetaData, IoError> {
    match Location::of(path)? {
        Location::Local(local) => {
            let file = File::open(&local).map_err(IoError::file("read", path))?;
            let read = || ParquetMetaDataReader::new().parse_and_finish(&file);
            guarded(read).flatten().map_err(IoError::parquet(path))
        }
        Location::Remote(url) => remote_footer(path, &object(&url)?),
    }
}

fn remote_footer(path: &Path, object: &Object) -> Result<ParquetMetaData, IoError> {
    let no_parquet = || IoError::parquet(path)(ParquetError::EOF("the object is too short".to_owned()));
    let tail_start = object.bytes.checked_sub(TAIL_BYTES).ok_or_else(no_parquet)?;
    let tail = remote::read_range(object, tail_start..object.bytes)?;
    let tail = FooterTail::try_from(tail.as_slice()).map_err(IoError::parquet(path))?;
    let start = tail_start.checked_sub(tail.metadata_length() as u64).ok_or_else(no_parquet)?;
    let metadata = remote::read_range(object, start..tail_start)?;
    guarded(|| ParquetMetaDataReader::decode_metadata(&metadata)).flatten().map_err(IoError::parquet(path))
}
