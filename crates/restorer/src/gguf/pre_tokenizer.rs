//! How text is cut before byte pairs are merged, by the names that llama.cpp gives.

use serde_json::{Value, json};

/// Which pieces of a text byte pairs are merged within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PreTokenizer {
    /// Words with the space before them, numbers, and everything else.
    Gpt2,
    /// The same after every digit was cut off.
    Digits,
    /// Words with any one character before them, single digits, line breaks.
    Qwen2,
    /// The same with up to three digits; a piece that is a token needs no merges.
    Llama3,
}

impl PreTokenizer {
    /// The names in `tokenizer.ggml.pre`.
    const NAMED: [(&str, Self); 13] = [
        ("gpt-2", Self::Gpt2),
        ("olmo", Self::Gpt2),
        ("phi-2", Self::Gpt2),
        ("smollm", Self::Digits),
        ("starcoder", Self::Digits),
        ("refact", Self::Digits),
        ("codeshell", Self::Digits),
        ("qwen2", Self::Qwen2),
        ("deepseek-r1-qwen", Self::Qwen2),
        ("llama-bpe", Self::Llama3),
        ("llama3", Self::Llama3),
        ("llama-v3", Self::Llama3),
        ("falcon3", Self::Llama3),
    ];

    /// The pre-tokenizer of a name.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        Self::NAMED.iter().find(|(known, _)| *known == name).map(|(_, pre)| *pre)
    }

    /// Every name, for messages.
    pub(super) fn names() -> String {
        Self::NAMED.map(|(name, _)| name).join(", ")
    }

    /// Whether a text begins with the token for it, where the metadata does not say.
    pub(super) fn adds_bos(self) -> bool {
        self == Self::Llama3
    }

    /// Whether a piece that is a token is taken without merging.
    pub(super) fn ignores_merges(self) -> bool {
        self == Self::Llama3
    }

    /// What happens to a text before.
    pub(super) fn normalizer(self) -> Value {
        if self == Self::Qwen2 { json!({"type": "NFC"}) } else { Value::Null }
    }

    /// In the form of the `tokenizers` library.
    pub(super) fn json(self) -> Value {
        match self {
            Self::Gpt2 => bytes(true),
            Self::Digits => sequence(&json!({"type": "Digits", "individual_digits": true}), &bytes(true)),
            Self::Qwen2 => sequence(&split(r"\p{N}"), &bytes(false)),
            Self::Llama3 => sequence(&split(r"\p{N}{1,3}"), &bytes(false)),
        }
    }
}

fn sequence(first: &Value, second: &Value) -> Value {
    json!({"type": "Sequence", "pretokenizers": [first, second]})
}

/// Bytes as printable characters; `cut` by GPT-2's expression, else as the pieces are.
fn bytes(cut: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": cut})
}

/// The expression that GPT-4 introduced, with its own rule for numbers.
fn split(numbers: &str) -> Value {
    let pattern = format!(
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{numbers}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    );
    json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false})
}
