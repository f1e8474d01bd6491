//! Importing GGUF files: against what the `gguf` package and the `tokenizers` library make of the same model, and what is refused.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::{self, Content, Value as Meta};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use corruptor::RecordStream;
use restorer::WeightType;
use restorer::gguf::{ImportOptions, TokenizerOrigin, import};
use restorer::weights;
use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf").join(name)
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.to_dtype(DType::F32).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

fn expected() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(fixture("expected.safetensors"), &Device::Cpu).unwrap()
}

/// The fixture's contents, to be changed and written again.
struct Model {
    metadata: HashMap<String, Meta>,
    tensors: HashMap<String, QTensor>,
}

impl Model {
    fn read() -> Self {
        let mut file = fs::File::open(fixture("llama.gguf")).unwrap();
        let content = Content::read(&mut file).unwrap();
        let tensor = |name: &String| (name.clone(), content.tensor(&mut file, name, &Device::Cpu).unwrap());
        Self { tensors: content.tensor_infos.keys().map(tensor).collect(), metadata: content.metadata }
    }

    /// As a model of another architecture.
    fn of(architecture: &str) -> Self {
        let mut model = Self::read();
        let rename =
            |(key, value): (String, Meta)| (key.replacen("llama.", &format!("{architecture}."), 1), value);
        model.metadata = model.metadata.into_iter().map(rename).collect();
        model.set("general.architecture", Meta::String(architecture.into()));
        model
    }

    fn set(&mut self, key: &str, value: Meta) -> &mut Self {
        self.metadata.insert(key.into(), value);
        self
    }

    fn put(&mut self, name: &str, tensor: &Tensor) -> &mut Self {
        self.tensors.insert(name.into(), QTensor::quantize(tensor, GgmlDType::F32).unwrap());
        self
    }

    fn write(&self, path: &Path) {
        let metadata: Vec<_> = self.metadata.iter().map(|(key, value)| (key.as_str(), value)).collect();
        let tensors: Vec<_> = self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
        gguf_file::write(&mut fs::File::create(path).unwrap(), &metadata, &tensors).unwrap();
    }

    /// Imports it into `home/out`.
    fn import(&self, home: &TempDir) -> Result<PathBuf, String> {
        let (path, out) = (home.path().join("model.gguf"), home.path().join("out"));
        self.write(&path);
        let options = ImportOptions { overwrite: true, ..ImportOptions::default() };
        import(&path, &out, &options).map(|_| out).map_err(|error| error.to_string())
    }
}

fn arange(shape: &[usize]) -> Tensor {
    let count = shape.iter().product::<usize>() as f32;
    Tensor::arange(0f32, count, &Device::Cpu).unwrap().reshape(shape).unwrap()
}

#[test]
fn a_llama_is_what_the_reference_says() {
    let home = tempdir().unwrap();
    let out = home.path().join("out");
    let imported = import(&fixture("llama.gguf"), &out, &ImportOptions::default()).unwrap();
    let expected = expected();
    assert_eq!((imported.architecture, imported.tensors), ("llama", expected.len()));
    assert_eq!(imported.parameters, expected.values().map(Tensor::elem_count).sum::<usize>());
    let smollm = TokenizerOrigin::Metadata { pre_tokenizer: Some("smollm".into()) };
    assert_eq!(imported.tokenizer, smollm);

    let read = weights::open(&out).unwrap();
    let mut names: Vec<_> = expected.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(read.names().collect::<Vec<_>>(), names);
    for (name, wanted) in &expected {
        let found = read.get(name, &Device::Cpu).unwrap().unwrap();
        assert_eq!((found.dims(), found.dtype()), (wanted.dims(), DType::F32), "{name}");
        for (found, wanted) in values(&found).iter().zip(values(wanted)) {
            assert!((found - wanted).abs() <= 1e-6, "{name}: {found} is not {wanted}");
        }
    }
    assert_eq!(read_json(&out.join("tokenizer.json")), read_json(&fixture("expected_tokenizer.json")));
}

#[test]
fn the_metadata_is_translated() {
    let home = tempdir().unwrap();
    let out = Model::read().import(&home).unwrap();
    let config = read_json(&out.join("config.json"));
    let wanted = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "float32",
        "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128, "vocab_size": 270,
        "rms_norm_eps": 1e-5, "rope_theta": 100_000.0, "rope_scaling": null, "tie_word_embeddings": true,
        "attention_bias": false, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
    });
    for (key, value) in wanted.as_object().unwrap() {
        assert_eq!(&config[key], value, "{key}");
    }
    let generation = read_json(&out.join("generation_config.json"));
    assert_eq!((&generation["bos_token_id"], &generation["eos_token_id"]), (&json!(1), &json!(2)));
    let tokenizer = read_json(&out.join("tokenizer_config.json"));
    assert_eq!(tokenizer["eos_token"], "<|im_end|>");
    assert_eq!(tokenizer["unk_token"], "<|endoftext|>");
    assert_eq!(tokenizer["model_max_length"], 128);
    assert!(tokenizer["chat_template"].as_str().unwrap().contains("<|im_start|>"));
    let mut names: Vec<_> = fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["model.gguf", "out"], "nothing is left beside it");
}

#[test]
fn types_of_two_bytes_are_rounded_once() {
    let home = tempdir().unwrap();
    for (dtype, wanted) in [(WeightType::Bfloat16, DType::BF16), (WeightType::Float16, DType::F16)] {
        let out = home.path().join(dtype.name());
        let options = ImportOptions { dtype, ..ImportOptions::default() };
        import(&fixture("llama.gguf"), &out, &options).unwrap();
        assert_eq!(read_json(&out.join("config.json"))["torch_dtype"], dtype.name());
        let read = weights::open(&out).unwrap();
        for (name, tensor) in expected() {
            let found = read.get(&name, &Device::Cpu).unwrap().unwrap();
            assert_eq!(found.dtype(), wanted);
            assert_eq!(values(&found), values(&tensor.to_dtype(wanted).unwrap()), "{name}");
        }
    }
    let mut model = Model::read();
    model.put("output_norm.weight", &Tensor::new(&[1e6f32; 32], &Device::Cpu).unwrap());
    let path = home.path().join("large.gguf");
    model.write(&path);
    let options = ImportOptions { dtype: WeightType::Float16, ..ImportOptions::default() };
    let error = import(&path, &home.path().join("large"), &options).unwrap_err().to_string();
    assert!(error.contains("output_norm.weight") && error.contains("bfloat16"), "{error}");
    assert!(!home.path().join("large").exists());
}

#[test]
fn qwen_keeps_its_rows_has_its_own_tensors_and_an_output_matrix() {
    let home = tempdir().unwrap();
    let interleaved = values(&Model::read().tensors["blk.0.attn_q.weight"].dequantize(&Device::Cpu).unwrap());
    let mut model = Model::of("qwen3");
    model.put("output.weight", &arange(&[270, 32]));
    for layer in 0..2 {
        model.put(&format!("blk.{layer}.attn_q_norm.weight"), &arange(&[8]));
        model.put(&format!("blk.{layer}.attn_k_norm.weight"), &arange(&[8]));
    }
    let out = model.import(&home).unwrap();
    let config = read_json(&out.join("config.json"));
    assert_eq!((&config["model_type"], &config["tie_word_embeddings"]), (&json!("qwen3"), &json!(false)));
    let read = weights::open(&out).unwrap();
    let get = |name: &str| values(&read.get(name, &Device::Cpu).unwrap().unwrap());
    assert_eq!(get("model.layers.0.self_attn.q_proj.weight"), interleaved);
    assert_eq!(get("model.layers.1.self_attn.k_norm.weight"), values(&arange(&[8])));
    assert_eq!(get("lm_head.weight"), values(&arange(&[270, 32])));

    let mut model = Model::of("qwen2");
    let error = model.import(&home).unwrap_err();
    assert!(error.contains("`blk.0.attn_k.bias`"), "{error}");
    for layer in 0..2 {
        for (name, size) in [("q", 32), ("k", 16), ("v", 16)] {
            model.put(&format!("blk.{layer}.attn_{name}.bias"), &arange(&[size]));
        }
    }
    let out = model.import(&home).unwrap();
    let bias = weights::open(&out).unwrap().get("model.layers.1.self_attn.q_proj.bias", &Device::Cpu);
    assert_eq!(values(&bias.unwrap().unwrap()), values(&arange(&[32])));
}

#[test]
fn positions_that_are_stretched_are_translated_or_refused() {
    let home = tempdir().unwrap();
    let scaling = |model: &Model| {
        model.import(&home).map(|out| read_json(&out.join("config.json"))["rope_scaling"].clone())
    };
    let mut model = Model::read();
    model.set("llama.rope.scaling.type", Meta::String("linear".into()));
    assert!(scaling(&model).unwrap_err().contains("llama.rope.scaling.factor"));
    model.set("llama.rope.scaling.factor", Meta::F32(2.5));
    assert_eq!(scaling(&model), Ok(json!({"rope_type": "linear", "factor": 2.5})));
    model.set("llama.rope.scaling.type", Meta::String("yarn".into()));
    model.set("llama.rope.scaling.original_context_length", Meta::U32(64));
    let yarn = json!({"rope_type": "yarn", "factor": 2.5, "original_max_position_embeddings": 64});
    assert_eq!(scaling(&model), Ok(yarn));
    model.set("llama.rope.scaling.type", Meta::String("longrope".into()));
    assert!(scaling(&model).unwrap_err().contains("longrope"));

    // Llama 3.2's divisors (factor 32) for the wavelengths of 8 values a head and theta 500,000.
    let mut model = Model::read();
    model.set("llama.rope.freq_base", Meta::F32(500_000.0));
    let factors = |values: [f32; 4]| Tensor::new(&values, &Device::Cpu).unwrap();
    model.put("rope_freqs.weight", &factors([1.0; 4]));
    assert_eq!(scaling(&model), Ok(Value::Null));
    model.put("rope_freqs.weight", &factors([1.0, 1.0, 3.292_262, 32.0]));
    let llama3 = json!({
        "rope_type": "llama3", "factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    });
    assert_eq!(scaling(&model), Ok(llama3));
    model.put("rope_freqs.weight", &factors([1.0, 1.0, 4.0, 32.0]));
    let error = scaling(&model).unwrap_err();
    assert!(error.contains("rope_freqs.weight") && error.contains("Llama 3"), "{error}");
}

#[test]
fn a_tokenizer_beside_or_named_is_held_to_the_tokens() {
    let home = tempdir().unwrap();
    let model = Model::read();
    let tokenizer = fs::read_to_string(fixture("expected_tokenizer.json")).unwrap();
    let (beside, other) = (home.path().join("tokenizer.json"), home.path().join("other.json"));
    fs::write(&beside, &tokenizer).unwrap();
    let out = model.import(&home).unwrap();
    assert_eq!(fs::read_to_string(out.join("tokenizer.json")).unwrap(), tokenizer);

    fs::write(&other, tokenizer.replace("\"the\"", "\"tha\"")).unwrap();
    let options = ImportOptions { tokenizer: Some(other.clone()), ..ImportOptions::default() };
    let path = home.path().join("model.gguf");
    let named = |options| import(&path, &home.path().join("named"), options).unwrap_err().to_string();
    let error = named(&options);
    assert!(error.contains("`tha`") && error.contains("`the`") && error.contains("other.json"), "{error}");
    fs::write(&other, "{}").unwrap();
    assert!(named(&options).contains("model.vocab"));
    fs::remove_file(&other).unwrap();
    assert!(named(&options).contains("other.json"));
}

#[test]
fn tokenizers_that_cannot_be_rebuilt_are_refused() {
    let home = tempdir().unwrap();
    let refused = |key: &str, value: Meta, what: &str| {
        let mut model = Model::read();
        let error = model.set(key, value).import(&home).unwrap_err();
        assert!(error.contains(what), "{error}");
    };
    refused("tokenizer.ggml.model", Meta::String("llama".into()), "SentencePiece");
    refused("tokenizer.ggml.pre", Meta::String("deepseek-coder".into()), "--tokenizer");
    let merges = Meta::Array(vec![Meta::String("t q".into())]);
    refused("tokenizer.ggml.merges", merges, "\"t q\"");
    refused("tokenizer.ggml.eos_token_id", Meta::U32(270), "eos_token_id");
    refused("tokenizer.ggml.tokens", Meta::U32(1), "tokenizer.ggml.tokens");

    // Llama 3's puts a token before each text, and takes whole pieces that are tokens.
    let mut model = Model::read();
    model.set("tokenizer.ggml.pre", Meta::String("llama-bpe".into()));
    model.metadata.remove("tokenizer.ggml.add_bos_token");
    let tokenizer = read_json(&model.import(&home).unwrap().join("tokenizer.json"));
    assert_eq!(tokenizer["model"]["ignore_merges"], true);
    assert_eq!(
        tokenizer["post_processor"]["single"],
        json!([{"SpecialToken": {"id": "<|im_start|>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}])
    );
}

#[test]
fn what_is_missing_or_unknown_is_named() {
    let home = tempdir().unwrap();
    for key in [
        "general.architecture",
        "llama.block_count",
        "llama.attention.head_count",
        "llama.attention.layer_norm_rms_epsilon",
        "llama.context_length",
        "tokenizer.ggml.model",
        "tokenizer.ggml.merges",
    ] {
        let mut model = Model::read();
        model.metadata.remove(key);
        let error = model.import(&home).unwrap_err();
        assert!(error.contains(&format!("`{key}`")) && error.contains("missing"), "{error}");
    }
    let refused = |model: &Model, what: &str| {
        let error = model.import(&home).unwrap_err();
        assert!(error.contains(what) && error.contains("model.gguf"), "{error}");
        assert!(!home.path().join("out").exists());
    };
    let text = |text: &str| Meta::String(text.into());
    for (key, value, what) in [
        ("general.architecture", text("mamba"), "\"mamba\" is not imported; known are llama, qwen2, qwen3"),
        ("general.alignment", Meta::U32(0), "contradicts itself"),
        ("split.count", Meta::U16(3), "llama-gguf-split"),
        ("llama.block_count", text("2"), "`llama.block_count` is String"),
        ("llama.block_count", Meta::U64(1 << 60), "only 20 tensors"),
        ("llama.attention.head_count", Meta::U32(0), "head_count` is 0"),
        ("llama.attention.head_count_kv", Meta::U64(1 << 62), "share keys"),
        ("llama.expert_count", Meta::U32(8), "mixture of experts"),
        ("llama.rope.dimension_count", Meta::U32(4), "rope.dimension_count"),
        ("llama.feed_forward_length", Meta::U32(48), "asks for [32, 48]"),
    ] {
        let mut model = Model::read();
        refused(model.set(key, value), what);
    }
    let mut model = Model::read();
    model.tensors.remove("blk.1.ffn_up.weight");
    refused(&model, "`blk.1.ffn_up.weight`");
    refused(Model::read().put("blk.0.attn_q_norm.weight", &arange(&[8])), "`blk.0.attn_q_norm.weight`");
}

#[test]
fn a_file_of_another_kind_or_cut_short_is_an_error() {
    let home = tempdir().unwrap();
    let (path, out) = (home.path().join("model.gguf"), home.path().join("out"));
    let message = || import(&path, &out, &ImportOptions::default()).unwrap_err().to_string();
    assert!(message().contains("model.gguf"), "no such file");
    for other in [&b""[..], b"GG", b"PK\x03\x04 a ZIP archive"] {
        fs::write(&path, other).unwrap();
        assert!(message().contains("no GGUF file"));
    }
    let whole = fs::read(fixture("llama.gguf")).unwrap();
    for cut in [4, 11, 100, 3_000, 9_000, whole.len() - 1_000] {
        fs::write(&path, &whole[..cut]).unwrap();
        let error = message();
        assert!(error.contains("fetch"), "{cut}: {error}");
    }
    // A type of tensors that is not read: ggml's IQ4_NL.
    let name = b"blk.0.ffn_up.weight";
    let place = whole.windows(name.len()).position(|bytes| bytes == name).unwrap();
    let kind = place + name.len() + 4 + 2 * 8;
    let mut unknown = whole.clone();
    unknown[kind..kind + 4].copy_from_slice(&20u32.to_le_bytes());
    fs::write(&path, unknown).unwrap();
    assert!(message().contains("type number 20"));
    assert!(!out.exists());
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1, "nothing half-written stays");
}

#[test]
fn files_with_wrong_bytes_are_imported_or_refused() {
    let home = tempdir().unwrap();
    let (path, out) = (home.path().join("model.gguf"), home.path().join("out"));
    let whole = fs::read(fixture("llama.gguf")).unwrap();
    let mut stream = RecordStream::for_purpose(11, "wrong bytes");
    let mut below = |bound: usize| (stream.next_u64() % bound as u64) as usize;
    let (mut imported, mut refused) = (0, 0);
    for _ in 0..150 {
        let mut bytes = whole.clone();
        for _ in 0..=below(3) {
            // The header takes the first third; a whole number is 4 bytes or 8.
            let place = below(bytes.len() / 3);
            let value = [0, 1, 0x7f, 0xff][below(4)];
            bytes[place..][..[1, 4, 8][below(3)]].fill(value);
        }
        fs::write(&path, bytes).unwrap();
        match import(&path, &out, &ImportOptions { overwrite: true, ..ImportOptions::default() }) {
            Ok(_) => imported += 1,
            Err(_) => refused += 1,
        }
    }
    assert!(imported > 5 && refused > 30, "{imported} imported, {refused} refused");
}

#[test]
fn what_is_there_is_replaced_only_on_demand() {
    let home = tempdir().unwrap();
    let out = home.path().join("out");
    let run = |overwrite| {
        let options = ImportOptions { overwrite, ..ImportOptions::default() };
        import(&fixture("llama.gguf"), &out, &options).map_err(|error| error.to_string())
    };
    run(false).unwrap();
    assert!(run(false).unwrap_err().contains("--overwrite"));
    fs::write(out.join("model.safetensors"), "old").unwrap();
    run(true).unwrap();
    assert!(weights::open(&out).is_ok());
    fs::remove_file(out.join("config.json")).unwrap();
    assert!(run(true).unwrap_err().contains("no checkpoint"));
}
