//! Offsets into a text in other units than bytes, as other languages count.

use serde::{Deserialize, Serialize};

use crate::edit::Edit;

/// What an offset counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OffsetUnit {
    /// Bytes of UTF-8: Rust, Go.
    #[default]
    Byte,
    /// Code points: Python.
    CodePoint,
    /// Code units of UTF-16: JavaScript, Java, .NET, the Language Server Protocol.
    Utf16,
}

impl OffsetUnit {
    /// Their names, as JSON has them.
    pub const NAMES: [&str; 3] = ["byte", "codepoint", "utf16"];

    /// The unit of one of [`Self::NAMES`].
    pub fn of_name(name: &str) -> Option<Self> {
        [Self::Byte, Self::CodePoint, Self::Utf16].into_iter().find(|unit| unit.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        let [byte, code_point, utf16] = Self::NAMES;
        match self {
            Self::Byte => byte,
            Self::CodePoint => code_point,
            Self::Utf16 => utf16,
        }
    }

    /// How much of this unit a piece of text takes.
    pub fn length(self, text: &str) -> usize {
        match self {
            Self::Byte => text.len(),
            Self::CodePoint => text.chars().count(),
            Self::Utf16 => text.chars().map(char::len_utf16).sum(),
        }
    }

    /// The byte at an offset; none where that lies beyond the text or inside of a code point.
    pub fn to_byte(self, text: &str, offset: usize) -> Option<usize> {
        if self == Self::Byte {
            return text.is_char_boundary(offset).then_some(offset);
        }
        let mut seen = 0;
        let ends = text
            .char_indices()
            .map(|(byte, character)| (byte, self.length(character.encode_utf8(&mut [0; 4]))));
        for (byte, length) in ends {
            if seen >= offset {
                return (seen == offset).then_some(byte);
            }
            seen += length;
        }
        (seen == offset).then_some(text.len())
    }

    /// Turns the byte offsets of edits over `text`, sorted and without overlap, into this unit. An offset that is no boundary of code
    /// points becomes that of the boundary before it.
    pub fn convert(self, text: &str, edits: &mut [Edit]) {
        if self == Self::Byte {
            return;
        }
        let (mut byte, mut seen) = (0, 0);
        let mut to = |at: usize| {
            let at = text.floor_char_boundary(at).max(byte);
            seen += self.length(&text[byte..at]);
            byte = at;
            seen
        };
        for edit in edits {
            edit.start = to(edit.start);
            edit.end = to(edit.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn units_are_those_of_other_languages() {
        let text = "né 👩‍🔬!";
        assert_eq!(OffsetUnit::NAMES.map(|name| OffsetUnit::of_name(name).unwrap().length(text)), [16, 7, 9]);
        assert_eq!(OffsetUnit::Utf16.to_byte(text, 3), Some(4));
        assert_eq!(OffsetUnit::Utf16.to_byte(text, 4), None, "half a surrogate pair");
        assert_eq!(OffsetUnit::CodePoint.to_byte(text, 7), Some(16));
        assert_eq!(OffsetUnit::CodePoint.to_byte(text, 8), None);
        assert_eq!(OffsetUnit::Byte.to_byte(text, 2), None);
        assert_eq!(OffsetUnit::of_name("words"), None);
    }

    proptest! {
        #[test]
        fn there_and_back(text in "\\PC{0,20}", places in prop::collection::vec(0usize..80, 0..8)) {
            let mut places: Vec<usize> = places.into_iter().map(|at| text.floor_char_boundary(at)).collect();
            places.sort_unstable();
            let edits: Vec<Edit> = places
                .as_chunks::<2>()
                .0
                .iter()
                .map(|&[start, end]| Edit { start, end, replacement: String::new(), confidence: 1.0 })
                .collect();
            for unit in [OffsetUnit::Byte, OffsetUnit::CodePoint, OffsetUnit::Utf16] {
                let mut converted = edits.clone();
                unit.convert(&text, &mut converted);
                for (found, edit) in converted.iter().zip(&edits) {
                    prop_assert_eq!(found.start, unit.length(&text[..edit.start]));
                    prop_assert_eq!(unit.to_byte(&text, found.start), Some(edit.start));
                    prop_assert_eq!(unit.to_byte(&text, found.end), Some(edit.end));
                }
            }
        }
    }
}
