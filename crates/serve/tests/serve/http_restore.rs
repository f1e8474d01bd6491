//! `POST /v1/restore`, health and metrics.

use corruptor::Edit;
use restorer::RestoreOptions;
use serde_json::{Value, json};

use crate::{
    checkpoint::{assert_same_edits, model, restored},
    server::Server,
};

const TEXTS: [&str; 6] = [
    "the stat of the union is strong",
    "",
    "Ünïcödé 👩‍👩‍👧 offf the Uniion — 世界",
    "\"quotes\"\nand\ttabs\\",
    "a",
    "we choose to go to teh moon in this decade and do the other things, not because they are easy",
];

/// Compares an answer with the library's, confidences to rounding.
fn assert_restored(answer: &Value, text: &str, options: RestoreOptions) {
    let expected = restored(text, options);
    assert_eq!(answer["text"], expected.text.as_str(), "{text}");
    let edits: Vec<Edit> = serde_json::from_value(answer["edits"].clone()).unwrap();
    assert_eq!(corruptor::apply_edits(text, &edits).unwrap(), expected.text, "{text}");
    assert_same_edits(&edits, &expected.edits);
    let confidence = answer["confidence"].as_f64().unwrap();
    assert!((confidence - f64::from(expected.confidence)).abs() < 1e-5, "{text}");
}

#[test]
fn texts_are_restored_as_the_library_does_alone_and_together() {
    let server = Server::start(&[]);
    for text in TEXTS {
        let answer = server.restore(&json!({"text": text}));
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"));
        assert_restored(&answer.json(), text, RestoreOptions::default());
    }
    let answer = server.restore(&json!({"texts": TEXTS})).json();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), TEXTS.len());
    for (result, text) in results.iter().zip(TEXTS) {
        assert_restored(result, text, RestoreOptions::default());
    }
    assert_eq!(server.restore(&json!({"texts": []})).json(), json!({"results": []}));
}

#[test]
fn options_reach_the_model() {
    let server = Server::start(&[]);
    for options in [
        RestoreOptions { min_confidence: Some(0.0), max_rounds: Some(1), ..RestoreOptions::default() },
        RestoreOptions { min_confidence: Some(1.0), max_rounds: None, ..RestoreOptions::default() },
    ] {
        let (min_confidence, max_rounds) = (options.min_confidence, options.max_rounds);
        let body = json!({"text": TEXTS[5], "min_confidence": min_confidence, "max_rounds": max_rounds});
        assert_restored(&server.restore(&body).json(), TEXTS[5], options);
    }
}

#[test]
fn offsets_count_what_the_client_counts() {
    let server = Server::start(&[]);
    let text = format!("👩‍🔬 é: {}", TEXTS[5]);
    let ask = |offsets: &str, protected: usize| {
        let span = [0, protected];
        let body = json!({"text": text, "offsets": offsets, "protect": [span], "min_confidence": 0});
        let answer = server.restore(&body).json();
        let edits: Vec<Edit> = serde_json::from_value(answer["edits"].clone()).unwrap();
        (answer["text"].as_str().unwrap().to_owned(), edits)
    };
    let prefix = "👩‍🔬 é:";
    let (restored, bytes) = ask("byte", prefix.len());
    assert!(!bytes.is_empty() && restored.starts_with(prefix));
    for name in ["codepoint", "utf16"] {
        let length = |text: &str| match name {
            "utf16" => text.encode_utf16().count(),
            _ => text.chars().count(),
        };
        let (same, edits) = ask(name, length(prefix));
        assert_eq!((&same, edits.len()), (&restored, bytes.len()), "{name}");
        for (edit, bytes) in edits.iter().zip(&bytes) {
            let expected = (length(&text[..bytes.start]), length(&text[..bytes.end]));
            assert_eq!((edit.start, edit.end), expected, "{name}");
        }
    }
    let answer = server.restore(&json!({"text": text, "offsets": "utf16", "protect": [[0, 1]]}));
    assert_eq!(answer.status, 422);
    assert_eq!(answer.json()["pointer"], "/protect/0");
    let answer = server.restore(&json!({"text": text, "offsets": "words"}));
    assert_eq!((answer.status, &answer.json()["pointer"]), (422, &json!("/offsets")));
}

#[test]
fn a_text_beyond_the_window_and_the_batch_is_restored_whole() {
    let server = Server::start(&["--batch-tokens", "256"]);
    let long = TEXTS[5].repeat(40);
    assert_restored(&server.restore(&json!({"text": long})).json(), &long, RestoreOptions::default());
    let texts = [TEXTS[0], &long, TEXTS[2], &long];
    let answer = server.restore(&json!({"texts": texts})).json();
    for (result, text) in answer["results"].as_array().unwrap().iter().zip(texts) {
        assert_restored(result, text, RestoreOptions::default());
    }
}

#[test]
fn answers_name_the_request_and_the_model() {
    let server = Server::start(&[]);
    let answer = server.request("GET", "/healthz", &[("x-request-id", "order-66")], b"");
    assert_eq!(answer.header("x-request-id"), "order-66");
    let (one, other) = (server.get("/healthz"), server.get("/nowhere"));
    assert!(!one.header("x-request-id").is_empty());
    assert_ne!(one.header("x-request-id"), other.header("x-request-id"));
    let restored = server.restore(&json!({"text": TEXTS[5], "min_confidence": 0}));
    assert_eq!(restored.header("revertant-model"), "default");
    assert_eq!(restored.header("revertant-model-digest"), model().info().digest);
    assert!(restored.header("revertant-passes").parse::<usize>().unwrap() > 0);
    let times = restored.header("server-timing").split(", ").map(|one| one.split_once(";dur=").unwrap());
    let times: Vec<(&str, f64)> = times.map(|(name, time)| (name, time.parse().unwrap())).collect();
    assert_eq!(times.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["queue", "inference", "total"]);
    assert!(times[0].1 + times[1].1 <= times[2].1 + 1.0, "{times:?}");
}

#[test]
fn a_connection_carries_many_requests() {
    let server = Server::start(&[]);
    let mut connection = server.connect();
    for text in TEXTS {
        let body = json!({"text": text}).to_string();
        let headers = [("content-type", "application/json; charset=utf-8")];
        connection.request("POST", "/v1/restore", &headers, body.as_bytes()).unwrap();
        assert_restored(&connection.answer().unwrap().json(), text, RestoreOptions::default());
    }
}

#[test]
fn health_and_metrics_tell_what_happened() {
    let server = Server::start(&[]);
    assert_eq!(server.get("/healthz").json(), json!({"status": "ok"}));
    assert_eq!(server.get("/readyz").json(), json!({"status": "ready"}));
    server.restore(&json!({"texts": ["one", "three"]}));
    server.restore(&json!({"text": 1}));
    server.get("/nowhere");
    let answer = server.get("/metrics");
    assert!(answer.header("content-type").starts_with("text/plain; version=0.0.4"));
    for line in [
        r#"revertant_http_requests_total{route="/v1/restore",method="POST",status="200"} 1"#,
        r#"revertant_http_requests_total{route="/v1/restore",method="POST",status="422"} 1"#,
        r#"revertant_http_requests_total{route="unmatched",method="GET",status="404"} 1"#,
        r#"revertant_errors_total{kind="invalid-request"} 1"#,
        r#"revertant_http_request_duration_seconds_bucket{route="/v1/restore",le="+Inf"} 2"#,
        r#"revertant_running_texts{model="default"} 0"#,
        r#"revertant_cache_bytes{model="default"} 0"#,
        r#"revertant_step_windows_bucket{model="default",le="4"}"#,
        r#"revertant_queue_wait_seconds_count{model="default"} 2"#,
        r#"revertant_queue_texts{model="default"} 0"#,
        r#"revertant_texts_total{model="default"} 2"#,
        r#"revertant_text_bytes_total{model="default"} 8"#,
        r#"revertant_text_tokens_total{model="default"} 10"#,
        r#"revertant_texts_cancelled_total{model="default"} 0"#,
    ] {
        assert!(answer.text().contains(line), "{line} is not in\n{}", answer.text());
    }
    assert!(answer.text().contains(r#"revertant_edits_total{model="default"} "#));
    assert!(answer.text().contains(&model().info().digest));
    assert!(
        answer
            .text()
            .lines()
            .all(|line| line.is_empty() || line.starts_with('#') || line.starts_with("revertant_"))
    );
}
