//! Sources over HTTP: URLs and hubs, against our own stand-in, which runs as a process of its own.

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use predicates::prelude::*;
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use crate::helpers::{names, sha256_hex};
use crate::stand_in::StandIn;

const PLAIN: &str = "A text behind a URL, which is long enough to break off in the middle of it.";
const LETTERS: &str = "{\"text\": \"The first letter of the dataset.\", \"key\": \"a\"}\n{\"text\": \"The second one.\", \"key\": \"b\"}\n";
const MORE: &str = "Another file of the dataset.";
const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn sha256(text: &str) -> String {
    sha256_hex(text.as_bytes())
}

/// `corruptor corpus` over a recipe of these sources, with a hub's cache of its own.
fn corpus(home: &Path, sources: &str, arguments: &[&str]) -> Command {
    fs::write(home.join("recipe.toml"), sources).unwrap();
    let mut command = Command::cargo_bin("corruptor").unwrap();
    command.current_dir(home).args([
        "corpus",
        "--recipe",
        "recipe.toml",
        "--out",
        "out",
        "--report",
        "report.json",
    ]);
    command.args(arguments).env("HF_HUB_CACHE", home.join("cache")).env("HF_HOME", home.join("hf"));
    for name in
        ["REVERTANT_RECIPE", "HF_TOKEN", "HF_ENDPOINT", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"]
    {
        command.env_remove(name);
    }
    command
}

fn report(home: &TempDir) -> Value {
    serde_json::from_str(&fs::read_to_string(home.path().join("report.json")).unwrap()).unwrap()
}

fn http(name: &str, url: &str, sha256: &str) -> String {
    format!(
        "[[corpus.sources]]\nkind = 'http'\nname = '{name}'\nurl = '{url}'\nsha256 = '{sha256}'\nlicence = 'CC0-1.0'\n"
    )
}

fn web() -> StandIn {
    StandIn::start(include_str!("web_stand_in.py"), &[])
}

fn hub(repo: &str, revision: &str, files: &str, sha256: &str) -> String {
    format!(
        "[[corpus.sources]]\nkind = 'hub'\nname = 'dataset'\nrepo = '{repo}'\nrevision = '{revision}'\nfiles = {files}\n\
         sha256 = '{sha256}'\nlicence = 'CC0-1.0'\n"
    )
}

#[test]
fn a_file_behind_a_url_is_collected_and_reported() {
    let (server, home) = (web(), tempdir().unwrap());
    let url = server.url("/letter.txt?from=here");
    corpus(home.path(), &http("letter", &url, &sha256(PLAIN)), &[])
        .assert()
        .success()
        .stdout(predicate::str::contains("letter: 1 documents, 1 paragraphs"));
    let report = report(&home);
    let source = &report["sources"][0];
    assert_eq!(source["kind"], "http");
    assert_eq!(source["package"], url);
    assert_eq!(source["sha256"], sha256(PLAIN));
    assert_eq!(
        (source["files"].as_u64(), source["text_bytes"].as_u64()),
        (Some(1), Some(PLAIN.len() as u64))
    );
    assert_eq!(source["changed"], false);
}

#[test]
fn transfers_that_fail_at_first_are_tried_again() {
    let (server, home) = (web(), tempdir().unwrap());
    // Both texts are the same document, so each has a run of its own.
    for path in ["/flaky.txt", "/dropped.txt"] {
        corpus(home.path(), &http("x", &server.url(path), &sha256(PLAIN)), &["--force"]).assert().success();
    }
    let requests = server.requests();
    let count = |path: &str| requests.iter().filter(|request| request.contains(path)).count();
    assert_eq!((count("/flaky.txt"), count("/dropped.txt")), (3, 2), "{requests:?}");
}

#[test]
fn a_url_that_never_works_is_an_error_that_names_it() {
    let (server, home) = (web(), tempdir().unwrap());
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (url, part) in [
        (server.url("/broken.txt"), "broke off"),
        (server.url("/missing.txt"), "404"),
        (format!("http://{closed}/x.txt"), "tried 4 times"),
    ] {
        let assert = corpus(home.path(), &http("x", &url, &sha256(PLAIN)), &[]).assert().code(1);
        let named =
            predicate::str::contains(format!("cannot fetch {url}")).and(predicate::str::contains(part));
        assert.stderr(named);
        assert!(!home.path().join("out").exists());
    }
    let broken = server.requests().iter().filter(|request| request.contains("/broken.txt")).count();
    let missing = server.requests().iter().filter(|request| request.contains("/missing.txt")).count();
    assert_eq!((broken, missing), (4, 1), "what is not there is not asked for again");
}

#[test]
fn what_changed_is_an_error_or_recorded() {
    let (server, home) = (web(), tempdir().unwrap());
    let sources = http("letter", &server.url("/letter.txt"), &"0".repeat(64));
    corpus(home.path(), &sources, &[])
        .assert()
        .code(1)
        .stderr(predicate::str::contains("the recipe pins 000"));
    // A wrong digest is nothing that a machine lacks.
    corpus(home.path(), &sources, &["--allow-missing"]).assert().code(1);
    let changed = corpus(home.path(), &sources, &["--allow-changed"]).assert().success();
    changed.stdout(predicate::str::contains("CHANGED").and(predicate::str::contains(sha256(PLAIN))));
    let source = &report(&home)["sources"][0];
    assert_eq!((&source["changed"], &source["sha256"]), (&Value::Bool(true), &Value::String(sha256(PLAIN))));
}

#[test]
fn what_is_missing_is_left_out_only_when_asked() {
    let (server, home) = (web(), tempdir().unwrap());
    let gone = server.url("/gone.txt");
    let sources =
        http("gone", &gone, &sha256(PLAIN)) + &http("letter", &server.url("/letter.txt"), &sha256(PLAIN));
    corpus(home.path(), &sources, &[]).assert().code(1).stderr(predicate::str::contains(&gone));
    let assert = corpus(home.path(), &sources, &["--allow-missing"]).assert().success();
    assert.stdout(predicate::str::contains("gone: LEFT OUT").and(predicate::str::contains(&gone)));
    assert_eq!(names(&home.path().join("out")), ["letter.parquet"]);
    assert_eq!(report(&home)["missing"][0]["name"], "gone");
    // A corpus of nothing is none.
    let alone = http("gone", &gone, &sha256(PLAIN));
    corpus(home.path(), &alone, &["--allow-missing", "--force"]).assert().code(1);
}

#[test]
fn a_dataset_is_taken_from_the_hub_and_its_cache() {
    let (server, home) = (web(), tempdir().unwrap());
    let sources =
        hub("wt/letters", "main", "['data/letters.jsonl']", &sha256(LETTERS)) + "id_column = 'key'\n";
    let run = |revision: &str, force: &[&str]| {
        let sources = sources.replace("'main'", &format!("'{revision}'"));
        corpus(home.path(), &sources, force).env("HF_ENDPOINT", server.url("")).assert().success();
    };
    run("main", &[]);
    let source = report(&home)["sources"][0].clone();
    assert_eq!(
        (&source["version"], &source["package"]),
        (&COMMIT.into(), &"wt/letters".into()),
        "the commit behind a branch"
    );
    assert_eq!((source["documents"].as_u64(), &source["sha256"]), (Some(2), &Value::String(sha256(LETTERS))));
    let gets = |requests: Vec<String>| requests.iter().filter(|request| request.starts_with("GET")).count();
    assert_eq!(gets(server.requests()), 1);
    run("main", &["--force"]);
    let before = server.requests().len();
    run(COMMIT, &["--force"]);
    assert_eq!(gets(server.requests()), 1, "the second time from the cache");
    assert_eq!(server.requests().len(), before, "a commit does not change, so nothing is asked");
}

#[test]
fn several_files_of_a_dataset_have_one_digest() {
    let (server, home) = (web(), tempdir().unwrap());
    let listing = format!("{}  data/letters.jsonl\n{}  data/more.txt\n", sha256(LETTERS), sha256(MORE));
    let sources = hub("wt/letters", COMMIT, "['data/more.txt', 'data/letters.jsonl']", &sha256(&listing));
    corpus(home.path(), &sources, &[]).env("HF_ENDPOINT", server.url("")).assert().success();
    assert_eq!(report(&home)["sources"][0]["documents"], 3);
}

#[test]
fn a_private_dataset_needs_a_token_that_no_message_shows() {
    let (server, home) = (web(), tempdir().unwrap());
    let sources = hub("wt/private", "main", "['data/more.txt']", &sha256(MORE));
    let refused = corpus(home.path(), &sources, &[]).env("HF_ENDPOINT", server.url("")).assert().code(1);
    refused.stderr(predicate::str::contains("wt/private@main").and(predicate::str::contains("HF_TOKEN")));
    let wrong = corpus(home.path(), &sources, &[])
        .env("HF_ENDPOINT", server.url(""))
        .env("HF_TOKEN", "hf_secret")
        .assert();
    wrong.code(1).stderr(predicate::str::contains("hf_secret").not());
    corpus(home.path(), &sources, &[])
        .env("HF_ENDPOINT", server.url(""))
        .env("HF_TOKEN", "hf_example")
        .assert()
        .success();
}

#[test]
fn a_hub_that_lacks_or_drops_is_an_error_that_names_dataset_and_file() {
    let (server, home) = (web(), tempdir().unwrap());
    for (repo, revision, file) in [
        ("wt/letters", "main", "data/none.txt"),
        ("wt/letters", "v2", "data/more.txt"),
        ("wt/dropping", "main", "data/more.txt"),
    ] {
        let sources = hub(repo, revision, &format!("['{file}']"), &sha256(MORE));
        let assert = corpus(home.path(), &sources, &[]).env("HF_ENDPOINT", server.url("")).assert().code(1);
        let dataset = format!("cannot fetch {repo}@{revision}");
        assert.stderr(predicate::str::contains(dataset).and(predicate::str::contains(file)));
    }
    let dropped =
        server.requests().iter().filter(|r| r.starts_with("GET") && r.contains("wt/dropping")).count();
    assert_eq!(dropped, 4, "bounded retries");
    let sources = hub("wt/letters", "main", "['data/more.txt']", &"0".repeat(64));
    let assert = corpus(home.path(), &sources, &[]).env("HF_ENDPOINT", server.url("")).assert().code(1);
    assert.stderr(predicate::str::contains("the recipe pins 000"));
}
