//! The program from outside: a real server on a free port, real files, a real (tiny) checkpoint.

mod batch_files;
mod batch_refusals;
mod checkpoint;
mod command_line;
mod http_client;
mod http_errors;
mod http_load;
mod http_restore;
mod parquet_files;
mod server;
mod shutdown;
#[cfg(feature = "hub")]
#[path = "../../../corruptor/tests/io/stand_in.rs"]
mod stand_in;
