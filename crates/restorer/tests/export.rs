//! Checkpoints written again with smaller weights: what they say is what the larger ones say, to the precision of the type.

use std::path::{Path, PathBuf};

use candle_core::{DType, Device};
use restorer::tagger::{TableBits, Tagger};
use restorer::{ExportOptions, LoadOptions, WeightType, export, weights};

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
    let difference = |a: &[Vec<f32>], b: &[Vec<f32>]| {
        let (a, b) = (a.iter().flatten(), b.iter().flatten());
        let (sum, all) =
            a.zip(b).fold((0.0, 0.0), |(sum, all), (a, b)| (sum + (a - b).powi(2), all + b.powi(2)));
        (sum / all).sqrt()
    };
    let original = logits(&fixture("tagger"));
    assert!(difference(&logits(&four), &original) < 0.1, "{}", difference(&logits(&four), &original));
    assert!(difference(&logits(&eight), &logits(&four)) < 0.01, "8 bits hold what 4 bits say");
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
