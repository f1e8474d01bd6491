//! A stand-in for a hub or for web servers, as a process of its own; the restorer's and the server's tests use it too.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::NamedTempFile;

/// The server; it ends when this is dropped.
pub(crate) struct StandIn {
    process: Child,
    port: u16,
    requests: NamedTempFile,
}

impl StandIn {
    /// Starts a Python script that prints its port, and a line on standard error for each request before it answers it.
    pub(crate) fn start(script: &str, arguments: &[&Path]) -> Self {
        let requests = NamedTempFile::new().unwrap();
        let mut process = Command::new("python3")
            .args(["-c", script])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(requests.reopen().unwrap())
            .spawn()
            .expect("python3, which the tests need");
        let mut port = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut port).unwrap();
        Self { process, port: port.trim().parse().unwrap(), requests }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// What has been asked for so far: method, path, token. Whatever has had its answer is there.
    pub(crate) fn requests(&self) -> Vec<String> {
        let said = fs::read_to_string(self.requests.path()).unwrap();
        // A client that hung up leaves a traceback there too.
        said.lines()
            .filter(|line| line.starts_with("GET") || line.starts_with("HEAD"))
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
