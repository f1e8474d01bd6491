//! The model registry: a name, a version of it for each run, and an alias that moves.

use serde_json::{Value, json};

use super::client::Client;
use crate::track::{Registration, TrackError};

/// Registers the model in `source` as a version of its name, and moves the alias to it; returns the version. A run has one version, also
/// where it ends twice.
///
/// # Errors
/// If the server does not answer or refuses.
pub(super) fn register(
    client: &Client,
    registration: &Registration,
    source: &str,
    run_id: &str,
) -> Result<String, TrackError> {
    let name = &registration.name;
    match client.post("registered-models/create", &json!({"name": name})) {
        Err(TrackError::Refused { status: 400, what, .. }) if what.starts_with("RESOURCE_ALREADY_EXISTS") => {
        }
        answer => _ = answer?,
    }
    let version = if let Some(version) = existing(client, name, run_id)? {
        version
    } else {
        let body = json!({"name": name, "source": source, "run_id": run_id});
        version_of(&client.post("model-versions/create", &body)?["model_version"]).unwrap_or_default()
    };
    if let Some(alias) = &registration.alias {
        client.post("registered-models/alias", &json!({"name": name, "alias": alias, "version": version}))?;
    }
    Ok(version)
}

/// The version that this run has made before.
fn existing(client: &Client, name: &str, run_id: &str) -> Result<Option<String>, TrackError> {
    let filter = format!("run_id = '{run_id}'");
    let answer = client.get("model-versions/search", &[("filter", &filter)])?;
    let versions = answer["model_versions"].as_array().cloned().unwrap_or_default();
    Ok(versions.iter().find(|version| version["name"] == name).and_then(version_of))
}

fn version_of(version: &Value) -> Option<String> {
    version["version"].as_str().map(str::to_owned)
}
