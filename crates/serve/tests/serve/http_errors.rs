//! Every error that a client can cause is a problem document.

use std::time::Duration;

use serde_json::json;

use crate::{http_client::Answer, server::Server};

const JSON: (&str, &str) = ("content-type", "application/json");

/// Checks that `answer` is the problem document of `kind`, with `words` in its detail.
fn assert_problem(answer: &Answer, status: u16, kind: &str, words: &str) {
    assert_eq!(answer.status, status, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert!(!answer.header("x-request-id").is_empty());
    let problem = answer.json();
    assert_eq!(problem["type"], format!("/problems/{kind}"));
    assert_eq!(problem["status"], status);
    assert!(!problem["title"].as_str().unwrap().is_empty());
    assert!(!problem["hint"].as_str().unwrap().is_empty());
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(words), "`{words}` is not in `{detail}`");
}

#[test]
fn bodies_that_are_not_json_are_refused() {
    let server = Server::start(&[]);
    for (body, words) in [
        (&b""[..], "EOF"),
        (b"{\"text\": \"a\"", "line 1 column 12"),
        (b"{\"text\": \"\xff\"}", "byte 10"),
        (b"text", "not valid JSON"),
        (b"{\"text\": \"\\ud800\"}", "not valid JSON"),
    ] {
        assert_problem(&server.request("POST", "/v1/restore", &[JSON], body), 400, "malformed-body", words);
    }
    for (content_type, words) in [("text/plain", "text/plain"), ("application/jsonp", "application/jsonp")] {
        let answer = server.request("POST", "/v1/restore", &[("content-type", content_type)], b"{}");
        assert_problem(&answer, 415, "unsupported-media-type", words);
    }
    let answer = server.request("POST", "/v1/restore", &[], b"{}");
    assert_problem(&answer, 415, "unsupported-media-type", "no Content-Type");
}

#[test]
fn json_that_is_not_a_request_names_the_place() {
    let server = Server::start(&[]);
    for (body, pointer, words) in [
        (json!([]), "", "expected an object"),
        (json!({}), "", "neither `text` nor `texts`"),
        (json!({"text": "a", "texts": ["a"]}), "", "both"),
        (json!({"texts": ["a", 1]}), "/texts/1", "integer `1`"),
        (json!({"text": "a", "min_confidance": 0.5}), "/min_confidance", "did you mean `min_confidence`?"),
        (json!({"text": "a", "temperature": 1}), "/temperature", "the keys are `text`, `texts`"),
        (json!({"text": "a", "min_confidence": 7}), "/min_confidence", "from 0 to 1"),
        (json!({"text": "a", "max_rounds": -1}), "/max_rounds", "from 1 to 16"),
    ] {
        let answer = server.restore(&body);
        assert_problem(&answer, 422, "invalid-request", words);
        assert_eq!(answer.json()["pointer"], pointer);
    }
}

#[test]
fn unknown_paths_and_wrong_methods_are_problems_too() {
    let server = Server::start(&[]);
    assert_problem(&server.get("/v1/restored"), 404, "not-found", "/v1/restored");
    assert_problem(&server.request("PUT", "/", &[], b""), 405, "method-not-allowed", "PUT");
    let answer = server.get("/v1/restore");
    assert_problem(&answer, 405, "method-not-allowed", "GET");
    assert_eq!(answer.header("allow"), "POST");
    assert_eq!(server.request("DELETE", "/metrics", &[], b"").header("allow"), "GET,HEAD");
    let mut head = server.connect();
    head.request("HEAD", "/healthz", &[], b"").unwrap();
    assert_eq!(head.answer_head().unwrap().status, 200);
}

#[test]
fn a_body_over_the_limit_is_refused_and_the_server_goes_on() {
    let server = Server::start(&["--max-body-bytes", "100"]);
    let body = |bytes: usize| json!({"text": "a".repeat(bytes - 11)});
    assert_eq!(server.restore(&body(100)).status, 200);
    let answer = server.restore(&body(101));
    assert_problem(&answer, 413, "too-large", "the body has 101 bytes; the limit is 100");
    assert_problem(&server.restore(&body(1_000_000)), 413, "too-large", "1000000 bytes");
    let mut chunked = server.connect();
    chunked
        .send(b"POST /v1/restore HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
        .unwrap();
    let chunk = [b"40\r\n", &b" ".repeat(64)[..], b"\r\n"].concat();
    chunked.send(&[&chunk[..], &chunk, &chunk, b"0\r\n\r\n"].concat()).unwrap();
    assert_problem(&chunked.answer().unwrap(), 413, "too-large", "the limit is 100 bytes");
    assert_eq!(server.restore(&body(100)).status, 200);
}

#[test]
fn a_request_that_no_queue_could_hold_is_too_large() {
    let server = Server::start(&["--queue-texts", "2", "--queue-tokens", "100"]);
    let answer = server.restore(&json!({"texts": ["a", "b", "c"]}));
    assert_problem(&answer, 413, "too-large", "at most 2 texts of 100 tokens");
    assert_problem(&server.restore(&json!({"text": "a".repeat(100)})), 413, "too-large", "101 tokens");
    assert_eq!(server.restore(&json!({"texts": ["a", "b"]})).status, 200);
}

#[test]
fn a_body_that_does_not_come_is_not_waited_for() {
    let server = Server::start(&["--body-seconds", "0.2"]);
    let mut connection = server.connect();
    connection
        .send(b"POST /v1/restore HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 20\r\n\r\n{\"text\"")
        .unwrap();
    assert_problem(&connection.answer().unwrap(), 408, "body-timeout", "200ms");
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let server = Server::start(&["--idle-seconds", "0.2"]);
    let mut connection = server.connect();
    connection.send(b"POST /v1/rest").unwrap();
    std::thread::sleep(Duration::from_millis(600));
    // Closed, or answered with 408 and closed; never kept.
    assert!(connection.answer().map_or(true, |answer| answer.status == 408));
    assert_eq!(server.get("/healthz").status, 200);
}

#[test]
fn every_kind_of_problem_is_described() {
    let server = Server::start(&[]);
    for kind in serve::error::TABLE {
        let answer = server.get(&format!("/problems/{}", kind.name));
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["status"], kind.status);
        assert_eq!(answer.json()["title"], kind.title);
    }
    assert_problem(&server.get("/problems/none"), 404, "not-found", "`queue-full`");
}
