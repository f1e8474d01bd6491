//! Models of an `MLflow` registry, over its REST API (version 2.0).
//!
//! - [`client`] sends one request.
//! - [`registry`] leads from a name to a version, and from there to where its files are.
//! - [`download`] takes the files of a version from the server, [`cache`] says where they are kept.

mod cache;
mod client;
mod download;
mod registry;

pub(super) use registry::Registered;
