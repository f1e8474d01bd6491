//! Models by hub id, against our own stand-in. Each look-up is a process of its own, as the hub's client reads the environment.
#![cfg(feature = "hub")]

#[path = "../../../corruptor/tests/io/stand_in.rs"]
mod stand_in;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use candle_core::{Device, Tensor};
use restorer::source::ModelName;
use restorer::weights;
use tempfile::{TempDir, tempdir};

use crate::stand_in::StandIn;

/// Names the model that the process for one look-up resolves.
const MODEL: &str = "REVERTANT_TEST_MODEL";

/// Not a test by itself: what the other tests start.
#[test]
#[ignore = "started by the other tests"]
#[expect(clippy::print_stdout, reason = "the test that started it reads it")]
fn look_up() {
    let name = ModelName::parse(&std::env::var(MODEL).unwrap());
    match name.resolve() {
        Ok(path) => println!("found {}", path.display()),
        Err(error) => println!("failed {error}"),
    }
}

/// A hub with models in folders, and a cache.
struct Hub {
    server: Option<StandIn>,
    endpoint: String,
    models: TempDir,
    cache: TempDir,
}

impl Hub {
    fn start() -> Self {
        let models = tempdir().unwrap();
        let server = StandIn::start(include_str!("../fixtures/hub_stand_in.py"), &[models.path()]);
        Self { endpoint: server.url(""), server: Some(server), models, cache: tempdir().unwrap() }
    }

    /// A folder of the hub: `owner/name/revision`.
    fn folder(&self, name: &str) -> PathBuf {
        let path = self.models.path().join(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn requests(&self) -> Vec<String> {
        self.server.as_ref().map(StandIn::requests).unwrap_or_default()
    }

    /// Takes the hub off the network.
    fn stop(&mut self) {
        self.server = None;
    }

    fn look_up(&self, model: &str, env: &[(&str, &str)]) -> Result<PathBuf, String> {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "look_up", "--ignored", "--nocapture"]);
        for name in [
            "HF_TOKEN",
            "HF_TOKEN_PATH",
            "HF_HUB_OFFLINE",
            "HF_HUB_CACHE",
            "HTTP_PROXY",
            "http_proxy",
            "ALL_PROXY",
            "all_proxy",
        ] {
            command.env_remove(name);
        }
        command.env(MODEL, model).env("HF_ENDPOINT", &self.endpoint).env("HF_HOME", self.cache.path());
        let output = command.envs(env.iter().copied()).output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let line = |start: &str| {
            said.lines().find_map(|line| line.split_once(start)).map(|(_, rest)| rest.to_owned())
        };
        match line("found ") {
            Some(path) => Ok(path.into()),
            None => Err(line("failed ").unwrap_or(said)),
        }
    }

    fn fails(&self, model: &str, env: &[(&str, &str)], whats: &[&str]) {
        let message = self.look_up(model, env).unwrap_err();
        for what in whats {
            assert!(message.contains(what), "{message} does not contain {what}");
        }
    }
}

fn config(folder: &Path, text: &str) {
    fs::write(folder.join("config.json"), text).unwrap();
}

fn tensor(path: PathBuf, name: &str) {
    Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap().save_safetensors(name, path).unwrap();
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(directory).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_model_is_downloaded_once_and_needs_no_hub_then() {
    let mut hub = Hub::start();
    let folder = hub.folder("wt/one/main");
    config(&folder, "{\"model_type\": \"llama\"}");
    tensor(folder.join("model.safetensors"), "a");
    for (name, text) in [
        ("tokenizer.json", "{}"),
        ("generation_config.json", "{\"eos_token_id\": 2}"),
        ("training_args.bin", "not asked for"),
    ] {
        fs::write(folder.join(name), text).unwrap();
    }
    let found = hub.look_up("wt/one", &[]).unwrap();
    assert!(found.starts_with(hub.cache.path()));
    assert_eq!(
        names(&found),
        ["config.json", "generation_config.json", "model.safetensors", "tokenizer.json"]
    );
    assert!(weights::open(&found).unwrap().get("a", &Device::Cpu).is_some());
    let gets = |hub: &Hub| hub.requests().iter().filter(|line| line.starts_with("GET")).count();
    assert_eq!(gets(&hub), 4);
    assert_eq!(hub.look_up("wt/one", &[]), Ok(found.clone()));
    assert_eq!(gets(&hub), 4, "the second time from the cache");

    let asked = hub.requests().len();
    assert_eq!(hub.look_up("wt/one", &[("HF_HUB_OFFLINE", "1")]), Ok(found.clone()));
    assert_eq!(hub.requests().len(), asked, "offline, nothing is asked");
    hub.fails("wt/two", &[("HF_HUB_OFFLINE", "1")], &["wt/two", "HF_HUB_OFFLINE"]);
    hub.stop();
    assert_eq!(hub.look_up("wt/one", &[]), Ok(found));
    hub.fails("wt/two", &[], &["wt/two", "HF_ENDPOINT", &hub.endpoint]);
}

#[test]
fn a_revision_is_its_own() {
    let hub = Hub::start();
    for revision in ["main", "v2"] {
        let folder = hub.folder(&format!("wt/two/{revision}"));
        config(&folder, &format!("{{\"revision\": \"{revision}\"}}"));
        tensor(folder.join("model.safetensors"), revision);
    }
    let commit = hub.look_up("wt/two@v2", &[]).unwrap();
    let commit = commit.file_name().unwrap().to_str().unwrap();
    for (name, revision) in
        [("wt/two", "main"), ("wt/two@v2", "v2"), (&*format!("hf://wt/two@{commit}"), "v2")]
    {
        let found = hub.look_up(name, &[]).unwrap();
        assert!(fs::read_to_string(found.join("config.json")).unwrap().contains(revision));
        assert!(weights::open(&found).unwrap().get(revision, &Device::Cpu).is_some(), "{name}");
    }
    hub.fails("wt/two@v3", &[], &["wt/two@v3", "v3", "check the name"]);
    hub.fails("wt/none", &[], &["wt/none", "no such model", "HF_TOKEN"]);
}

#[test]
fn a_private_model_needs_a_token_that_no_message_shows() {
    let hub = Hub::start();
    let folder = hub.folder("private/one/main");
    config(&folder, "{}");
    tensor(folder.join("model.safetensors"), "a");
    hub.fails("private/one", &[], &["private/one", "set HF_TOKEN"]);
    let message = hub.look_up("private/one", &[("HF_TOKEN", "hf_secret")]).unwrap_err();
    assert!(message.contains("HF_TOKEN") && !message.contains("hf_secret"), "{message}");
    assert!(hub.look_up("private/one", &[("HF_TOKEN", "hf_example")]).is_ok());
}

#[test]
fn shards_adapters_and_parts_come_along() {
    let hub = Hub::start();
    let folder = hub.folder("wt/shards/main");
    config(&folder, "{}");
    let index = r#"{"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}"#;
    fs::write(folder.join("model.safetensors.index.json"), index).unwrap();
    tensor(folder.join("model-1-of-2.safetensors"), "a");
    hub.fails("wt/shards", &[], &["lacks model-2-of-2.safetensors"]);
    tensor(folder.join("model-2-of-2.safetensors"), "b");
    let found = hub.look_up("wt/shards", &[]).unwrap();
    assert_eq!(weights::open(&found).unwrap().names().collect::<Vec<_>>(), ["a", "b"]);

    let folder = hub.folder("wt/adapter/main");
    fs::write(folder.join("adapter_config.json"), "{}").unwrap();
    hub.fails("wt/adapter", &[], &["lacks adapter_model.safetensors"]);
    tensor(folder.join("adapter_model.safetensors"), "a");
    let found = hub.look_up("wt/adapter", &[]).unwrap();
    assert_eq!(names(&found), ["adapter_config.json", "adapter_model.safetensors"]);

    let folder = hub.folder("wt/both/main");
    config(&folder, "{\"model_type\": \"revertant-ensemble\"}");
    fs::write(folder.join("restorer.json"), "{\"parts\": [{\"directory\": \"prior\"}]}").unwrap();
    let part = hub.folder("wt/both/main/prior");
    config(&part, "{}");
    fs::write(part.join("restorer.json"), "{}").unwrap();
    tensor(part.join("model.safetensors"), "a");
    let found = hub.look_up("wt/both", &[]).unwrap();
    assert_eq!(names(&found.join("prior")), ["config.json", "model.safetensors", "restorer.json"]);
}

#[test]
fn weights_of_another_format_are_named() {
    let hub = Hub::start();
    let folder = hub.folder("wt/pickled/main");
    config(&folder, "{}");
    hub.fails("wt/pickled", &[], &["neither model.safetensors nor", "finetune import"]);
    fs::write(folder.join("pytorch_model.bin"), "").unwrap();
    hub.fails("wt/pickled", &[], &["pytorch_model.bin", "convert it"]);
}
