//! Inputs and outputs on object stores: `s3://bucket/key`, `gs://bucket/key`, `az://container/key`, beside plain paths.
//!
//! Every path that this crate takes may be such a URL. Objects are fetched into an unnamed temporary file just before they
//! are read, one ahead at most, so the readers are those of local files and memory stays bounded; outputs are written locally
//! and uploaded file by file, so an object appears whole or not at all.
//!
//! Credentials and endpoints come from the environment: `AWS_…`, `GOOGLE_…` and `AZURE_…`, as the crate `object_store` reads
//! them. Without the feature `object-store` a URL is an error that says how to build with it.

#[cfg(not(feature = "object-store"))]
mod absent;
#[cfg(feature = "object-store")]
mod client;
#[cfg(feature = "object-store")]
mod download;
mod fetch;
mod footer;
mod list;
mod location;
mod output;
#[cfg(feature = "object-store")]
mod refusal;
#[cfg(feature = "object-store")]
mod upload;

#[cfg(not(feature = "object-store"))]
use absent as remote;
#[cfg(feature = "object-store")]
use client as remote;

pub use fetch::{Fetcher, open};
pub use list::{Object, is_directory, object, objects};
pub use location::{Location, ObjectUrl, Scheme};
pub use output::{Output, upload_file, write_whole};

pub(crate) use footer::footer;
pub(crate) use output::{check_replaceable, upload_directory};
