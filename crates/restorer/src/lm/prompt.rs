//! What a model reads: a template around the corrupted text.

use super::codec::Codec;
use crate::error::RestoreError;

/// Where the text goes in a template.
const PLACE: &str = "{text}";

/// A template as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Prompt {
    before: Vec<u32>,
    after: Vec<u32>,
}

impl Prompt {
    /// Compiles a template: `start` stands before everything, `end` behind.
    ///
    /// # Errors
    /// If it does not hold `{text}` exactly once.
    pub(super) fn new(
        template: &str,
        codec: &Codec,
        start: &[u32],
        end: &[u32],
    ) -> Result<Self, RestoreError> {
        let parts: Vec<&str> = template.split(PLACE).collect();
        let [before, after] = parts.as_slice() else {
            let message = format!("{template:?} must hold {PLACE} exactly once");
            return Err(RestoreError::Config { key: "prompt", message });
        };
        Ok(Self {
            before: [start, &codec.encode_template(before, true)].concat(),
            after: [&codec.encode_template(after, false), end].concat(),
        })
    }

    /// What the model reads for a text of these tokens.
    pub(super) fn around(&self, text: &[u32]) -> Vec<u32> {
        [&self.before, text, &self.after].concat()
    }

    /// Tokens beside the text.
    pub(super) fn tokens(&self) -> usize {
        self.before.len() + self.after.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stands_in_its_place() {
        let prompt = Prompt::new("a{text}b", &Codec::Bytes, &[0], &[1]).unwrap();
        let letter = |c: char| c as u32 + 3;
        assert_eq!(prompt.around(&Codec::Bytes.encode("x")), [0, letter('a'), letter('x'), letter('b'), 1]);
        for template in ["no place", "{text} {text}"] {
            assert!(
                Prompt::new(template, &Codec::Bytes, &[], &[]).unwrap_err().to_string().contains("{text}")
            );
        }
    }
}
