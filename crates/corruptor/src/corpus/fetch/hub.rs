//! Files of a dataset, by the hub's own client: endpoint, token and cache are those of every tool of that hub.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hf_hub::{HFClient, HFClientSync, HFError, split_id};

use super::path::listing_digest;
use super::retry::{Failure, with_retries};
use super::{Fetched, SourceFile, has_changed};
use crate::causes::chain;
use crate::corpus::digest;
use crate::corpus::kinds::HubSource;
use crate::io_error::IoError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest silence of a server.
const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// Downloads the files into the hub's cache, with bounded retries, and checks their digest.
pub(super) fn fetch(source: &HubSource, allow_changed: bool) -> Result<Fetched, IoError> {
    let dataset = format!("{}@{}", source.repo, source.revision);
    let fail = |message: String| IoError::Fetch { package: dataset.clone(), message };
    let (client, endpoint) = client().map_err(&fail)?;
    let mut files = Vec::new();
    let mut commit = None;
    for name in &source.files {
        let path = with_retries(|| download(&client, source, name)).map_err(|message| {
            let hint = "check repo, revision, HF_ENDPOINT and, for what is not public, HF_TOKEN";
            fail(format!("{name} from {endpoint}: {message}; {hint}"))
        })?;
        commit = commit.or_else(|| commit_of(&path, name));
        files.push((name.clone(), SourceFile { label: Path::new(&dataset).join(name), path }));
    }
    let sha256 = match &files[..] {
        [(_, file)] => digest::of_file(&file.path)?,
        several => listing_digest(several)?,
    };
    let changed = has_changed(&dataset, &sha256, &source.sha256, allow_changed)?;
    files.sort();
    Ok(Fetched {
        package: Some(source.repo.clone()),
        version: Some(commit.unwrap_or_else(|| source.revision.clone())),
        sha256: Some(sha256),
        changed,
        files: files.into_iter().map(|(_, file)| file).collect(),
        _directory: None,
    })
}

/// A client that reads `HF_ENDPOINT`, `HF_TOKEN` and `HF_HUB_CACHE`, and gives up on a silent server; and its endpoint.
fn client() -> Result<(HFClientSync, String), String> {
    let http = reqwest::Client::builder()
        .user_agent(concat!("revertant/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .build()
        .map_err(|error| chain(&error))?;
    // One retry of its own; what breaks off half way only `with_retries` tries again.
    let client =
        HFClient::builder().client(http).retry_max_attempts(1).build().map_err(|error| chain(&error))?;
    let endpoint = client.endpoint().to_owned();
    Ok((HFClientSync::from_inner(client).map_err(|error| chain(&error))?, endpoint))
}

fn download(client: &HFClientSync, source: &HubSource, name: &str) -> Result<PathBuf, Failure> {
    let (owner, repo) = split_id(&source.repo);
    let dataset = client.dataset(owner, repo);
    let sent = dataset.download_file().filename(name).revision(source.revision.as_str()).send();
    sent.map_err(|error| {
        let message = chain(&error);
        let transient = match &error {
            HFError::Request { .. } | HFError::RateLimited { .. } => true,
            HFError::Http { context } => context.status.is_server_error(),
            _ => false,
        };
        if transient { Failure::Transient(message) } else { Failure::Permanent(message) }
    })
}

/// The commit in the path of a cached file: `…/snapshots/<commit>/<name>`.
fn commit_of(path: &Path, name: &str) -> Option<String> {
    let snapshot = path.ancestors().nth(name.split('/').count())?;
    let is_snapshot = snapshot.parent()?.file_name()? == "snapshots";
    is_snapshot.then(|| snapshot.file_name()?.to_str().map(str::to_owned)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_stands_in_the_path() {
        let path = Path::new("/c/datasets--a--b/snapshots/0123abc/data/x.jsonl");
        assert_eq!(commit_of(path, "data/x.jsonl").as_deref(), Some("0123abc"));
        assert_eq!(commit_of(path, "x.jsonl"), None);
    }
}
