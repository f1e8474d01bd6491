//! Start and end of the server.

use std::process::Command;

use serde_json::json;

use crate::{
    checkpoint,
    http_client::Connection,
    server::{SERVE, Server},
};

fn long() -> String {
    "the end is near but not here ".repeat(4000)
}

#[test]
fn sigterm_makes_it_unready_then_drains_then_ends_with_0() {
    let server = Server::start(&["--unready-seconds", "1", "--drain-seconds", "100", "--batch-texts", "1"]);
    let mut busy = server.restore_later(&long());
    server.wait_for_metric("revertant_queue_wait_seconds_count", 1.0);
    let mut waiting = server.restore_later("still in the queue");
    server.wait_for_metric("revertant_queue_texts", 1.0);
    server.signal("TERM");
    loop {
        let answer = server.get("/readyz");
        if answer.status == 503 {
            assert_eq!(answer.json()["type"], "/problems/unavailable");
            assert!(!answer.header("retry-after").is_empty());
            break;
        }
    }
    assert_eq!(server.get("/healthz").status, 200);
    // Load balancers may not have noticed yet: what they send is still answered.
    let mut late = server.restore_later("just in time");
    for connection in [&mut busy, &mut waiting, &mut late] {
        assert_eq!(connection.answer().unwrap().status, 200);
    }
    let address = server.address;
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("SIGTERM") && log.contains("stopped"), "{log}");
    assert!(Connection::open(address).is_err());
}

#[test]
fn an_idle_connection_does_not_hold_up_the_end() {
    let server = Server::start(&[]);
    let mut idle = server.connect();
    idle.request("GET", "/healthz", &[], b"").unwrap();
    assert_eq!(idle.answer().unwrap().status, 200);
    let _fresh = server.connect();
    server.signal("INT");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("SIGINT"), "{log}");
}

#[test]
fn what_is_not_done_in_time_is_cut_off_and_said() {
    let server = Server::start(&["--drain-seconds", "0.1"]);
    let _busy = server.restore_later(&long());
    server.wait_for_metric("revertant_queue_wait_seconds_count", 1.0);
    server.signal("TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(1), "{log}");
    assert!(log.contains("error: 1 connections were cut off"), "{log}");
    assert!(log.contains("--drain-seconds"), "{log}");
}

#[test]
fn a_port_in_use_is_named_with_a_way_out() {
    let server = Server::start(&[]);
    let address = server.address.to_string();
    let output = Command::new(SERVE)
        .args(["http", "--listen", &address, "--model"])
        .arg(checkpoint::directory())
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains(&address) && message.contains("in use"), "{message}");
    assert!(message.contains("hint:") && message.contains("--listen"), "{message}");
    assert_eq!(server.restore(&json!({"text": "undisturbed"})).status, 200);
}
