//! One connection a bucket, and a runtime of our own under a blocking interface.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, mpsc};

use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path as Key;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt as _, RetryConfig};
use tokio::runtime::Runtime;

use super::list::Object;
use super::location::{ObjectUrl, Scheme};
use super::refusal::refused;
use crate::io_error::IoError;

pub(super) use super::download::{fetch, read_range};
pub(super) use super::upload::{put, upload};

/// How often a request is tried again, with growing pauses, unless the environment says otherwise.
const RETRIES: usize = 10;
const RETRIES_VARIABLE: &str = "REVERTANT_STORE_RETRIES";

/// A bucket.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) store: Arc<dyn ObjectStore>,
    listing: Arc<dyn PaginatedListStore>,
}

type Clients = HashMap<(Scheme, String), Client>;
static CLIENTS: LazyLock<Mutex<Clients>> = LazyLock::new(Mutex::default);

/// Two threads: they wait for the network nearly all the time.
static RUNTIME: LazyLock<Result<Runtime, String>> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("store")
        .enable_all()
        .build()
        .map_err(|error| error.to_string())
});

/// Runs a request to its end on the runtime, from whatever thread, also from one of another runtime.
pub(super) fn wait<T: Send + 'static>(
    request: impl Future<Output = Result<T, IoError>> + Send + 'static,
) -> Result<T, IoError> {
    let runtime = RUNTIME.as_ref().map_err(|error| IoError::Threads(error.clone()))?;
    let (answer, answered) = mpsc::sync_channel(1);
    runtime.spawn(async move {
        // The other end waits; nobody is left to be told if it does not.
        let _ = answer.send(request.await);
    });
    answered.recv().map_err(|_| IoError::Threads("a request ended without an answer".to_owned()))?
}

/// The bucket of `url`, connected with what the environment says.
pub(super) fn connect(url: &ObjectUrl) -> Result<Client, IoError> {
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let name = (url.scheme, url.bucket.clone());
    if let Some(client) = clients.get(&name) {
        return Ok(client.clone());
    }
    let retry = RetryConfig { max_retries: retries(url)?, ..RetryConfig::default() };
    let bucket = url.bucket.as_str();
    let client = match url.scheme {
        Scheme::S3 => {
            AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(retry).build().map(both)
        }
        Scheme::Gcs => {
            GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket).with_retry(retry).build().map(both)
        }
        Scheme::Azure => {
            MicrosoftAzureBuilder::from_env().with_container_name(bucket).with_retry(retry).build().map(both)
        }
    };
    let client = client.map_err(|error| refused("reach", url, &error))?;
    clients.insert(name, client.clone());
    Ok(client)
}

fn both<S: ObjectStore + PaginatedListStore>(store: S) -> Client {
    let store = Arc::new(store);
    Client { listing: Arc::clone(&store) as Arc<dyn PaginatedListStore>, store }
}

fn retries(url: &ObjectUrl) -> Result<usize, IoError> {
    let Some(text) = std::env::var_os(RETRIES_VARIABLE) else { return Ok(RETRIES) };
    text.to_str().and_then(|text| text.parse().ok()).ok_or_else(|| IoError::Store {
        action: "reach",
        url: url.to_string(),
        message: format!(
            "{RETRIES_VARIABLE} is {}, no whole number; set it to one or unset it",
            text.display()
        ),
    })
}

/// The key as the library wants it.
pub(super) fn key(url: &ObjectUrl) -> Result<Key, IoError> {
    Key::parse(&url.key).map_err(|error| IoError::Url { url: url.to_string(), message: error.to_string() })
}

/// What the store says of an object; `None` if there is none.
pub(super) fn stat(url: &ObjectUrl) -> Result<Option<Object>, IoError> {
    if url.key.is_empty() {
        return Ok(None);
    }
    let (client, key, url) = (connect(url)?, key(url)?, url.clone());
    wait(async move {
        match client.store.head(&key).await {
            Ok(meta) => Ok(Some(object(url, &meta))),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(refused("read", &url, &error)),
        }
    })
}

/// All objects whose keys start with the URL's and a slash.
pub(super) fn list(url: &ObjectUrl) -> Result<Vec<Object>, IoError> {
    let (client, url) = (connect(url)?, url.clone());
    wait(async move {
        let prefix = if url.key.is_empty() { None } else { Some(format!("{}/", url.key)) };
        let mut objects = Vec::new();
        let mut page_token = None;
        loop {
            let options = PaginatedListOptions { page_token, ..PaginatedListOptions::default() };
            let page = client.listing.list_paginated(prefix.as_deref(), options).await;
            let page = page.map_err(|error| refused("list", &url, &error))?;
            objects.extend(page.result.objects.into_iter().map(|meta| {
                let url = ObjectUrl { key: meta.location.to_string(), ..url.clone() };
                object(url, &meta)
            }));
            page_token = page.page_token;
            if page_token.is_none() {
                return Ok(objects);
            }
        }
    })
}

/// Removes an object; one that is not there is no error.
pub(super) fn delete(url: &ObjectUrl) -> Result<(), IoError> {
    let (client, key, url) = (connect(url)?, key(url)?, url.clone());
    wait(async move {
        match client.store.delete(&key).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(refused("remove", &url, &error)),
        }
    })
}

pub(super) fn object(url: ObjectUrl, meta: &ObjectMeta) -> Object {
    Object { url, bytes: meta.size, version: meta.e_tag.as_deref().map(bare) }
}

/// Listings of some stores leave the quotes of an entity tag out, answers do not.
fn bare(e_tag: &str) -> String {
    e_tag.trim_matches('"').to_owned()
}
