//! What the HTTP API takes and gives, as types: JSON is read into them and written from them, and `openapi.json` describes them.

pub mod answer;
pub(crate) mod decode;
pub(crate) mod file_options;
pub(crate) mod jobs;
pub mod openapi;
mod protect;
pub mod request;
pub mod values;
