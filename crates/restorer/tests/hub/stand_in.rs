//! Our stand-in for a hub, as a process of its own.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

/// The server; it ends when this is dropped.
pub(crate) struct StandIn {
    process: Child,
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    pub(crate) fn start(root: &Path) -> Self {
        let mut process = Command::new("python3")
            .args(["-c", include_str!("../fixtures/hub_stand_in.py")])
            .arg(root)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3, which the tests need");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let port = lines.next().unwrap().unwrap().parse().unwrap();
        let requests = Arc::default();
        let seen: Arc<Mutex<Vec<String>>> = Arc::clone(&requests);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                seen.lock().unwrap().push(line);
            }
        });
        Self { process, port, requests }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What has been asked for so far: method, path, token.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
