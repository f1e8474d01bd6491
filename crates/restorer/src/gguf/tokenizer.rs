//! The tokenizer: taken from a file, or rebuilt from the metadata.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use super::file::GgufFile;
use super::pre_tokenizer::PreTokenizer;
use super::shape::Shape;
use super::{TOKENIZER, TokenizerOrigin};
use crate::error::RestoreError;

const MODEL: &str = "tokenizer.ggml.model";
const PRE: &str = "tokenizer.ggml.pre";
const TOKENS: &str = "tokenizer.ggml.tokens";
const TYPES: &str = "tokenizer.ggml.token_type";
const MERGES: &str = "tokenizer.ggml.merges";

/// Kinds of tokens (`tokenizer.ggml.token_type`).
const NORMAL: usize = 1;
const CONTROL: usize = 3;
const USER_DEFINED: usize = 4;

/// Tokens by role.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SpecialIds {
    pub(super) bos: Option<usize>,
    pub(super) eos: Option<usize>,
    pub(super) pad: Option<usize>,
    pub(super) unknown: Option<usize>,
    pub(super) end_of_turn: Option<usize>,
}

impl SpecialIds {
    /// Reads `tokenizer.ggml.*_token_id`, and checks that there are such tokens.
    pub(super) fn read(file: &GgufFile, shape: &Shape) -> Result<Self, RestoreError> {
        let id = |role: &str| {
            let key = format!("tokenizer.ggml.{role}_token_id");
            match file.get::<usize>(&key)? {
                Some(id) if id >= shape.vocab => {
                    Err(file
                        .error(format!("metadata key `{key}` is {id}, but there are {} tokens", shape.vocab)))
                }
                id => Ok(id),
            }
        };
        Ok(Self {
            bos: id("bos")?,
            eos: id("eos")?,
            pad: id("padding")?,
            unknown: id("unknown")?,
            end_of_turn: id("eot")?,
        })
    }

    /// What `config.json` says, by key.
    pub(super) fn named(self) -> impl Iterator<Item = (&'static str, usize)> {
        let all = [("bos_token_id", self.bos), ("eos_token_id", self.eos), ("pad_token_id", self.pad)];
        all.into_iter().filter_map(|(key, id)| Some((key, id?)))
    }
}

/// `tokenizer_config.json`: special tokens by role, and the chat template.
pub(super) fn config_json(
    file: &GgufFile,
    shape: &Shape,
    special: SpecialIds,
) -> Result<Value, RestoreError> {
    let tokens: Vec<&str> = file.get(TOKENS)?.unwrap_or_default();
    let mut config = json!({
        "clean_up_tokenization_spaces": false,
        "model_max_length": shape.context,
        "tokenizer_class": "PreTrainedTokenizerFast",
    });
    let roles = [
        ("bos_token", special.bos),
        ("eos_token", special.eos),
        ("pad_token", special.pad),
        ("unk_token", special.unknown),
    ];
    for (role, id) in roles {
        if let Some(token) = id.and_then(|id| tokens.get(id)) {
            config[role] = (*token).into();
        }
    }
    if let Some(template) = file.get::<&str>("tokenizer.chat_template")? {
        config["chat_template"] = template.into();
    }
    Ok(config)
}

/// The contents of `tokenizer.json`: `given`, else the one beside the GGUF file, else rebuilt.
pub(super) fn tokenizer_json(
    file: &GgufFile,
    shape: &Shape,
    given: Option<&Path>,
) -> Result<(Vec<u8>, TokenizerOrigin), RestoreError> {
    let beside = || Some(file.path().with_file_name(TOKENIZER)).filter(|path| path.exists());
    if let Some(path) = given.map(Path::to_owned).or_else(beside) {
        let text = read_given(file, shape, &path)?;
        return Ok((text, TokenizerOrigin::File(path)));
    }
    // What says "default" was made when converters did not look at it.
    let pre = file.get(PRE)?.filter(|pre: &&str| *pre != "default");
    let value = byte_pairs(file, shape, pre)?;
    let text = serde_json::to_vec(&value).map_err(|e| file.error(format!("tokenizer: {e}")))?;
    Ok((text, TokenizerOrigin::Metadata { pre_tokenizer: pre.map(str::to_owned) }))
}

/// Reads a `tokenizer.json`, and holds its tokens to those that the GGUF file names.
fn read_given(file: &GgufFile, shape: &Shape, path: &Path) -> Result<Vec<u8>, RestoreError> {
    let text = std::fs::read(path).map_err(|source| RestoreError::Io { path: path.to_owned(), source })?;
    let error = |message: String| RestoreError::Format { path: PathBuf::from(path), message };
    let value: Value =
        serde_json::from_slice(&text).map_err(|e| error(format!("is no tokenizer.json: {e}")))?;
    let known: Vec<(&str, usize)> = match &value["model"]["vocab"] {
        Value::Object(vocab) => {
            vocab.iter().filter_map(|(token, id)| Some((token.as_str(), id.as_u64()? as usize))).collect()
        }
        Value::Array(pieces) => {
            pieces.iter().enumerate().filter_map(|(id, piece)| Some((piece[0].as_str()?, id))).collect()
        }
        _ => return Err(error("is no tokenizer.json: it has no `model.vocab`".to_owned())),
    };
    if let Some((token, id)) = known.iter().find(|(_, id)| *id >= shape.vocab) {
        let message = format!("token `{token}` is number {id}, but the model has {} tokens", shape.vocab);
        return Err(error(format!("{message}; it is another model's")));
    }
    let tokens: Vec<&str> = file.get(TOKENS)?.unwrap_or_default();
    let types: Vec<usize> = file.get(TYPES)?.unwrap_or_default();
    let unlike = |(token, id): &&(&str, usize)| {
        types.get(*id) == Some(&NORMAL) && tokens.get(*id).is_some_and(|ours| ours != token)
    };
    match known.iter().find(unlike) {
        Some((token, id)) => Err(error(format!(
            "token {id} is `{token}`, but `{}` in {}; it is another model's: name the right one (--tokenizer)",
            tokens[*id],
            file.path().display()
        ))),
        None => Ok(text),
    }
}

/// A byte-level tokenizer of merges.
fn byte_pairs(file: &GgufFile, shape: &Shape, pre: Option<&str>) -> Result<Value, RestoreError> {
    let ask = "give the original model's tokenizer.json (--tokenizer)";
    let model: &str = file.need(MODEL)?;
    if model != "gpt2" {
        let kind = if model == "llama" { " (SentencePiece)" } else { "" };
        let model = model.escape_debug();
        return Err(file.error(format!(
            "its tokenizer is of the kind \"{model}\"{kind}, which cannot be rebuilt from the file; {ask}"
        )));
    }
    let cut = PreTokenizer::of_name(pre.unwrap_or("gpt-2")).ok_or_else(|| {
        let known = PreTokenizer::names();
        let pre = pre.unwrap_or_default().escape_debug();
        file.error(format!("`{PRE}` is \"{pre}\", which is not known here; {ask}. Known are {known}"))
    })?;
    let tokens: Vec<&str> = file.need(TOKENS)?;
    let types: Vec<usize> = file.get(TYPES)?.unwrap_or_default();
    if tokens.len() > shape.vocab {
        let message = format!("{} tokens, but embeddings for {}", tokens.len(), shape.vocab);
        return Err(file.error(format!("metadata key `{TOKENS}` has {message}; {ask}")));
    }
    let vocab: HashMap<&str, usize> =
        tokens.iter().enumerate().rev().map(|(id, token)| (*token, id)).collect();
    let is_added = |(_, (_, kind)): &(usize, (&&str, &usize))| matches!(**kind, CONTROL | USER_DEFINED);
    let added = tokens.iter().zip(&types).enumerate().filter(is_added).map(|(id, (token, kind))| {
        json!({
            "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": *kind == CONTROL,
        })
    });
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added.collect::<Vec<_>>(),
        "normalizer": cut.normalizer(),
        "pre_tokenizer": cut.json(),
        "post_processor": post_processor(file, &tokens, cut)?,
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": cut.ignores_merges(),
            "vocab": vocab.iter().map(|(token, id)| ((*token).to_owned(), json!(id))).collect::<Map<_, _>>(),
            "merges": merges(file, &vocab)?,
        },
    }))
}

/// The merges as pairs, each of tokens that make a token.
fn merges<'a>(file: &'a GgufFile, vocab: &HashMap<&str, usize>) -> Result<Vec<[&'a str; 2]>, RestoreError> {
    let merges: Vec<&str> = file.need(MERGES)?;
    let pair = |merge: &'a str| {
        // A token has at least one character, which may be a space.
        let first = merge.chars().next()?.len_utf8();
        let space = first + merge[first..].find(' ')?;
        let (left, right) = (&merge[..space], &merge[space + 1..]);
        let whole = [left, right].concat();
        [left, right, &whole].iter().all(|token| vocab.contains_key(token)).then_some([left, right])
    };
    let bad = |merge: &str| {
        file.error(format!(
            "metadata key `{MERGES}`: \"{}\" does not join two tokens to one",
            merge.escape_debug()
        ))
    };
    merges.into_iter().map(|merge| pair(merge).ok_or_else(|| bad(merge))).collect()
}

/// Puts the tokens for beginning and end around a text, where the model wants them.
fn post_processor(file: &GgufFile, tokens: &[&str], cut: PreTokenizer) -> Result<Value, RestoreError> {
    let adds = |role: &str, otherwise: bool| {
        let adds = file.get(&format!("tokenizer.ggml.add_{role}_token"))?.unwrap_or(otherwise);
        let key = format!("tokenizer.ggml.{role}_token_id");
        if !adds {
            return Ok(None);
        }
        let id: usize = file.need(&key)?;
        let missing = || file.error(format!("metadata key `{key}` is {id}, but there is no such token"));
        tokens.get(id).map(|token| Some((*token, id))).ok_or_else(missing)
    };
    let (bos, eos) = (adds("bos", cut.adds_bos())?, adds("eos", false)?);
    if bos.is_none() && eos.is_none() {
        return Ok(Value::Null);
    }
    let around = |sequence: &str, type_id: u8| {
        let special = |token: &str| json!({"SpecialToken": {"id": token, "type_id": type_id}});
        let bos = bos.map(|(token, _)| special(token));
        let eos = eos.map(|(token, _)| special(token));
        let text = json!({"Sequence": {"id": sequence, "type_id": type_id}});
        bos.into_iter().chain([text]).chain(eos).collect::<Vec<_>>()
    };
    let special =
        |(token, id): (&str, usize)| (token.to_owned(), json!({"id": token, "ids": [id], "tokens": [token]}));
    let pair = [around("A", 0), around("B", 1)].concat();
    Ok(json!({
        "type": "TemplateProcessing",
        "single": around("A", 0),
        "pair": pair,
        "special_tokens": bos.into_iter().chain(eos).map(special).collect::<Map<_, _>>(),
    }))
}
