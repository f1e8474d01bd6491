//! Checkpoints written again with smaller weights: what they say is what the larger ones say, to the precision of the type.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use restorer::layers::{Pass, Tape};
use restorer::lm::{LanguageModel, TokenExample, merge_adapter};
use restorer::tagger::{TableBits, Tagger};
use restorer::{ComputeType, ExportOptions, LoadOptions, WeightBits, WeightType, export, weights};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn to(dtype: WeightType) -> ExportOptions {
    ExportOptions { dtype, ..ExportOptions::default() }
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Every tensor of a file beside what it was made of.
fn assert_rounded(found: &Path, original: &Path, dtype: DType) {
    let (found, original) = (weights::open_file(found).unwrap(), weights::open_file(original).unwrap());
    assert_eq!(found.names().collect::<Vec<_>>(), original.names().collect::<Vec<_>>());
    for name in original.names() {
        let get = |weights: &weights::Weights| weights.get(name, &Device::Cpu).unwrap().unwrap();
        assert_eq!(get(&found).dtype(), dtype, "{name}");
        let values = |tensor: candle_core::Tensor| {
            tensor
                .to_dtype(dtype)
                .unwrap()
                .to_dtype(DType::F32)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
        };
        assert_eq!(values(get(&found)), values(get(&original)), "{name}");
    }
}

#[test]
fn a_model_and_an_adapter_are_rounded_once() {
    let home = tempfile::tempdir().unwrap();
    for (wanted, dtype) in [(WeightType::Bfloat16, DType::BF16), (WeightType::Float16, DType::F16)] {
        let out = home.path().join(wanted.name());
        let model = fixture("models/llama");
        export(&model, &out.join("model"), &to(wanted)).unwrap();
        assert_rounded(&out.join("model/model.safetensors"), &model.join("model.safetensors"), dtype);
        let config = json(&out.join("model/config.json"));
        assert_eq!(config["torch_dtype"].as_str().or(config["dtype"].as_str()), Some(wanted.name()));
        let same = "generation_config.json";
        assert_eq!(
            std::fs::read(out.join("model").join(same)).unwrap(),
            std::fs::read(model.join(same)).unwrap()
        );

        let adapter = fixture("models/lora-llama");
        export(&adapter, &out.join("adapter"), &to(wanted)).unwrap();
        let file = "adapter_model.safetensors";
        assert_rounded(&out.join("adapter").join(file), &adapter.join(file), dtype);
        let config = "adapter_config.json";
        assert_eq!(json(&out.join("adapter").join(config)), json(&adapter.join(config)));
    }
}

#[test]
fn a_tagger_with_fewer_bits_says_nearly_the_same() {
    let home = tempfile::tempdir().unwrap();
    let options = |bits| ExportOptions { table_bits: Some(bits), ..to(WeightType::Bfloat16) };
    let (four, eight) = (home.path().join("four"), home.path().join("eight"));
    export(&fixture("tagger"), &four, &options(TableBits::Four)).unwrap();
    export(&four, &eight, &options(TableBits::Eight)).unwrap();
    let size = |dir: &Path| std::fs::metadata(dir.join("model.safetensors")).unwrap().len();
    assert!(size(&four) < size(&eight) && size(&eight) < size(&fixture("tagger")));
    let logits = |dir: &Path| {
        let model = Tagger::load(dir, &LoadOptions { threads: Some(1), ..LoadOptions::default() }).unwrap();
        model.logits("Meeting you agian, I feel").unwrap().bytes
    };
    let original = logits(&fixture("tagger"));
    assert!(apart(&logits(&four), &original) < 0.1, "{}", apart(&logits(&four), &original));
    assert!(apart(&logits(&eight), &logits(&four)) < 0.01, "8 bits hold what 4 bits say");
}

/// A fixture as a checkpoint that reads bytes.
fn with_tokenizer(name: &str, home: &Path) -> PathBuf {
    let dir = home.join(format!("{name}-of-bytes"));
    std::fs::create_dir(&dir).unwrap();
    for file in ["config.json", "generation_config.json", "model.safetensors"] {
        std::fs::copy(fixture("models").join(name).join(file), dir.join(file)).unwrap();
    }
    std::fs::write(dir.join("tokenizer_config.json"), r#"{"tokenizer_class": "ByT5Tokenizer"}"#).unwrap();
    dir
}

/// Logits of a few tokens of a text, row by row.
fn logits(dir: &Path, compute_type: ComputeType) -> Vec<Vec<f32>> {
    let model = LanguageModel::load(dir, &LoadOptions { compute_type, ..LoadOptions::default() }).unwrap();
    let example = TokenExample { source: (3..40).collect(), target: (20..60).collect() };
    let (pass, mut tape) = (Pass::plain(), Tape::forgetting());
    model.network().target_logits(&[&example], &pass, &mut tape).unwrap().to_vec2().unwrap()
}

/// How far two sets of logits are apart, as a share of their size.
fn apart(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    let (a, b) = (a.iter().flatten(), b.iter().flatten());
    let (sum, all) = a.zip(b).fold((0.0, 0.0), |(sum, all), (a, b)| (sum + (a - b).powi(2), all + b.powi(2)));
    (sum / all).sqrt()
}

#[test]
fn matrices_of_eight_bits_are_read_back_to_half_a_step() {
    let home = tempfile::tempdir().unwrap();
    for family in ["llama", "t5-gated"] {
        let (original, small) = (with_tokenizer(family, home.path()), home.path().join(family));
        let options = ExportOptions { weight_bits: Some(WeightBits::Eight), ..to(WeightType::Float32) };
        export(&original, &small, &options).unwrap();
        let size = |dir: &Path| std::fs::metadata(dir.join("model.safetensors")).unwrap().len();
        assert!(size(&small) < size(&original));
        let config = json(&small.join("config.json"));
        assert_eq!(config["quantization_config"]["quant_method"], "compressed-tensors");
        // Once more it comes back as it is: what 8 bits say is written exactly, and the configuration says nothing more of them.
        let (back, again) = (home.path().join("back"), home.path().join("again"));
        export(&small, &back, &to(WeightType::Float32)).unwrap();
        assert!(json(&back.join("config.json")).get("quantization_config").is_none());
        export(&small, &again, &options).unwrap();
        let (back, exact) = (weights::open(&back).unwrap(), weights::open(&original).unwrap());
        assert_eq!(back.names().collect::<Vec<_>>(), exact.names().collect::<Vec<_>>());
        for name in exact.names() {
            let get = |weights: &weights::Weights| weights.get(name, &Device::Cpu).unwrap().unwrap();
            let difference = (get(&back) - get(&exact)).unwrap().abs().unwrap();
            let largest = get(&exact).abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            let difference = difference.max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(difference <= largest / 253.0, "{name}: {difference} of {largest}");
            let is_map = get(&exact).rank() == 2
                && !["embed", "shared", "head", "bias"].iter().any(|n| name.contains(n));
            assert_eq!(difference > 0.0, is_map, "{name}");
        }
        // Computed in 8 bits or not, the model says nearly the same; what is stored in 8 bits is computed so unless told otherwise.
        let exact = logits(&original, ComputeType::Auto);
        for (dir, compute, most) in [
            (&small, ComputeType::Float32, 0.1),
            (&small, ComputeType::Auto, 0.1),
            (&again, ComputeType::Int8, 0.1),
            (&original, ComputeType::Int8, 0.1),
        ] {
            let found = logits(dir, compute);
            assert!(
                apart(&found, &exact) < most,
                "{compute} of {}: {}",
                dir.display(),
                apart(&found, &exact)
            );
            assert!(apart(&found, &exact) > 1e-4, "{compute} of {} rounds nothing", dir.display());
        }
        assert!(apart(&logits(&small, ComputeType::Auto), &logits(&original, ComputeType::Int8)) < 1e-5);
        std::fs::remove_dir_all(home.path().join("back")).unwrap();
        std::fs::remove_dir_all(again).unwrap();
    }
}

#[test]
fn an_adapter_is_merged_into_matrices_of_eight_bits() {
    let home = tempfile::tempdir().unwrap();
    let options = ExportOptions { weight_bits: Some(WeightBits::Eight), ..to(WeightType::Float32) };
    export(&with_tokenizer("llama", home.path()), &home.path().join("small"), &options).unwrap();
    let (adapter, merged) = (home.path().join("adapter"), home.path().join("merged"));
    std::fs::create_dir_all(&adapter).unwrap();
    std::fs::create_dir_all(&merged).unwrap();
    let file = |name: &str| fixture("models/lora-llama").join(name);
    std::fs::copy(file("adapter_model.safetensors"), adapter.join("adapter_model.safetensors")).unwrap();
    let mut config = json(&file("adapter_config.json"));
    config["base_model_name_or_path"] = "small".into();
    std::fs::write(adapter.join("adapter_config.json"), config.to_string()).unwrap();
    merge_adapter(&adapter, &merged).unwrap();
    let exact = logits(&adapter, ComputeType::Float32);
    assert!(apart(&logits(&merged, ComputeType::Auto), &exact) < 1e-5);
}

#[test]
fn quantized_weights_of_another_kind_are_named() {
    let home = tempfile::tempdir().unwrap();
    let options = ExportOptions { weight_bits: Some(WeightBits::Eight), ..to(WeightType::Float32) };
    export(&fixture("models/llama"), &home.path().join("small"), &options).unwrap();
    let path = home.path().join("small/config.json");
    let error = || {
        let error = LanguageModel::load(path.parent().unwrap(), &LoadOptions::default()).unwrap_err();
        error.to_string()
    };
    let mut config = json(&path);
    config["quantization_config"] = serde_json::json!({ "quant_method": "gptq", "bits": 4 });
    std::fs::write(&path, config.to_string()).unwrap();
    assert!(error().contains("\"gptq\"") && error().contains("float32"), "{}", error());
    let adapter = export(&fixture("models/lora-llama"), &home.path().join("out"), &options).unwrap_err();
    assert!(adapter.to_string().contains("--weight-bits is for whole"), "{adapter}");
}

#[test]
fn what_cannot_be_written_is_said() {
    let home = tempfile::tempdir().unwrap();
    let out = home.path().join("out");
    let error = |model: &Path, options: ExportOptions| export(model, &out, &options).unwrap_err().to_string();
    let llama = fixture("models/llama");
    let table = ExportOptions { table_bits: Some(TableBits::Four), ..ExportOptions::default() };
    assert!(error(&llama, table).contains("--table-bits is for taggers"));
    assert!(error(home.path(), ExportOptions::default()).contains("model.safetensors"));

    let large = home.path().join("large");
    std::fs::create_dir(&large).unwrap();
    std::fs::copy(llama.join("config.json"), large.join("config.json")).unwrap();
    let tensor = candle_core::Tensor::new(&[1f32, 1e6], &Device::Cpu).unwrap();
    let named = std::collections::HashMap::from([("model.norm.weight", tensor)]);
    candle_core::safetensors::save(&named, large.join("model.safetensors")).unwrap();
    let message = error(&large, to(WeightType::Float16));
    assert!(message.contains("model.norm.weight") && message.contains("bfloat16"), "{message}");
    std::fs::write(large.join("config.json"), r#"{"model_type": "revertant-ngram"}"#).unwrap();
    assert!(error(&large, ExportOptions::default()).contains("one form"));
    assert!(!out.exists());

    export(&llama, &out, &ExportOptions::default()).unwrap();
    assert!(error(&llama, ExportOptions::default()).contains("--overwrite"));
    export(&llama, &out, &ExportOptions { overwrite: true, ..ExportOptions::default() }).unwrap();
}
