//! The real server in a process of its own.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    checkpoint,
    http_client::{Answer, Connection},
};

/// The program.
pub(crate) const SERVE: &str = env!("CARGO_BIN_EXE_serve");

/// Nothing that these tests wait for may take longer.
const PATIENCE: Duration = Duration::from_mins(2);

/// A running server; it is killed where the test ends first.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Option<JoinHandle<String>>,
}

impl Server {
    /// Starts `serve http` with the tiny checkpoint on a free port, and waits until it is ready.
    pub(crate) fn start(args: &[&str]) -> Self {
        let mut child = Command::new(SERVE)
            .args(["http", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .env("REVERTANT_THREADS", "1")
            .arg("--model")
            .arg(checkpoint::directory())
            .args(args)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (found, address) = mpsc::channel();
        let log = std::thread::spawn(move || {
            let (mut log, mut address) = (String::new(), None);
            for line in lines.map_while(Result::ok) {
                address = listening(&line).or(address);
                if let Some(address) = address.filter(|_| is_ready(&line)) {
                    let _not_waited_for = found.send(address);
                }
                log.push_str(&line);
                log.push('\n');
            }
            log
        });
        let address = address.recv_timeout(PATIENCE).expect("the server did not start");
        Self { child, address, log: Some(log) }
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address).unwrap()
    }

    pub(crate) fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut connection = self.connect();
        connection.request(method, path, headers, body).unwrap();
        connection.answer().unwrap()
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"")
    }

    /// Sends `body` to `/v1/restore`.
    pub(crate) fn restore(&self, body: &Value) -> Answer {
        self.request(
            "POST",
            "/v1/restore",
            &[("content-type", "application/json")],
            body.to_string().as_bytes(),
        )
    }

    /// Starts the restoration of `text` without waiting for it.
    pub(crate) fn restore_later(&self, text: &str) -> Connection {
        let mut connection = self.connect();
        let body = json!({"text": text}).to_string();
        connection
            .request("POST", "/v1/restore", &[("content-type", "application/json")], body.as_bytes())
            .unwrap();
        connection
    }

    /// Value of the metric that `/metrics` shows as `name` (with its labels).
    pub(crate) fn metric(&self, name: &str) -> Option<f64> {
        let answer = self.get("/metrics");
        let value = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let rest = rest.strip_prefix("{model=\"default\"}").unwrap_or(rest);
            Some(rest.strip_prefix(' ')?.parse().unwrap())
        };
        answer.text().lines().find_map(value)
    }

    /// Waits until the metric `name` is at least `value`.
    pub(crate) fn wait_for_metric(&self, name: &str, value: f64) {
        let start = Instant::now();
        while self.metric(name).is_none_or(|found| found < value) {
            assert!(start.elapsed() < PATIENCE, "{name} did not come to {value}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Sends the signal `name` (as `kill` knows it).
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for the process to end; its status and its log.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "the server did not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        (status, self.log.take().unwrap().join().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

/// It listens before its model is loaded.
fn is_ready(line: &str) -> bool {
    serde_json::from_str::<Value>(line).is_ok_and(|line| line["message"] == "ready")
}

fn listening(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == "listening").then(|| line["address"].as_str()?.parse().ok())?
}
