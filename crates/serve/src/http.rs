//! HTTP around the routes: connections, bodies, problem documents, request ids.

pub mod body;
pub mod observe;
pub mod problem;
pub mod server;
pub mod state;
