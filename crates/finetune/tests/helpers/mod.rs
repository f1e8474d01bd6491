//! A small corpus with an easy noise, and a model that learns it in seconds.
#![allow(dead_code, clippy::allow_attributes, reason = "every test program uses a part of it")]

use std::path::{Path, PathBuf};

use corruptor::pairs::{PairMetadata, PairWriter};
use corruptor::{Channel, CorruptSettings, Passage, Recipe, RecordStream, Split};
use finetune::parallel::Place;
use finetune::track::TrackOptions;
use finetune::train::{Existing, TrainOptions};
use finetune::{ModelSource, Stop};
use tempfile::TempDir;

/// Digits are put between letters: to restore is to take every digit away.
pub(crate) const RECIPE: &str = r#"
[corrupt]
seed = 7
levels = [1.0, 2.0]
clean_share = 0.2
alphabet = { custom = "0123456789" }
deletion.rate = 0.0
substitution.rate = 0.0
duplication.rate = 0.0
reversal.rate = 0.0
insertion = { rate = 0.08, mean = 1.5, max = 3 }

[model]
family = "tagger"
hidden_size = 32
num_hidden_layers = 1
num_attention_heads = 2
intermediate_size = 32
table_rows = 1024
table_dim = 8
window_bytes = 128
overlap_bytes = 16

[train]
steps = 120
batch_tokens = 512
step_tokens = 1024
bucket_pairs = 64
learning_rate = 1e-2
table_learning_rate = 5e-2
warmup_steps = 5
eval_steps = 40
valid_pairs = 32
save_minutes = 0.001
log_steps = 5
confidence_grid = [0.4, 0.8]

[evaluate]
resamples = 200
set_passages = 20
"#;

/// The same noise, for a small autoregressive model.
pub(crate) fn language_model_recipe(model: &str) -> String {
    let (before, rest) = RECIPE.split_once("[model]").unwrap();
    let (_, after) = rest.split_once("[train]").unwrap();
    format!("{before}[model]\n{model}\n\n[train]{after}")
}

const WORDS: [&str; 24] = [
    "the", "of", "and", "to", "in", "that", "nation", "people", "congress", "year", "great", "war", "peace",
    "law", "state", "public", "shall", "have", "been", "with", "which", "our", "world", "free",
];

/// A directory with pairs, in which runs can be made.
pub(crate) struct Workspace {
    pub(crate) directory: TempDir,
}

impl Workspace {
    pub(crate) fn new() -> Self {
        let workspace = Self { directory: TempDir::new().unwrap() };
        workspace.write_pairs(1);
        std::fs::write(workspace.path("recipe.toml"), RECIPE).unwrap();
        workspace
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn pairs(&self) -> PathBuf {
        self.path("pairs")
    }

    /// Writes all splits; another seed gives other texts.
    pub(crate) fn write_pairs(&self, seed: u64) {
        for (split, documents) in [(Split::Train, 60), (Split::Valid, 12), (Split::Test, 12)] {
            write_split(&self.pairs().join(split.name()), split, documents, seed);
        }
    }

    pub(crate) fn options(&self, out: &str, overrides: &[&str]) -> TrainOptions {
        self.options_of(RECIPE, out, overrides)
    }

    pub(crate) fn options_of(&self, recipe: &str, out: &str, overrides: &[&str]) -> TrainOptions {
        TrainOptions {
            recipe: Recipe::parse(recipe, "recipe").unwrap().with_overrides(overrides).unwrap(),
            pairs: self.pairs(),
            out: self.path(out),
            init: None,
            existing: Existing::Refuse,
            stop: Stop::never(),
            threads: 2,
            progress: false,
            // Measuring the peak would take longer than some of these runs may.
            tracking: TrackOptions { peak_flops: Some(1e10), ..TrackOptions::default() },
            place: Place::alone(),
        }
    }

    pub(crate) fn finetune(&self, command: &str) -> assert_cmd::Command {
        let mut program = assert_cmd::Command::cargo_bin("finetune").unwrap();
        program.current_dir(self.directory.path()).arg(command);
        if command == "train" {
            program.args(["--recipe", "recipe.toml", "--pairs", "pairs", "--out", "run", "--threads", "2"]);
        }
        program
    }
}

pub(crate) fn from_scratch() -> ModelSource {
    ModelSource::default()
}

fn write_split(directory: &Path, split: Split, documents: usize, seed: u64) {
    let recipe = Recipe::parse(RECIPE, "recipe").unwrap();
    let settings: CorruptSettings = recipe.table("corrupt").unwrap();
    let channel = Channel::new(&settings).unwrap();
    let metadata = PairMetadata::of(&recipe.table("corpus").unwrap(), &settings).unwrap();
    let mut writer = PairWriter::create(directory, &metadata).unwrap();
    let mut stream = RecordStream::for_purpose(seed, split.name());
    for document in 0..documents {
        let doc_id = format!("{}-{document}", split.name());
        for start in 0..3 {
            let words: Vec<&str> =
                (0..8 + stream.below(8)).map(|_| WORDS[stream.below(24) as usize]).collect();
            let text = format!("{}.", words.join(" "));
            let passage = Passage { source: "words", doc_id: &doc_id, start: start * 1000, text: &text };
            writer.write(channel.pair(&passage, 0)).unwrap();
        }
    }
    writer.finish().unwrap();
}

/// The lines of a run's log.
pub(crate) fn log(run: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(run.join("log.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The files of a run's states, the newest last.
pub(crate) fn state_files(run: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(run.join("state")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().contains("run-")).collect();
    files.sort_unstable();
    files
}

/// The tensors of a run's state, by name, as bytes.
pub(crate) fn state_tensors(run: &Path) -> std::collections::BTreeMap<String, Vec<u8>> {
    let bytes = std::fs::read(state_files(run).pop().unwrap()).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    tensors.tensors().into_iter().map(|(name, view)| (name, view.data().to_vec())).collect()
}

/// The step of a run's state.
pub(crate) fn state_step(run: &Path) -> u64 {
    state_step_so_far(run).unwrap()
}

/// The step of a run's state, if there is one yet.
pub(crate) fn state_step_so_far(run: &Path) -> Option<u64> {
    Some(finetune::train::StateFiles::of(run).progress().unwrap()?.step)
}
