//! `finetune train` where the family is `ngram` or `ensemble`: a corpus in, a checkpoint out.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use assert_cmd::Command;
use corruptor::{Channel, CorruptSettings, Op, Passage, Split, SplitShares, passages, split_of};
use predicates::str::contains;
use restorer::metrics::TextCounts;
use restorer::ngram::NgramModel;
use restorer::prior::bits;
use restorer::tagger::{Tagger, TaggerConfig};
use restorer::train::{CheckpointMeta, Trainable as _};
use restorer::{LoadOptions, RestoreRequest};
use tempfile::tempdir;

const RECIPE: &str =
    "[corpus]\nvalid_share = 0.2\ntest_share = 0.2\n[model]\nfamily = \"ngram\"\norder = 6\nmax_mib = 1.0\n";

/// A document of sentences, each of a few words.
fn document(number: usize) -> String {
    const WORDS: [&str; 12] = [
        "whale", "Union", "ship", "people", "naïve", "law", "sea", "peace", "captain", "of the", "was",
        "and the",
    ];
    let word = |k: usize| WORDS[(number * 7 + k * k * 5 + k * number) % WORDS.len()];
    let sentence = |s: usize| format!("The {} {} {}.", word(s), word(s + 3), word(s + 5));
    format!("Document {number}. {}", (0..60).map(sentence).collect::<Vec<_>>().join(" "))
}

fn corpus(home: &Path, documents: usize) {
    fs::create_dir_all(home.join("texts")).unwrap();
    for number in 0..documents {
        fs::write(home.join(format!("texts/{number}.txt")), document(number)).unwrap();
    }
    fs::write(home.join("recipe.toml"), RECIPE).unwrap();
}

/// Trains on `texts` by `recipe.toml`, where the arguments name no others.
fn train(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin("finetune"));
    command.current_dir(home).arg("train").args(arguments);
    for (option, value) in [("--recipe", "recipe.toml"), ("--corpus", "texts")] {
        if !arguments.contains(&option) {
            command.args([option, value]);
        }
    }
    command
}

#[test]
fn a_corpus_becomes_a_prior() {
    let home = tempdir().unwrap();
    corpus(home.path(), 60);
    let said = train(home.path(), &["--out", "prior"]).assert().success();
    let metrics: serde_json::Value = serde_json::from_slice(&said.get_output().stdout).unwrap();
    let stderr = String::from_utf8_lossy(&said.get_output().stderr).into_owned();
    assert!(stderr.contains("kneser-ney, pruned by entropy: ") && stderr.contains("are little"), "{stderr}");
    let (model, config) = NgramModel::load(&home.path().join("prior")).unwrap();
    assert_eq!(config.order, 6);
    assert_eq!(metrics["ngrams_kept"], model.arcs());
    let shares = SplitShares { valid: 0.2, test: 0.2 };
    let training = (0..60).map(document).filter(|text| split_of(text, shares) == Split::Train);
    let bytes = |text: String| passages(&text, 256, 16).map(|range| range.len() as u64).sum::<u64>();
    assert_eq!(metrics["train_bytes"], training.map(bytes).sum::<u64>());
    let test = metrics["test_bits_per_byte"].as_f64().unwrap();
    assert!(test > 0.0 && test < 2.0, "{test}");
    let strange = bits(&model, "Qzx jkv wqp!") / 12.0;
    assert!(strange > 3.0 * test, "{strange}");
    for file in ["README.md", "metrics.json", "config.json", "restorer.json"] {
        assert!(fs::read_to_string(home.path().join("prior").join(file)).unwrap().len() > 40, "{file}");
    }
    // The same texts give the same files, on any number of threads.
    train(home.path(), &["--out", "again", "--threads", "1"]).assert().success();
    for file in ["model.safetensors", "restorer.json", "config.json", "README.md"] {
        let read = |run: &str| fs::read(home.path().join(run).join(file)).unwrap();
        assert!(read("prior") == read("again"), "{file}");
    }
    // It decodes the recipe's channel, and another one where it is given.
    assert_eq!(
        metrics["decoding"]["clean_pieces"].as_u64().map(|pieces| pieces > 50),
        Some(true),
        "{metrics}"
    );
    let held_out: Vec<String> =
        (0..60).map(document).filter(|text| split_of(text, shares) == Split::Test).collect();
    let insertions = CorruptSettings::default().with_total_rate(0.1).only(Op::Insertion);
    let reduction = |settings: &CorruptSettings, decoded: Option<&CorruptSettings>| {
        let options = LoadOptions { channel: decoded.cloned().map(Arc::new), ..LoadOptions::default() };
        let model = restorer::load(&home.path().join("prior"), &options).unwrap();
        let channel = Channel::new(settings).unwrap();
        let pair = |text: &String| channel.pair(&Passage { source: "test", doc_id: text, start: 0, text }, 0);
        let pairs: Vec<_> = held_out.iter().map(pair).collect();
        let requests: Vec<_> = pairs.iter().map(|pair| RestoreRequest::new(&pair.corrupted)).collect();
        let restored = model.restore(&requests).unwrap();
        let counts = pairs
            .iter()
            .zip(&restored)
            .map(|(pair, one)| TextCounts::of(&pair.original, &pair.corrupted, &one.text));
        counts.sum::<TextCounts>().reduction().unwrap()
    };
    let own = reduction(&CorruptSettings::default(), None);
    assert!(own > 0.7, "{own}");
    let (unknown, known) = (reduction(&insertions, None), reduction(&insertions, Some(&insertions)));
    assert!(known > unknown && known > 0.9, "{unknown} {known}");
}

#[test]
fn bad_input_is_refused_and_leaves_nothing() {
    let home = tempdir().unwrap();
    corpus(home.path(), 12);
    let refused = |arguments: &[&str], message: &str| {
        train(home.path(), &[&["--out", "prior"], arguments].concat())
            .assert()
            .failure()
            .stderr(contains(message));
        assert!(!home.path().join("prior").exists(), "{message}");
    };
    refused(&["--set", "model.max_mib=0.001"], "raise `model.max_mib`");
    refused(&["--set", "model.order=11"], "[model] order = 11");
    refused(&["--set", "model.smoothing=good"], "model.smoothing");
    refused(&["--set", "model.layers=3"], "unknown key `model.layers`");
    refused(&["--set", "model.family=bigram"], "known: tagger, t5, llama, qwen2, qwen3, ngram, ensemble");
    refused(&["--set", "corpus.test_share=1.0", "--set", "corpus.valid_share=0.0"], "no text to count");
    refused(&["--corpus", "nowhere"], "nowhere");
    train(home.path(), &["--out", "prior"]).assert().success();
    train(home.path(), &["--out", "prior"]).assert().failure().stderr(contains("--overwrite"));
    train(home.path(), &["--out", "prior", "--overwrite"]).assert().success();
    train(home.path(), &["--out", "prior", "--resume"]).assert().success();
    let other = home.path().join("tagger");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("config.json"), "{\"model_type\": \"revertant-tagger\"}").unwrap();
    fs::write(other.join("model.safetensors"), "hours of training").unwrap();
    train(home.path(), &["--out", "tagger", "--resume"]).assert().failure().stderr(contains("holds a model"));
    assert_eq!(fs::read(other.join("model.safetensors")).unwrap(), b"hours of training");
    let path = home.path().join("prior/model.safetensors");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let error = NgramModel::load(&home.path().join("prior")).unwrap_err().to_string();
    assert!(error.contains("model.safetensors") && error.contains("is the file complete?"), "{error}");
}

/// A prior of other texts beside the one of the corpus, and an untrained tagger.
fn parts(home: &Path) {
    train(home, &["--out", "prior"]).assert().success();
    fs::create_dir_all(home.join("digits")).unwrap();
    for number in 0..20 {
        let text: Vec<String> = (0..200).map(|k| (number * 7919 + k * k * 31).to_string()).collect();
        fs::write(home.join(format!("digits/{number}.txt")), text.join(" ")).unwrap();
    }
    train(home, &["--out", "numbers", "--corpus", "digits"]).assert().success();
    let config = TaggerConfig {
        hidden_size: 16,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        intermediate_size: 16,
        table_rows: 256,
        table_dim: 4,
        ..TaggerConfig::default()
    };
    let meta = CheckpointMeta { min_confidence: 0.5, ..CheckpointMeta::default() };
    Tagger::random(&config, &LoadOptions::default()).unwrap().save(&home.join("tagger"), &meta).unwrap();
}

#[test]
fn priors_and_a_tagger_become_one_checkpoint() {
    let home = tempdir().unwrap();
    corpus(home.path(), 40);
    parts(home.path());
    let ensemble = |out: &str, parts: &str| {
        let parts = format!("model.parts={parts}");
        let recipe = "[corpus]\nvalid_share = 0.2\ntest_share = 0.2\n[model]\nfamily = \"ensemble\"\n";
        fs::write(home.path().join("ensemble.toml"), recipe).unwrap();
        train(home.path(), &["--out", out, "--recipe", "ensemble.toml", "--set", &parts]).assert()
    };
    let said = ensemble("all", r#"["numbers", "prior", "tagger"]"#).success();
    let metrics: serde_json::Value = serde_json::from_slice(&said.get_output().stdout).unwrap();
    // The texts are none of numbers, and a tagger that knows nothing suspects nothing.
    let weight = |part: usize| metrics["parts"][part]["weight"].as_f64();
    assert!(weight(0).unwrap() < 0.2 && weight(1).unwrap() > 0.8 && weight(2).is_none(), "{metrics}");
    assert_eq!(metrics["decoding"]["mean_reduction"], metrics["decoding"]["mean_reduction_without_tagger"]);
    let card = |of: &str| fs::read_to_string(home.path().join("all").join(of)).unwrap();
    assert!(card("README.md").contains("`prior-1`") && card("README.md").contains("without the tagger"));
    assert!(card("prior-1/README.md").contains("Revertant prior"));
    // It stands alone, and restores.
    for part in ["prior", "numbers", "tagger"] {
        fs::remove_dir_all(home.path().join(part)).unwrap();
    }
    let all = restorer::load(&home.path().join("all"), &LoadOptions::default()).unwrap();
    let text = document(3);
    let damaged = text.replacen("The ", "The The ", 1).replacen("people", "poeple", 1);
    let restored = all.restore(&[RestoreRequest::new(damaged)]).unwrap().remove(0);
    assert_eq!(restored.text, text);
    // A part that changes is another model; one that is damaged is named.
    let digest = all.info().digest.clone();
    let path = home.path().join("all/prior-0/restorer.json");
    let json = fs::read_to_string(&path).unwrap();
    fs::write(&path, json.replacen("\"version\"", " \"version\"", 1)).unwrap();
    assert_ne!(
        restorer::load(&home.path().join("all"), &LoadOptions::default()).unwrap().info().digest,
        digest
    );
    fs::write(&path, json).unwrap();
    fs::write(home.path().join("all/prior-1/model.safetensors"), "cut short").unwrap();
    let error = restorer::load(&home.path().join("all"), &LoadOptions::default()).err().unwrap().to_string();
    assert!(error.contains("prior-1/model.safetensors"), "{error}");
    let path = home.path().join("all/restorer.json");
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("\"prior-0\"", "\"../prior\"")).unwrap();
    let error = restorer::load(&home.path().join("all"), &LoadOptions::default()).err().unwrap().to_string();
    assert!(error.contains("not the name of a subdirectory"), "{error}");
}

#[test]
fn an_ensemble_needs_a_prior_and_no_second_tagger() {
    let home = tempdir().unwrap();
    corpus(home.path(), 20);
    parts(home.path());
    fs::write(
        home.path().join("recipe.toml"),
        RECIPE.replace("order = 6\nmax_mib = 1.0\n", "").replace("ngram", "ensemble"),
    )
    .unwrap();
    for (parts, message) in [
        ("[]", "one prior (an ngram, or a decoder"),
        (r#"["tagger"]"#, "one prior (an ngram, or a decoder"),
        (r#"["prior", "tagger", "tagger"]"#, "this is the second"),
        (r#"["prior", "nowhere"]"#, "nowhere/config.json"),
        (r#"["prior", "texts"]"#, "texts/config.json"),
    ] {
        train(home.path(), &["--out", "all", "--set", &format!("model.parts={parts}")])
            .assert()
            .failure()
            .stderr(contains(message));
        assert!(!home.path().join("all").exists(), "{message}");
    }
    train(home.path(), &["--out", "all", "--set", r#"model.parts=["prior"]"#, "--max-minutes", "0.00001"])
        .assert()
        .code(3);
    assert!(!home.path().join("all").exists());
}

#[test]
fn without_validation_documents_a_good_choice_is_made() {
    let home = tempdir().unwrap();
    corpus(home.path(), 3);
    let all = ["--out", "prior", "--set", "corpus.valid_share=0.0", "--set", "corpus.test_share=0.0"];
    let said = train(home.path(), &all).assert().success().stderr(contains("kneser-ney"));
    let metrics: serde_json::Value = serde_json::from_slice(&said.get_output().stdout).unwrap();
    assert!(metrics["valid_bits_per_byte"].is_null() && metrics["smoothing"] == "kneser-ney");
}
