//! Checkpoint directories: the Hugging Face layout plus `restorer.json`.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use corruptor::UNICODE_VERSION;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bytes::SharedBytes;
use crate::calibration::Calibration;
use crate::channel::Decoding;
use crate::error::RestoreError;
use crate::profile::Profile;
use crate::train::CheckpointMeta;
use crate::windows::WindowSize;

/// Configuration of the network.
pub const CONFIG: &str = "config.json";
/// The weights.
pub const WEIGHTS: &str = "model.safetensors";
/// What restoration needs beyond the network.
pub const RESTORER: &str = "restorer.json";

/// Files that go with the weights of an autoregressive model and are kept as they are.
pub(crate) const COMPANIONS: [&str; 8] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "generation_config.json",
    "vocab.json",
    "merges.txt",
];

/// `task` of priors.
pub(crate) const CHANNEL_TASK: &str = "channel";

/// The version of `restorer.json` that this crate writes.
pub const RESTORER_VERSION: u32 = 1;

/// The contents of `restorer.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestorerJson {
    /// [`RESTORER_VERSION`].
    pub version: u32,
    /// What the model does with a text: `"edit"` for families that propose edits over the bytes, `"rewrite"` for those that
    /// write it again, `"channel"` for priors.
    pub task: String,
    /// Bytes that the model sees at once.
    pub window_bytes: usize,
    /// Bytes on each side of a window that only inform.
    pub overlap_bytes: usize,
    /// Normalization before the model sees a text; `"none"`.
    pub normalization: String,
    /// Most rounds over a text.
    pub max_rounds: usize,
    /// Edits less probable than this are not applied.
    pub min_confidence: f32,
    /// Of a model that rewrites or proposes edits: from its own probability of an edit to the one that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Calibration>,
    /// From the model's own probability that all of a text, or of a core of a longer one, is right to the one that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_calibration: Option<Calibration>,
    /// How the texts were distributed that its confidences were measured on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Profile>,
    /// Major, minor and update version of Unicode whose grapheme rules were in force.
    pub unicode: (u64, u64, u64),
    /// The resolved recipe, as TOML.
    pub recipe: String,
    /// Of an autoregressive model: what it reads, with `{text}` in the place of the corrupted text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// Of an adapter: digest of the model that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// What an ensemble consists of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartJson>,
    /// How the channel is decoded, where the model is a prior.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decoding: Option<Decoding>,
    /// Figures of the training run.
    pub metrics: serde_json::Value,
}

impl RestorerJson {
    /// What is said of a checkpoint that decodes its recipe's channel.
    pub(crate) fn of_channel(meta: &CheckpointMeta, parts: Vec<PartJson>) -> Self {
        Self {
            version: RESTORER_VERSION,
            task: CHANNEL_TASK.to_owned(),
            window_bytes: WindowSize::CHANNEL.window_bytes,
            overlap_bytes: WindowSize::CHANNEL.overlap_bytes,
            normalization: "none".to_owned(),
            max_rounds: 1,
            min_confidence: meta.min_confidence,
            calibration: None,
            text_calibration: meta.text_calibration,
            profile: meta.profile.clone(),
            unicode: UNICODE_VERSION,
            recipe: meta.recipe.clone(),
            prompt: None,
            base: None,
            parts,
            decoding: meta.decoding,
            metrics: meta.metrics.clone(),
        }
    }
}

/// Gives the edits of the checkpoint in `dir` another calibration. Its own threshold is told anew, so that the same edits reach it; all
/// else is as it was.
///
/// # Errors
/// If its `restorer.json` cannot be read or written.
pub fn write_calibration(dir: &Path, calibration: Calibration) -> Result<(), RestoreError> {
    change_restorer(dir, |json| {
        let before = match &mut json.decoding {
            Some(decoding) => std::mem::replace(&mut decoding.calibration, calibration),
            None => json.calibration.replace(calibration).unwrap_or_default(),
        };
        let threshold = f64::from(json.min_confidence);
        if threshold > 0.0 && threshold < 1.0 {
            // To four decimals, rounded down: none that passed fails.
            json.min_confidence =
                ((calibration.probability(before.said(threshold)) * 1e4).floor() / 1e4) as f32;
        }
    })
}

/// Gives the checkpoint in `dir` another calibration of whole texts.
///
/// # Errors
/// If its `restorer.json` cannot be read or written.
pub fn write_text_calibration(dir: &Path, calibration: Calibration) -> Result<(), RestoreError> {
    change_restorer(dir, |json| json.text_calibration = Some(calibration))
}

/// Tells the checkpoint in `dir` how the texts are distributed that it was measured on.
///
/// # Errors
/// If its `restorer.json` cannot be read or written.
pub fn write_profile(dir: &Path, profile: Profile) -> Result<(), RestoreError> {
    change_restorer(dir, |json| json.profile = Some(profile))
}

fn change_restorer(dir: &Path, change: impl FnOnce(&mut RestorerJson)) -> Result<(), RestoreError> {
    let path = dir.join(RESTORER);
    let bytes = std::fs::read(&path).map_err(|source| RestoreError::Io { path: path.clone(), source })?;
    let mut json: RestorerJson = serde_json::from_slice(&bytes)
        .map_err(|e| RestoreError::Format { path: path.clone(), message: e.to_string() })?;
    change(&mut json);
    write_json(&path, &json)
}

/// A part of an ensemble: a checkpoint of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartJson {
    /// Name of its subdirectory.
    pub directory: String,
    /// Of a prior: its weight in the mixture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
}

/// The files of a checkpoint, by name; from a directory or built into a program.
#[derive(Clone, Debug)]
pub struct CheckpointFiles {
    origin: PathBuf,
    files: BTreeMap<String, SharedBytes>,
}

impl CheckpointFiles {
    /// Opens a directory; the weights are mapped, not read.
    ///
    /// # Errors
    /// If the directory or one of the files that every checkpoint has cannot be read.
    pub fn read(dir: &Path) -> Result<Self, RestoreError> {
        let mut new = Self { origin: dir.to_owned(), files: BTreeMap::new() };
        new.insert(CONFIG)?;
        new.insert(RESTORER)?;
        let directories = new.directories()?;
        if directories.is_empty() {
            new.insert(WEIGHTS)?;
            new.insert_companions("")?;
        }
        for directory in directories {
            for name in [CONFIG, RESTORER, WEIGHTS] {
                new.insert(&format!("{directory}/{name}"))?;
            }
            new.insert_companions(&format!("{directory}/"))?;
        }
        Ok(new)
    }

    /// Reads what an autoregressive model has beside its weights.
    fn insert_companions(&mut self, prefix: &str) -> Result<(), RestoreError> {
        for name in COMPANIONS.map(|name| format!("{prefix}{name}")) {
            if self.path(&name).exists() {
                self.insert(&name)?;
            }
        }
        Ok(())
    }

    /// Reads a file of the directory, or maps it.
    fn insert(&mut self, name: &str) -> Result<(), RestoreError> {
        let path = self.path(name);
        let read = if name.ends_with(WEIGHTS) {
            SharedBytes::map(&path)
        } else {
            std::fs::read(&path).map(SharedBytes::from)
        };
        let bytes = read.map_err(|source| RestoreError::Io { path, source })?;
        self.files.insert(name.to_owned(), bytes);
        Ok(())
    }

    /// The subdirectories of the parts, if it is an ensemble.
    fn directories(&self) -> Result<Vec<String>, RestoreError> {
        #[derive(Deserialize)]
        struct Named {
            #[serde(default)]
            parts: Vec<PartJson>,
        }
        let parts = self.json::<Named>(RESTORER)?.parts;
        let is_plain = |name: &str| {
            let mut components = Path::new(name).components();
            matches!(components.next(), Some(std::path::Component::Normal(_))) && components.next().is_none()
        };
        if let Some(part) = parts.iter().find(|part| !is_plain(&part.directory)) {
            let message =
                format!("parts: \"{}\" is not the name of a subdirectory", part.directory.escape_debug());
            return Err(RestoreError::Format { path: self.path(RESTORER), message });
        }
        Ok(parts.into_iter().map(|part| part.directory).collect())
    }

    /// The checkpoint in a subdirectory.
    #[must_use]
    pub fn part(&self, directory: &str) -> Self {
        let own = |(name, bytes): (&String, &SharedBytes)| {
            Some((name.strip_prefix(directory)?.strip_prefix('/')?.to_owned(), bytes.clone()))
        };
        Self { origin: self.origin.join(directory), files: self.files.iter().filter_map(own).collect() }
    }

    /// Takes files that are part of the program.
    pub fn embedded(files: &[(&str, &'static [u8])]) -> Self {
        let files =
            files.iter().map(|(name, bytes)| ((*name).to_owned(), SharedBytes::from(*bytes))).collect();
        Self { origin: PathBuf::from("(built-in)"), files }
    }

    /// All files, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_ref()))
    }

    /// The path of a file, for messages.
    pub fn path(&self, name: &str) -> PathBuf {
        self.origin.join(name)
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// If the checkpoint lacks it.
    pub fn bytes(&self, name: &str) -> Result<&[u8], RestoreError> {
        self.shared(name).map(AsRef::as_ref)
    }

    /// The bytes of a file, to be kept.
    ///
    /// # Errors
    /// If the checkpoint lacks it.
    pub fn shared(&self, name: &str) -> Result<&SharedBytes, RestoreError> {
        self.files.get(name).ok_or_else(|| RestoreError::Format {
            path: self.path(name),
            message: "the checkpoint lacks this file".into(),
        })
    }

    /// `model_type` of the configuration.
    ///
    /// # Errors
    /// If the configuration is no JSON, or names none.
    pub fn model_type(&self) -> Result<String, RestoreError> {
        #[derive(Deserialize)]
        struct Named {
            model_type: String,
        }
        self.json::<Named>(CONFIG).map(|named| named.model_type)
    }

    /// A file parsed as JSON.
    ///
    /// # Errors
    /// If the checkpoint lacks it, or it has another form.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, RestoreError> {
        serde_json::from_slice(self.bytes(name)?)
            .map_err(|e| RestoreError::Format { path: self.path(name), message: e.to_string() })
    }

    /// BLAKE3 of configuration, `restorer.json` and weights, of all parts of an ensemble, in hexadecimal.
    ///
    /// # Errors
    /// If the checkpoint lacks one of them.
    pub fn digest(&self) -> Result<String, RestoreError> {
        let mut hasher = blake3::Hasher::new();
        let mut names = vec![CONFIG.to_owned(), RESTORER.to_owned()];
        let directories = self.directories()?;
        if directories.is_empty() {
            names.push(WEIGHTS.to_owned());
        }
        for directory in directories {
            names.extend([CONFIG, RESTORER, WEIGHTS].map(|name| format!("{directory}/{name}")));
        }
        for name in &names {
            let bytes = self.bytes(name)?;
            hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        }
        Ok(hasher.finalize().to_hex().to_string())
    }
}

/// Writes a file of indented JSON, as [`write_whole`] does.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), RestoreError> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|e| RestoreError::Format { path: path.to_owned(), message: e.to_string() })?;
    text.push(b'\n');
    write_whole(path, &text)
}

/// Writes a file so that it appears whole or not at all: temporary name beside it, fsync, rename.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), RestoreError> {
    let error = |source| RestoreError::Io { path: path.to_owned(), source };
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir).map_err(error)?;
    let mut builder = tempfile::Builder::new();
    // A temporary file is private by default; a checkpoint is readable as the umask has it.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(dir).map_err(error)?;
    file.write_all(bytes).and_then(|()| file.as_file().sync_all()).map_err(error)?;
    file.persist(path).map_err(|e| error(e.error))?;
    std::fs::File::open(dir).and_then(|dir| dir.sync_all()).map_err(error)
}
