//! HTTP around the routes: connections, bodies, problem documents, headers of answers, request ids.

pub mod answer_headers;
pub mod auth;
pub mod body;
pub mod cors;
pub mod observe;
pub mod problem;
pub mod server;
pub(crate) mod spool;
pub mod state;
pub mod tls;
