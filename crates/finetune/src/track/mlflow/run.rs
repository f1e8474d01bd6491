//! A run on the server: begun, or gone on with.

use std::collections::HashMap;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use corruptor::atomic::AtomicFile;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::client::Client;
use crate::track::{MlflowOptions, RunFacts, TrackError};

/// Longest value of a parameter, in characters.
const PARAMETER_CHARS: usize = 6000;
/// Longest digest of a dataset, in characters.
const DIGEST_CHARS: usize = 32;

/// A run as the server knows it.
#[derive(Debug)]
pub(super) struct ServerRun {
    /// Its id.
    pub(super) id: String,
    /// Where its files lie in the server's store; where the server does not take them itself, where they would have to go.
    pub(super) artifacts: Result<String, String>,
    /// The last step of each figure that the server has.
    pub(super) last_steps: HashMap<String, u64>,
    /// Whether it knows what the run reads.
    pub(super) has_inputs: bool,
    /// Something to say about it.
    pub(super) note: Option<String>,
    parameters: Vec<String>,
}

/// What is kept in the run's directory, so that a run that goes on is the same run on the server.
#[derive(Debug, Serialize, Deserialize)]
struct SavedRun {
    server: String,
    identity: String,
    run_id: String,
}

/// The run that `facts` tells of: the one that an earlier call began, or a new one.
///
/// # Errors
/// If the server does not answer or refuses.
pub(super) fn open_run(
    client: &Client,
    options: &MlflowOptions,
    facts: &RunFacts,
) -> Result<ServerRun, TrackError> {
    let path = facts.directory.join("state/mlflow.json");
    let mut note = None;
    if let Some(run_id) = saved_run(&path, client, facts) {
        match go_on(client, &run_id) {
            Ok(Some(run)) => return Ok(run),
            Ok(None) => note = Some(format!("run {run_id} was deleted; another one goes on")),
            Err(TrackError::Refused { status: 404, .. }) => {
                note = Some(format!("{} does not know run {run_id}; another one goes on", client.server()));
            }
            Err(error) => return Err(error),
        }
    }
    let experiment = experiment_id(client, &options.experiment)?;
    let body = json!({
        "experiment_id": experiment,
        "run_name": facts.name,
        "start_time": now_ms(),
        "tags": tags(facts),
    });
    let answer = client.post("runs/create", &body)?;
    let run = ServerRun::of(&answer, note);
    let saved =
        SavedRun { server: client.server().to_owned(), identity: facts.identity(), run_id: run.id.clone() };
    let text = serde_json::to_vec(&saved).unwrap_or_default();
    AtomicFile::write_whole(&path, &text)?;
    Ok(run)
}

/// The id of the same run, begun on the same server.
fn saved_run(path: &Path, client: &Client, facts: &RunFacts) -> Option<String> {
    let text = facts.goes_on.then(|| std::fs::read(path).ok()).flatten()?;
    let saved: SavedRun = serde_json::from_slice(&text).ok()?;
    (saved.server == client.server() && saved.identity == facts.identity()).then_some(saved.run_id)
}

/// The run with that id, running again; none if it was deleted.
fn go_on(client: &Client, run_id: &str) -> Result<Option<ServerRun>, TrackError> {
    let answer = client.get("runs/get", &[("run_id", run_id)])?;
    if answer["run"]["info"]["lifecycle_stage"] == "deleted" {
        return Ok(None);
    }
    client.post("runs/update", &json!({"run_id": run_id, "status": "RUNNING"}))?;
    Ok(Some(ServerRun::of(&answer, None)))
}

fn experiment_id(client: &Client, name: &str) -> Result<String, TrackError> {
    let found = || -> Result<String, TrackError> {
        let answer = client.get("experiments/get-by-name", &[("experiment_name", name)])?;
        Ok(text(&answer["experiment"]["experiment_id"]))
    };
    match found() {
        Err(TrackError::Refused { status: 404, .. }) => {}
        answer => return answer,
    }
    match client.post("experiments/create", &json!({"name": name})) {
        Ok(answer) => Ok(text(&answer["experiment_id"])),
        // Another run was faster.
        Err(TrackError::Refused { status: 400, what, .. }) if what.starts_with("RESOURCE_ALREADY_EXISTS") => {
            found()
        }
        Err(error) => Err(error),
    }
}

fn tags(facts: &RunFacts) -> Value {
    let user = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
    let tag = |key: &str, value: &str| json!({"key": key, "value": value});
    let mut tags = vec![
        tag("mlflow.runName", &facts.name),
        tag("mlflow.source.name", "finetune train"),
        tag("mlflow.source.type", "LOCAL"),
        tag("revertant.version", env!("CARGO_PKG_VERSION")),
        tag("revertant.family", &facts.family),
    ];
    tags.extend(user.map(|user| tag("mlflow.user", &user)));
    Value::Array(tags)
}

impl ServerRun {
    /// The run in an answer of `runs/create` or `runs/get`.
    fn of(answer: &Value, note: Option<String>) -> Self {
        let (info, data) = (&answer["run"]["info"], &answer["run"]["data"]);
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        // A step of 0 may be left out.
        let last_step = |metric: &Value| (text(&metric["key"]), integer(&metric["step"]).unwrap_or(0));
        let place = text(&info["artifact_uri"]);
        let taken = place.strip_prefix("mlflow-artifacts:").map(|path| match path.strip_prefix("//") {
            // With a host before the path.
            Some(rest) => rest.split_once('/').map_or("", |(_, path)| path).to_owned(),
            None => path.trim_start_matches('/').to_owned(),
        });
        Self {
            id: text(&info["run_id"]),
            artifacts: taken.ok_or(place),
            last_steps: list(&data["metrics"]).iter().map(last_step).collect(),
            has_inputs: !list(&answer["run"]["inputs"]["dataset_inputs"]).is_empty(),
            note,
            parameters: list(&data["params"]).iter().map(|param| text(&param["key"])).collect(),
        }
    }

    /// The parameters that the server does not have yet: they cannot be changed.
    pub(super) fn missing_parameters(&self, facts: &RunFacts) -> Vec<Value> {
        let missing = facts.parameters.iter().filter(|(key, _)| !self.parameters.contains(key));
        let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        missing
            .map(|(key, value)| json!({"key": key, "value": cut(&plain(value), PARAMETER_CHARS)}))
            .collect()
    }

    /// What the run reads.
    pub(super) fn datasets(facts: &RunFacts) -> Value {
        let datasets = facts.datasets.iter().map(|dataset| {
            let place = &dataset.place;
            json!({
                "tags": [{"key": "mlflow.data.context", "value": dataset.context}],
                "dataset": {
                    "name": cut(&dataset.name, 500),
                    "digest": cut(&dataset.digest, DIGEST_CHARS),
                    "source_type": "local",
                    "source": json!({"uri": place.display().to_string()}).to_string(),
                    "profile": json!({"num_rows": dataset.pairs, "blake3": dataset.digest}).to_string(),
                },
            })
        });
        datasets.collect()
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A count: some servers write 64-bit integers as strings.
fn integer(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_read_from_the_servers_answer() {
        let answer = json!({"run": {
            "info": {"run_id": "abc", "artifact_uri": "mlflow-artifacts:/1/abc/artifacts"},
            "data": {"metrics": [{"key": "train/loss", "step": 7}, {"key": "b", "step": "9"}], "params": [{"key": "x.y", "value": "1"}]},
        }});
        let run = ServerRun::of(&answer, None);
        assert_eq!(run.artifacts.as_deref(), Ok("1/abc/artifacts"));
        assert_eq!((run.last_steps["train/loss"], run.last_steps["b"]), (7, 9));
        assert!(!run.has_inputs);
        let mut facts = crate::track::dvclive::tests::facts(Path::new("."));
        facts.parameters =
            [("x.y", json!(2)), ("s", json!("ü".repeat(7000)))].map(|(k, v)| (k.to_owned(), v)).into();
        let missing = run.missing_parameters(&facts);
        assert_eq!(missing, [json!({"key": "s", "value": "ü".repeat(6000)})]);
        let elsewhere = json!({"run": {"info": {"run_id": "abc", "artifact_uri": "s3://bucket/1"}}});
        assert_eq!(ServerRun::of(&elsewhere, None).artifacts, Err("s3://bucket/1".to_owned()));
        let host = json!({"run": {"info": {"artifact_uri": "mlflow-artifacts://host:5000/1/abc"}}});
        assert_eq!(ServerRun::of(&host, None).artifacts.as_deref(), Ok("1/abc"));
    }
}
