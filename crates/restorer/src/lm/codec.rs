//! Texts to tokens and back.

use tokenizers::Tokenizer;

use crate::error::RestoreError;

/// How a model reads texts.
#[derive(Clone, Debug)]
pub enum Codec {
    /// UTF-8 bytes behind three special tokens, as `ByT5` has them (Xue et al. 2022, arXiv 2105.13626): pad 0, end 1, unknown 2.
    Bytes,
    /// What a `tokenizer.json` says.
    File(Box<FileCodec>),
}

/// The two readings of a `tokenizer.json`.
#[derive(Clone, Debug)]
pub struct FileCodec {
    /// Special tokens are recognized: for templates.
    special: Tokenizer,
    /// Special tokens are text like any other: for the texts of users.
    plain: Tokenizer,
}

/// The unknown token of [`Codec::Bytes`].
pub(super) const UNKNOWN: u32 = 2;
/// Token of byte 0 in [`Codec::Bytes`].
pub(super) const FIRST_BYTE: u32 = 3;

impl Codec {
    /// Reads a `tokenizer.json`; `path` stands in the error.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(path: &std::path::Path, json: &[u8]) -> Result<Self, RestoreError> {
        let special = Tokenizer::from_bytes(json).map_err(|e| RestoreError::Format {
            path: path.to_owned(),
            message: format!("is no tokenizer that can be read: {e}"),
        })?;
        let mut plain = special.clone();
        plain.set_encode_special_tokens(true);
        Ok(Self::File(Box::new(FileCodec { special, plain })))
    }

    /// The tokens of a template's part: special tokens in it count as such. With `begins`, what the tokenizer puts before
    /// every text stands before it.
    pub fn encode_template(&self, text: &str, begins: bool) -> Vec<u32> {
        match self {
            Self::Bytes => bytes(text),
            Self::File(codec) => {
                let encode = |add: bool| {
                    codec.special.encode_fast(text, add).map_or_else(|_| Vec::new(), |e| e.get_ids().to_vec())
                };
                let bare = encode(false);
                if !begins {
                    return bare;
                }
                // What it puts behind every text belongs elsewhere.
                let added = encode(true);
                let before = added.windows(bare.len().max(1)).position(|window| window == bare).unwrap_or(0);
                if bare.is_empty() {
                    added.into_iter().take(1).collect()
                } else {
                    added[..before + bare.len()].to_vec()
                }
            }
        }
    }

    /// The tokens of a user's text, in which nothing is special.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        match self {
            Self::Bytes => bytes(text),
            Self::File(codec) => {
                codec.plain.encode_fast(text, false).map_or_else(|_| Vec::new(), |e| e.get_ids().to_vec())
            }
        }
    }

    /// The text of tokens; special ones, and bytes that are no UTF-8, are left out.
    pub fn decode(&self, tokens: &[u32]) -> String {
        match self {
            Self::Bytes => {
                let byte = |token: &u32| u8::try_from(token.checked_sub(FIRST_BYTE)?).ok();
                let bytes: Vec<u8> = tokens.iter().filter_map(byte).collect();
                bytes.utf8_chunks().map(|chunk| chunk.valid()).collect()
            }
            Self::File(codec) => codec.special.decode(tokens, true).unwrap_or_default(),
        }
    }

    /// For each token the length of the text of the tokens up to it, in bytes.
    pub fn ends(&self, tokens: &[u32]) -> Vec<usize> {
        (1..=tokens.len()).map(|count| self.decode(&tokens[..count]).len()).collect()
    }
}

fn bytes(text: &str) -> Vec<u32> {
    text.bytes().map(|byte| u32::from(byte) + FIRST_BYTE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_come_back(text in "\\PC{0,40}") {
            let tokens = Codec::Bytes.encode(&text);
            prop_assert_eq!(Codec::Bytes.decode(&tokens), text.clone());
            prop_assert_eq!(Codec::Bytes.ends(&tokens).last().copied().unwrap_or(0), text.len());
        }
    }

    #[test]
    fn what_is_no_text_is_left_out() {
        assert_eq!(Codec::Bytes.decode(&[0, 3 + 0x61, 3 + 0xE9, 3 + 0x62, 1, 300]), "ab");
    }
}
