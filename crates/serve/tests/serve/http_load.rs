//! More than the model can do at once: queues, timeouts, clients that leave.

use serde_json::json;

use crate::{checkpoint::restored, http_client::Connection, server::Server};

/// A text that keeps the tiny model busy for long enough to look at what happens meanwhile.
fn long() -> String {
    "what was corrupted is restored ".repeat(4000)
}

/// Occupies the engine with a long text; the answer is still to come.
fn occupy(server: &Server) -> Connection {
    let before = server.metric("revertant_queue_wait_seconds_count").unwrap_or(0.0);
    let busy = server.restore_later(&long());
    server.wait_for_metric("revertant_queue_wait_seconds_count", before + 1.0);
    busy
}

#[test]
fn clients_side_by_side_each_get_their_own_answer() {
    let server = Server::start(&["--threads", "2", "--batch-texts", "5"]);
    std::thread::scope(|scope| {
        for client in 0..8 {
            let server = &server;
            scope.spawn(move || {
                for turn in 0..10 {
                    let text = format!("client {client} says {}", "so ".repeat(client * 5 + turn));
                    let answer = server.restore(&json!({"text": text})).json();
                    assert_eq!(answer["text"], restored(&text, restorer::RestoreOptions::default()).text);
                }
            });
        }
    });
    assert_eq!(server.metric("revertant_texts_total"), Some(80.0));
}

#[test]
fn a_full_queue_says_when_to_come_back() {
    let server = Server::start(&["--queue-texts", "2", "--batch-texts", "1"]);
    let mut busy = occupy(&server);
    let mut waiting = server.restore_later("first in the queue");
    server.wait_for_metric("revertant_queue_texts", 1.0);
    let answer = server.restore(&json!({"texts": ["two more", "are too many"]}));
    assert_eq!((answer.status, answer.json()["type"].as_str()), (429, Some("/problems/queue-full")));
    let seconds: u64 = answer.header("retry-after").parse().unwrap();
    assert!((1..=600).contains(&seconds));
    assert_eq!(answer.json()["retry_after_seconds"], seconds);
    let mut last = server.restore_later("this one has room");
    assert_eq!(
        [&mut busy, &mut waiting, &mut last].map(|connection| connection.answer().unwrap().status),
        [200; 3]
    );
}

#[test]
fn an_answer_that_takes_too_long_is_given_up() {
    let server = Server::start(&["--request-seconds", "0.1"]);
    let answer = server.restore(&json!({"text": long()}));
    assert_eq!((answer.status, answer.json()["type"].as_str()), (504, Some("/problems/timeout")));
}

#[test]
fn a_text_whose_client_has_left_is_not_restored() {
    let server = Server::start(&["--batch-texts", "1"]);
    let mut busy = occupy(&server);
    let left = server.restore_later("never mind");
    server.wait_for_metric("revertant_queue_texts", 1.0);
    drop(left);
    let gone = r#"revertant_http_requests_total{route="/v1/restore",method="POST",status="499"}"#;
    server.wait_for_metric(gone, 1.0);
    assert_eq!(busy.answer().unwrap().status, 200);
    server.wait_for_metric("revertant_texts_cancelled_total", 1.0);
    assert_eq!(server.metric("revertant_texts_total"), Some(1.0));
}

#[test]
fn what_is_under_way_is_given_up_when_its_client_leaves_and_holds_up_nobody() {
    let server = Server::start(&[]);
    let busy = server.restore_later(&long().repeat(7));
    server.wait_for_metric("revertant_running_texts", 1.0);
    // A short text does not wait for the long one.
    assert_eq!(server.restore(&json!({"text": "short"})).status, 200);
    assert_eq!(server.metric("revertant_running_texts"), Some(1.0));
    drop(busy);
    server.wait_for_metric("revertant_texts_cancelled_total", 1.0);
    assert_eq!(server.restore(&json!({"text": "another"})).status, 200);
    assert_eq!(server.metric("revertant_running_texts"), Some(0.0));
    assert_eq!(server.metric("revertant_texts_total"), Some(2.0));
}

#[test]
fn connections_over_the_limit_wait() {
    let server = Server::start(&["--max-connections", "1"]);
    let mut first = server.connect();
    first.request("GET", "/healthz", &[], b"").unwrap();
    assert_eq!(first.answer().unwrap().status, 200);
    let mut second = server.connect();
    second.request("GET", "/healthz", &[], b"").unwrap();
    drop(first);
    assert_eq!(second.answer().unwrap().status, 200);
}
