//! What symbols can be emitted where in a corrupted text: the law's emission probabilities, laid out as tables.

use std::collections::HashMap;

use crate::alphabet::Alphabet;
use crate::law::ChannelLaw;

/// The emissions among single ASCII bytes, computed once a law.
#[derive(Clone, Debug)]
pub(crate) struct AsciiEmissions {
    insertion: Vec<f64>,
    /// At `replaced * 128 + symbol`.
    substitution: Vec<f64>,
    /// Whether a longer symbol of the alphabet begins with that byte.
    has_longer: [bool; 128],
}

impl AsciiEmissions {
    pub(crate) fn new(law: &ChannelLaw) -> Self {
        let bytes: Vec<String> = (0u8..128).map(|byte| char::from(byte).to_string()).collect();
        let single = |emissions: Vec<(usize, f64)>| emissions.first().map_or(0.0, |(_, p)| *p);
        let mut has_longer = [false; 128];
        for symbol in law.alphabet().symbols() {
            if let [first @ 0..128, _, ..] = symbol.as_bytes() {
                has_longer[usize::from(*first)] = true;
            }
        }
        Self {
            insertion: bytes.iter().map(|rest| single(law.insertion(rest))).collect(),
            substitution: bytes
                .iter()
                .flat_map(|own| bytes.iter().map(move |rest| (own, rest)))
                .map(|(own, rest)| single(law.substitution(own, rest)))
                .collect(),
            has_longer,
        }
    }
}

/// The emissions for one pair: offsets of the corrupted text fall into classes at which the same symbols can stand.
#[derive(Clone, Debug)]
pub(crate) struct Emissions {
    /// The class of each byte offset; 0 is that of offsets at which nothing can begin.
    class: Vec<u32>,
    classes: usize,
    /// An offset of each class from 1 on.
    examples: Vec<usize>,
    /// The lengths in bytes that a symbol can have here, ascending.
    lengths: Vec<usize>,
    /// At `length index * classes + class`.
    insertion: Vec<f64>,
    /// At `(form * lengths + length index) * classes + class`.
    substitution: Vec<f64>,
}

/// An offset at which a class was met first, and its byte if no longer symbol can begin there.
#[derive(Clone, Copy)]
struct Example {
    at: usize,
    byte: Option<u8>,
}

impl Emissions {
    /// `forms`: the distinct graphemes of the original.
    pub(crate) fn new(law: &ChannelLaw, ascii: &AsciiEmissions, forms: &[&str], corrupted: &str) -> Self {
        let (class, examples) = classify(law.alphabet(), ascii, forms, corrupted);
        let classes = examples.len() + 1;
        let single = |form: &str| match form.as_bytes() {
            [byte @ 0..128] => Some(usize::from(*byte) * 128),
            _ => None,
        };
        let insertions: Vec<Vec<(usize, f64)>> = examples
            .iter()
            .map(|example| match example.byte {
                Some(byte) => vec![(1, ascii.insertion[usize::from(byte)])],
                None => law.insertion(&corrupted[example.at..]),
            })
            .collect();
        let substitutions: Vec<Vec<(usize, f64)>> = forms
            .iter()
            .flat_map(|form| examples.iter().map(move |example| (*form, example)))
            .map(|(form, example)| match (single(form), example.byte) {
                (Some(row), Some(byte)) => vec![(1, ascii.substitution[row + usize::from(byte)])],
                _ => law.substitution(form, &corrupted[example.at..]),
            })
            .collect();
        let mut lengths: Vec<usize> =
            insertions.iter().chain(&substitutions).flatten().map(|(length, _)| *length).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let mut new = Self {
            class,
            classes,
            examples: examples.iter().map(|example| example.at).collect(),
            insertion: vec![0.0; lengths.len() * classes],
            substitution: vec![0.0; forms.len() * lengths.len() * classes],
            lengths,
        };
        for (class, (length, p)) in
            (1..).zip(&insertions).flat_map(|(c, all)| all.iter().map(move |e| (c, *e)))
        {
            let at = new.index(length) * classes + class;
            new.insertion[at] = p;
        }
        for (cell, all) in substitutions.iter().enumerate() {
            let (form, class) = (cell / (classes - 1), 1 + cell % (classes - 1));
            for (length, p) in all {
                let at = (form * new.lengths.len() + new.index(*length)) * classes + class;
                new.substitution[at] = *p;
            }
        }
        new
    }

    fn index(&self, length: usize) -> usize {
        self.lengths.partition_point(|known| *known < length)
    }

    /// The class of each byte offset of the corrupted text.
    pub(crate) fn class(&self) -> &[u32] {
        &self.class
    }

    /// The lengths in bytes that a symbol can have here, ascending.
    pub(crate) fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// An offset of a class at which something can begin.
    pub(crate) fn example(&self, class: usize) -> usize {
        self.examples[class - 1]
    }

    /// Of each class: the probability that an inserted symbol is the one of `lengths()[index]` bytes that stands there.
    pub(crate) fn insertion(&self, index: usize) -> &[f64] {
        &self.insertion[index * self.classes..][..self.classes]
    }

    /// As [`insertion`](Self::insertion), for what replaces the grapheme `form`.
    pub(crate) fn substitution(&self, form: usize, index: usize) -> &[f64] {
        &self.substitution[(form * self.lengths.len() + index) * self.classes..][..self.classes]
    }

    /// The largest Σ probability · e^(θ · bytes) at any offset: of an inserted symbol, or of what replaces `form`.
    pub(crate) fn greatest(&self, form: Option<usize>, theta: f64) -> f64 {
        let table = |index| match form {
            None => self.insertion(index),
            Some(form) => self.substitution(form, index),
        };
        let tilts: Vec<f64> = self.lengths.iter().map(|length| (theta * *length as f64).exp()).collect();
        let of = |class: usize| (0..tilts.len()).map(|index| table(index)[class] * tilts[index]).sum();
        (0..self.classes).map(of).fold(0.0, f64::max)
    }
}

/// The class of each offset, and an example of each class from 1 on.
fn classify(
    alphabet: &Alphabet,
    ascii: &AsciiEmissions,
    forms: &[&str],
    corrupted: &str,
) -> (Vec<u32>, Vec<Example>) {
    let bytes = corrupted.as_bytes();
    let mut longer: Vec<&str> = forms
        .iter()
        .flat_map(|form| alphabet.row_symbols(form).chain(std::iter::once(*form)))
        .filter(|symbol| symbol.len() > 1)
        .collect();
    longer.sort_unstable();
    longer.dedup();
    let mut has_longer = ascii.has_longer;
    for first in longer.iter().map(|symbol| symbol.as_bytes()[0]).filter(u8::is_ascii) {
        has_longer[usize::from(first)] = true;
    }
    let mut examples = Vec::new();
    let mut class_of_byte = [0; 128];
    let mut class_of_key: HashMap<Vec<&str>, u32> = HashMap::new();
    let mut class = vec![0; bytes.len()];
    for (at, c) in corrupted.char_indices() {
        let byte = bytes[at];
        if byte.is_ascii() && !has_longer[usize::from(byte)] {
            let known = &mut class_of_byte[usize::from(byte)];
            if *known == 0 {
                examples.push(Example { at, byte: Some(byte) });
                *known = examples.len() as u32;
            }
            class[at] = *known;
            continue;
        }
        let rest = &corrupted[at..];
        // The first character, for what an escape emits, then every symbol that may stand here.
        let mut key = vec![&rest[..c.len_utf8()]];
        key.extend(alphabet.symbols_at(rest).map(|(_, symbol)| &rest[..symbol.len()]));
        key.extend(
            longer.iter().filter(|symbol| rest.starts_with(**symbol)).map(|symbol| &rest[..symbol.len()]),
        );
        key.sort_unstable();
        key.dedup();
        class[at] = *class_of_key.entry(key).or_insert_with(|| {
            examples.push(Example { at, byte: None });
            examples.len() as u32
        });
    }
    (class, examples)
}
