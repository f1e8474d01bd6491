//! Fetching an object, range by range, each of which is tried again on its own.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::ops::Range;

use object_store::path::Path as Key;
use object_store::{GetOptions, GetRange, ObjectStoreExt as _};
use tokio::task::JoinHandle;

use super::client::{Client, connect, key, object, wait};
use super::list::Object;
use super::refusal::refused;
use crate::io_error::IoError;

/// Bytes of a request; small enough for a slow line within the store's time limit of a request.
const RANGE_BYTES: u64 = 8 << 20;
/// Requests under way, and so ranges in memory.
const RANGES_AHEAD: usize = 4;

/// Fetches the object into an unnamed temporary file and goes back to its start.
pub(super) fn fetch(object: &Object) -> Result<File, IoError> {
    let (client, key) = (connect(&object.url)?, key(&object.url)?);
    let mut file = tempfile::tempfile().map_err(copy_error(object))?;
    let wanted = object.clone();
    wait(async move {
        let mut starts = (0..wanted.bytes).step_by(RANGE_BYTES as usize);
        let mut under_way: VecDeque<JoinHandle<Result<Vec<u8>, IoError>>> = VecDeque::new();
        loop {
            while under_way.len() < RANGES_AHEAD
                && let Some(start) = starts.next()
            {
                let range = start..wanted.bytes.min(start + RANGE_BYTES);
                under_way.push_back(tokio::spawn(get(client.clone(), key.clone(), wanted.clone(), range)));
            }
            let Some(first) = under_way.pop_front() else { break };
            let written = match first.await {
                Ok(Ok(bytes)) => file.write_all(&bytes).map_err(copy_error(&wanted)),
                Ok(Err(error)) => Err(error),
                Err(error) => Err(IoError::Threads(error.to_string())),
            };
            if written.is_err() {
                under_way.iter().for_each(JoinHandle::abort);
            }
            written?;
        }
        file.rewind().map_err(copy_error(&wanted))?;
        Ok(file)
    })
}

/// Reads a part of an object into memory.
pub(super) fn read_range(object: &Object, range: Range<u64>) -> Result<Vec<u8>, IoError> {
    let (client, key) = (connect(&object.url)?, key(&object.url)?);
    wait(get(client, key, object.clone(), range))
}

async fn get(client: Client, key: Key, wanted: Object, range: Range<u64>) -> Result<Vec<u8>, IoError> {
    match try_get(&client, &key, &wanted, range).await {
        // What looks like a broken answer may be another object: a shorter one has no such range.
        Err(error @ IoError::Store { .. }) => match client.store.head(&key).await {
            Ok(meta) => Err(unchanged(&wanted, &object(wanted.url.clone(), &meta)).err().unwrap_or(error)),
            Err(_) => Err(error),
        },
        done => done,
    }
}

async fn try_get(client: &Client, key: &Key, wanted: &Object, range: Range<u64>) -> Result<Vec<u8>, IoError> {
    let refused = |error| refused("read", &wanted.url, &error);
    let length = range.end - range.start;
    let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
    let answer = client.store.get_opts(key, options).await.map_err(refused)?;
    unchanged(wanted, &object(wanted.url.clone(), &answer.meta))?;
    let bytes = answer.bytes().await.map_err(refused)?;
    if bytes.len() as u64 == length {
        return Ok(bytes.to_vec());
    }
    let message = format!("the store sent {} of {length} bytes; run again", bytes.len());
    Err(IoError::Store { action: "read", url: wanted.url.to_string(), message })
}

/// Whether what the store has now is what was listed.
fn unchanged(wanted: &Object, now: &Object) -> Result<(), IoError> {
    let differs = matches!((&wanted.version, &now.version), (Some(listed), Some(now)) if listed != now);
    if differs || wanted.bytes != now.bytes {
        return Err(IoError::Changed { url: wanted.url.to_string() });
    }
    Ok(())
}

fn copy_error(object: &Object) -> impl FnOnce(io::Error) -> IoError {
    let url = object.url.to_string();
    move |source| IoError::Copy { url, directory: std::env::temp_dir(), source }
}
