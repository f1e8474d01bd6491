//! Uploading a file: small ones at once, large ones in parts that become an object only together.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use object_store::path::Path as Key;
use object_store::{ObjectStoreExt as _, WriteMultipart};

use super::client::{Client, connect, key, wait};
use super::location::ObjectUrl;
use super::refusal::refused;
use crate::io_error::IoError;

/// Up to this size a file is uploaded by one request; larger ones in parts of at least this size.
const PART_BYTES: u64 = 8 << 20;
/// No store takes more parts than this (S3: 10,000).
const MAX_PARTS: u64 = 9_000;
/// Parts under way, and so in memory.
const PARTS_AHEAD: usize = 4;

/// Uploads a file; an object of that name is replaced.
pub(super) fn upload(local: &Path, url: &ObjectUrl) -> Result<(), IoError> {
    let mut file = File::open(local).map_err(IoError::file("read", local))?;
    let bytes = file.metadata().map_err(IoError::file("read", local))?.len();
    if bytes <= PART_BYTES {
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(IoError::file("read", local))?;
        return put(content, url);
    }
    let (client, key, url, local) = (connect(url)?, key(url)?, url.clone(), local.to_path_buf());
    wait(async move { upload_parts(&client, &key, &url, file, bytes, &local).await })
}

/// Uploads what is in memory; an object of that name is replaced.
pub(super) fn put(content: Vec<u8>, url: &ObjectUrl) -> Result<(), IoError> {
    let (client, key, url) = (connect(url)?, key(url)?, url.clone());
    wait(async move {
        let done = client.store.put(&key, content.into()).await;
        done.map(drop).map_err(|error| refused("write", &url, &error))
    })
}

async fn upload_parts(
    client: &Client,
    key: &Key,
    url: &ObjectUrl,
    mut file: File,
    bytes: u64,
    local: &Path,
) -> Result<(), IoError> {
    let refused = |error| refused("write", url, &error);
    let part_bytes = PART_BYTES.max(bytes.div_ceil(MAX_PARTS)) as usize;
    let upload = client.store.put_multipart(key).await.map_err(refused)?;
    let mut writer = WriteMultipart::new_with_chunk_size(upload, part_bytes);
    let mut part = vec![0; part_bytes];
    loop {
        let ready = writer.wait_for_capacity(PARTS_AHEAD).await.map_err(refused);
        let read = ready.and_then(|()| file.read(&mut part).map_err(IoError::file("read", local)));
        match read {
            Ok(0) => return writer.finish().await.map(drop).map_err(refused),
            Ok(read) => writer.write(&part[..read]),
            Err(error) => {
                // What stays behind of the parts is the store's to clear; the first error is the one to tell.
                let _ = writer.abort().await;
                return Err(error);
            }
        }
    }
}
