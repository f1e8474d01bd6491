//! The passages of a corpus, by split: what generation makes pairs of, without the corruptions.

use std::path::PathBuf;

use corruptor::corpus::CorpusSettings;
use corruptor::documents::{DocumentOptions, Documents, Record, UniqueDocuments};
use corruptor::resolve::Survey;
use corruptor::{IoError, Split, document_id, passages, split_of};

/// Documents, duplicates left out.
pub(super) struct Texts {
    documents: Documents,
    unique: UniqueDocuments,
    corpus: CorpusSettings,
}

impl Texts {
    /// # Errors
    /// If a path does not exist or holds nothing that can be read.
    pub(super) fn open(paths: &[PathBuf], corpus: &CorpusSettings) -> Result<Self, IoError> {
        let documents = Documents::open(paths, DocumentOptions::default())?;
        Ok(Self { documents, unique: UniqueDocuments::default(), corpus: corpus.clone() })
    }

    /// Hands the passages of the next document to `take`, with source and split, and the document to `survey`; false at the end.
    ///
    /// # Errors
    /// If a file cannot be read, an id stands for two texts, or `take` fails.
    pub(super) fn next<E: From<IoError>>(
        &mut self,
        survey: &mut Option<Survey>,
        mut take: impl FnMut(&str, Split, &str) -> Result<(), E>,
    ) -> Result<bool, E> {
        let Some(record) = self.documents.next() else { return Ok(false) };
        let Record::Document(document) = record? else { return Ok(true) };
        let source = document.source.as_deref().unwrap_or_default();
        if !self.unique.admit(source, document.doc_id.as_deref(), &document.text, &document.place)? {
            return Ok(true);
        }
        if let Some(survey) = survey {
            let id = document.doc_id.clone().unwrap_or_else(|| document_id(&document.text));
            survey.add(source, &id, &document.text);
        }
        let split = split_of(&document.text, self.corpus.shares());
        for range in passages(&document.text, self.corpus.window_bytes, self.corpus.min_passage_bytes) {
            take(source, split, &document.text[range])?;
        }
        Ok(true)
    }
}

/// Held-out passages, thinned out evenly where there are many.
#[derive(Debug)]
pub(super) struct Sample {
    texts: Vec<String>,
    bytes: usize,
    limit_bytes: usize,
    /// Every so many-th passage is kept.
    stride: usize,
    seen: usize,
}

impl Sample {
    pub(super) fn of_bytes(limit_bytes: usize) -> Self {
        Self { texts: Vec::new(), bytes: 0, limit_bytes, stride: 1, seen: 0 }
    }

    pub(super) fn add(&mut self, text: &str) {
        self.seen += 1;
        if !(self.seen - 1).is_multiple_of(self.stride) {
            return;
        }
        self.bytes += text.len();
        self.texts.push(text.to_owned());
        while self.bytes > self.limit_bytes && self.texts.len() > 1 {
            self.stride *= 2;
            let mut index = 0;
            self.texts.retain(|_| {
                index += 1;
                index % 2 == 1
            });
            self.bytes = self.texts.iter().map(String::len).sum();
        }
    }

    pub(super) fn texts(&self) -> &[String] {
        &self.texts
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_spread_over_all() {
        let mut sample = Sample::of_bytes(100);
        (0..1_000).for_each(|i| sample.add(&format!("{i:04}")));
        let numbers: Vec<usize> = sample.texts().iter().map(|text| text.parse().unwrap()).collect();
        assert!(sample.bytes() <= 100 && numbers.len() > 10);
        let step = numbers[1] - numbers[0];
        assert!(numbers.windows(2).all(|pair| pair[1] - pair[0] == step) && numbers[numbers.len() - 1] > 900);
    }
}
