//! Files of a model, by the hub's own client: endpoint, token and cache are those of every tool of that hub.

use std::path::{Path, PathBuf};
use std::time::Duration;

use corruptor::chain;
use hf_hub::repository::RepoTypeModel;
use hf_hub::{HFClient, HFClientSync, HFError, HFRepositorySync};
use serde::Deserialize;

use super::retry::with_retries;
use crate::checkpoint::{CONFIG, PartJson, RESTORER, WEIGHTS};
use crate::gguf::{GENERATION_CONFIG, TOKENIZER, TOKENIZER_CONFIG};
use crate::weights::{WEIGHTS_INDEX, WeightsIndex};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest silence of a server.
const READ_TIMEOUT: Duration = Duration::from_mins(2);

/// What an adapter changes of which model.
const ADAPTER_CONFIG: &str = "adapter_config.json";
/// The weights of an adapter.
const ADAPTER_WEIGHTS: &str = "adapter_model.safetensors";
/// Files that a model may have beside its configuration and its weights.
const OPTIONAL: [&str; 6] = [
    RESTORER,
    TOKENIZER,
    TOKENIZER_CONFIG,
    "special_tokens_map.json",
    "chat_template.jinja",
    GENERATION_CONFIG,
];

/// Downloads what a checkpoint consists of, and says where it lies. Everything is of one commit.
pub(super) fn fetch(owner: &str, name: &str, revision: &str) -> Result<PathBuf, String> {
    let mut repo = Repository::new(owner, name, revision)?;
    let config = repo.file(CONFIG)?;
    if let Some(path) = &config {
        repo.pin(path);
    }
    let adapter = repo.file(ADAPTER_CONFIG)?;
    if let (Some(path), None) = (&adapter, &config) {
        repo.pin(path);
    }
    let Some(directory) = config.as_ref().or(adapter.as_ref()).and_then(|path| path.parent()) else {
        return Err(repo.no_model());
    };
    for name in OPTIONAL {
        repo.file(name)?;
    }
    let parts = parts(directory)?;
    if adapter.is_some() {
        repo.need(ADAPTER_WEIGHTS)?;
    } else if parts.is_empty() && !repo.weights(directory)? {
        return Err(repo.no_weights());
    }
    for part in parts {
        for name in [CONFIG, RESTORER, WEIGHTS] {
            repo.need(&format!("{}/{name}", part.directory))?;
        }
    }
    Ok(directory.to_owned())
}

/// The parts of an ensemble.
fn parts(directory: &Path) -> Result<Vec<PartJson>, String> {
    #[derive(Deserialize)]
    struct Named {
        #[serde(default)]
        parts: Vec<PartJson>,
    }
    let path = directory.join(RESTORER);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let named: Named = serde_json::from_slice(&text).map_err(|error| format!("{RESTORER}: {error}"))?;
    Ok(named.parts)
}

/// A repository at a revision.
struct Repository {
    files: HFRepositorySync<RepoTypeModel>,
    revision: String,
    endpoint: String,
    /// Whether only the cache is asked.
    offline: bool,
}

impl Repository {
    fn new(owner: &str, name: &str, revision: &str) -> Result<Self, String> {
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
        let client = HFClientSync::from_inner(client).map_err(|error| chain(&error))?;
        let is_set =
            |value: String| !matches!(value.to_lowercase().as_str(), "" | "0" | "false" | "no" | "off");
        Ok(Self {
            files: client.model(owner, name),
            revision: revision.to_owned(),
            endpoint,
            offline: std::env::var("HF_HUB_OFFLINE").is_ok_and(is_set),
        })
    }

    /// Takes everything from now on from the commit of a file in the cache: `…/snapshots/<commit>/<name>`.
    fn pin(&mut self, path: &Path) {
        if let Some(commit) = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()) {
            commit.clone_into(&mut self.revision);
        }
    }

    /// A file in the cache, downloaded unless it is there; `None` if the repository does not have it.
    fn file(&self, name: &str) -> Result<Option<PathBuf>, String> {
        let ask = |offline| {
            let request = self.files.download_file().filename(name).revision(self.revision.as_str());
            request.local_files_only(offline).send()
        };
        let is_optional = name == WEIGHTS || !name.ends_with(".safetensors");
        let done = with_retries(may_pass, || match ask(self.offline) {
            // The client falls back to a file in the cache, but not to its note that there is none.
            Err(error) if may_pass(&error) => match ask(true) {
                Err(absent @ HFError::EntryNotFound { .. }) => Err(absent),
                Err(absent) if is_optional && self.was_downloaded() => Err(absent),
                _ => Err(error),
            },
            done => done,
        });
        match done {
            Ok(path) => Ok(Some(path)),
            Err(HFError::EntryNotFound { .. } | HFError::LocalEntryNotFound { .. }) => Ok(None),
            Err(error) => Err(self.explain(name, &error)),
        }
    }

    /// Whether the cache has weights of this revision: what else it lacks then, another tool did not find or want.
    fn was_downloaded(&self) -> bool {
        [WEIGHTS, WEIGHTS_INDEX, ADAPTER_WEIGHTS].into_iter().any(|name| {
            let request = self.files.download_file().filename(name).revision(self.revision.as_str());
            request.local_files_only(true).send().is_ok()
        })
    }

    fn need(&self, name: &str) -> Result<PathBuf, String> {
        self.file(name)?.ok_or_else(|| format!("it lacks {name}, without which it cannot be loaded"))
    }

    /// Downloads the weights, in one file or in shards; says whether there are any.
    fn weights(&self, directory: &Path) -> Result<bool, String> {
        if self.file(WEIGHTS)?.is_some() {
            return Ok(true);
        }
        if self.file(WEIGHTS_INDEX)?.is_none() {
            return Ok(false);
        }
        let path = directory.join(WEIGHTS_INDEX);
        let text = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let index = WeightsIndex::parse(&path, &text).map_err(|error| error.to_string())?;
        index.shards().into_iter().try_for_each(|shard| self.need(shard).map(drop))?;
        Ok(true)
    }

    fn no_model(&self) -> String {
        let Self { revision, endpoint, .. } = self;
        if self.offline {
            return format!(
                "revision {revision} of it is not in the cache; unset HF_HUB_OFFLINE to download it"
            );
        }
        format!(
            "{endpoint} has no such model at revision {revision}, or it has neither {CONFIG} nor {ADAPTER_CONFIG}; \
             check the name and, for what is not public, HF_TOKEN"
        )
    }

    fn no_weights(&self) -> String {
        if self.offline {
            return format!("the cache has no {WEIGHTS} of it; unset HF_HUB_OFFLINE to download it");
        }
        let exists = |name| {
            let request = self.files.file_exists().filename(name).revision(self.revision.as_str());
            request.send().unwrap_or(false)
        };
        let hint = if exists("pytorch_model.bin") || exists("pytorch_model.bin.index.json") {
            "it holds pytorch_model.bin, which is not read: convert it, with transformers' save_pretrained, or take a revision \
             that was converted, such as refs/pr/N"
        } else {
            "for a GGUF file, download it and use `finetune import`"
        };
        format!("it has neither {WEIGHTS} nor {WEIGHTS_INDEX}; {hint}")
    }

    /// What failed, and what to do.
    fn explain(&self, name: &str, error: &HFError) -> String {
        let message = chain(error);
        let hint = match error {
            HFError::AuthRequired { .. } | HFError::Forbidden { .. } => {
                "it is private, gated, or not there: set HF_TOKEN to a token that may read it"
            }
            HFError::Request { .. } => {
                "check the network and HF_ENDPOINT; what was downloaded once needs neither"
            }
            _ => "check the name, the revision, HF_ENDPOINT and, for what is not public, HF_TOKEN",
        };
        format!("{name} from {}: {message}; {hint}", self.endpoint)
    }
}

/// Whether another attempt may succeed: a refused or dropped connection, a busy server.
fn may_pass(error: &HFError) -> bool {
    match error {
        HFError::Request { .. } | HFError::RateLimited { .. } => true,
        HFError::Http { context } => context.status.is_server_error(),
        _ => false,
    }
}
