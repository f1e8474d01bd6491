//! From a registered model's name to a version of it, and from there to its files.

use std::path::PathBuf;

use reqwest::Url;
use serde_json::Value;

use super::cache;
use super::client::Client;
use super::download::download;
use crate::source::Wanted;
use crate::source::error::SourceError;

/// A version of a registered model, as the registry describes it.
#[derive(Clone, Debug)]
pub(in crate::source) struct Registered {
    server: String,
    name: String,
    version: String,
    /// When it was registered, and from where: a model that was deleted and made anew begins with version 1 again.
    origin: String,
}

/// Where the files of a version are.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// In the server's own store of artifacts.
    Server(String),
    /// In a directory.
    Directory(PathBuf),
    /// Those of a logged model.
    LoggedModel(String),
}

impl Registered {
    /// Asks the registry for a version, by its number or by an alias.
    pub(in crate::source) fn find(name: &str, wanted: &Wanted) -> Result<Self, SourceError> {
        let is_number = |version: &str| !version.is_empty() && version.bytes().all(|b| b.is_ascii_digit());
        let (endpoint, pick) = match wanted {
            Wanted::Alias(alias) if !alias.is_empty() => ("registered-models/alias", ("alias", alias)),
            Wanted::Version(version) if is_number(version) => ("model-versions/get", ("version", version)),
            _ => return Err(SourceError::Form),
        };
        if name.is_empty() {
            return Err(SourceError::Form);
        }
        let client = Client::from_env()?;
        let answer = match client.ask(endpoint, &[("name", name), (pick.0, pick.1)]) {
            Err(error @ SourceError::Refused { status: 400 | 404, .. }) => {
                return Err(unknown(&client, name, wanted, error));
            }
            answer => answer?,
        };
        let found = &answer["model_version"];
        let version = text(&found["version"]);
        if !is_number(&version) {
            return Err(SourceError::Refused {
                server: client.server().to_owned(),
                request: endpoint.to_owned(),
                status: 200,
                what: "without a version".to_owned(),
            });
        }
        let status = text(&found["status"]);
        if !["", "READY"].contains(&&*status) {
            return Err(SourceError::NotReady { server: client.server().to_owned(), version, status });
        }
        Ok(Self {
            server: client.server().to_owned(),
            name: name.to_owned(),
            version,
            origin: format!("{} {}", found["creation_timestamp"], text(&found["source"])),
        })
    }

    /// Its number.
    pub(in crate::source) fn version(&self) -> &str {
        &self.version
    }

    pub(in crate::source) fn identity(&self) -> String {
        let Self { server, name, version, origin } = self;
        let origin = blake3::hash(origin.as_bytes()).to_hex();
        format!("registry {server} {name} {version} {}", &origin[..32])
    }

    /// The directory with its files; what the server keeps is downloaded unless it was before.
    pub(in crate::source) fn fetch(&self) -> Result<PathBuf, SourceError> {
        let kept = cache::directory(&self.server, &self.name, &self.version, &self.identity())?;
        if kept.is_dir() {
            return Ok(kept);
        }
        let client = Client::from_env()?;
        let query = [("name", &*self.name), ("version", &*self.version)];
        let answer = client.ask("model-versions/get-download-uri", &query)?;
        let mut place = Place::parse(&text(&answer["artifact_uri"]))?;
        if let Place::LoggedModel(id) = &place {
            let answer = client.ask(&format!("logged-models/{id}"), &[])?;
            place = Place::parse(&text(&answer["model"]["info"]["artifact_uri"]))?;
        }
        match place {
            Place::Server(folder) => download(&client, &folder, &kept).map(|()| kept),
            Place::Directory(path) if path.is_dir() => Ok(path),
            Place::Directory(path) => Err(SourceError::NotHere { path }),
            Place::LoggedModel(id) => Err(SourceError::Elsewhere { uri: format!("models:/{id}") }),
        }
    }
}

impl Place {
    fn parse(uri: &str) -> Result<Self, SourceError> {
        let elsewhere = || SourceError::Elsewhere { uri: uri.to_owned() };
        if uri.starts_with('/') {
            return Ok(Self::Directory(uri.into()));
        }
        let url = Url::parse(uri).map_err(|_| elsewhere())?;
        let path = url.path().trim_matches('/');
        match url.scheme() {
            // Where it names a host, that is how the server is known elsewhere.
            "mlflow-artifacts" if is_below(path) => Ok(Self::Server(path.to_owned())),
            "models" if path.starts_with("m-") && !path.contains('/') => {
                Ok(Self::LoggedModel(path.to_owned()))
            }
            "file" => url.to_file_path().map(Self::Directory).map_err(|()| elsewhere()),
            _ => Err(elsewhere()),
        }
    }
}

/// Whether a path leads down only.
fn is_below(path: &str) -> bool {
    !path.is_empty() && path.split('/').all(|part| !["", ".", ".."].contains(&part))
}

/// What is missing, told with what there is.
fn unknown(client: &Client, name: &str, wanted: &Wanted, error: SourceError) -> SourceError {
    let server = client.server().to_owned();
    let model = match client.ask("registered-models/get", &[("name", name)]) {
        Ok(answer) => answer["registered_model"].clone(),
        Err(SourceError::Refused { status: 404, .. }) => {
            return SourceError::UnknownModel { server, name: name.to_owned() };
        }
        Err(_) => return error,
    };
    let list = |key: &str| model[key].as_array().cloned().unwrap_or_default();
    let aliases: Vec<_> = list("aliases")
        .iter()
        .map(|alias| format!("{} = {}", text(&alias["alias"]), text(&alias["version"])))
        .collect();
    let latest =
        list("latest_versions").iter().filter_map(|found| text(&found["version"]).parse().ok()).max();
    let aliases = if aliases.is_empty() { "none".to_owned() } else { aliases.join(", ") };
    let latest = latest.map_or_else(|| "none".to_owned(), |number: u64| number.to_string());
    let wanted = match wanted {
        Wanted::Alias(alias) => format!("alias `{alias}`"),
        Wanted::Version(version) => format!("version {version}"),
    };
    SourceError::Unknown {
        place: format!("{server}: `{name}`"),
        wanted,
        known: format!("aliases: {aliases}; newest version: {latest}"),
    }
}

fn text(value: &Value) -> String {
    // Some servers write versions as numbers.
    value.as_str().map_or_else(|| value.as_u64().map(|n| n.to_string()).unwrap_or_default(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_the_servers_a_directory_or_named_in_the_error() {
        let server = |path: &str| Place::Server(path.to_owned());
        let parse = |uri| Place::parse(uri).unwrap();
        assert_eq!(parse("mlflow-artifacts:/1/abc/artifacts/model"), server("1/abc/artifacts/model"));
        assert_eq!(parse("mlflow-artifacts://host:5000/1/abc"), server("1/abc"));
        assert_eq!(parse("file:///srv/a%20b"), Place::Directory("/srv/a b".into()));
        assert_eq!(parse("/srv/a b"), Place::Directory("/srv/a b".into()));
        assert_eq!(parse("models:/m-0123"), Place::LoggedModel("m-0123".to_owned()));
        for uri in
            ["s3://bucket/1", "", "mlruns/1", "models:/a/1", "runs:/1/model", "mlflow-artifacts:/", "dbfs:/x"]
        {
            let message = Place::parse(uri).unwrap_err().to_string();
            assert!(message.contains(uri) && message.contains("--artifacts-destination"), "{message}");
        }
        assert!(!is_below("1/../../etc") && !is_below("1//2") && is_below("1/abc"));
    }
}
