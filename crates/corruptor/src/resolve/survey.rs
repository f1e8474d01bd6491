//! What resolving must know of the corpus, gathered in one pass over its documents.

use super::calibrate::{CalibrationRecord, calibrate};
use crate::alphabet::{AlphabetChoice, UnigramCounts};
use crate::corpus::CorpusSettings;
use crate::passage::passages;
use crate::settings::{CorruptSettings, SettingsError};
use crate::split::{Split, split_of};

/// Looks at every document once, in bounded memory, and resolves what depends on them: the corpus's own alphabet and the target
/// error rate.
///
/// Up to 64 MiB of text are calibrated on as they are, so that the realized error rate is the target; of a larger corpus, a
/// sample that only its documents determine.
#[derive(Debug)]
pub struct Survey {
    corpus: CorpusSettings,
    settings: CorruptSettings,
    unigrams: UnigramCounts,
    sample: Sample,
}

impl Survey {
    /// Text that the sample holds at most.
    pub const SAMPLE_BYTES: usize = 64 << 20;

    /// A survey for these settings, whose files have been [read](super::read_files); `None` if they depend on no document.
    pub fn new(corpus: &CorpusSettings, settings: &CorruptSettings) -> Option<Self> {
        let is_needed = settings.target_cer.is_some() || settings.alphabet == AlphabetChoice::Corpus;
        is_needed.then(|| Self {
            corpus: corpus.clone(),
            settings: settings.clone(),
            unigrams: UnigramCounts::default(),
            sample: Sample {
                documents: Vec::new(),
                text_bytes: 0,
                below: u64::MAX,
                limit_bytes: Self::SAMPLE_BYTES,
            },
        })
    }

    /// Sets how much text the sample holds at most.
    #[must_use]
    pub fn with_sample_bytes(mut self, limit_bytes: usize) -> Self {
        self.sample.limit_bytes = limit_bytes;
        self
    }

    /// Looks at a document, under the key that generation gives it; duplicates are to be left out, as there.
    pub fn add(&mut self, source: &str, doc_id: &str, text: &str) {
        let split = split_of(text, self.corpus.shares());
        // What is counted stands in the recipe, and nothing of a recipe may come from a held-out document.
        if self.settings.alphabet == AlphabetChoice::Corpus && split == Split::Train {
            self.unigrams.add(text);
        }
        if self.settings.target_cer.is_some() {
            self.sample.add(source, doc_id, text, split);
        }
    }

    /// The resolved settings: what is left in them are numbers and symbols.
    ///
    /// # Errors
    /// If the training documents have no text for an alphabet, or no factor reaches the target error rate.
    pub fn resolve(self) -> Result<CorruptSettings, SettingsError> {
        let Self { corpus, mut settings, unigrams, sample } = self;
        if settings.alphabet == AlphabetChoice::Corpus {
            settings.alphabet = unigrams.alphabet()?;
        }
        let Some(target) = settings.target_cer else { return Ok(settings) };
        let mut records = Vec::new();
        for Sampled { source, doc_id, text, split, .. } in sample.documents {
            let copies = if split == Split::Train { settings.copies } else { settings.heldout_copies };
            for range in passages(&text, corpus.window_bytes, corpus.min_passage_bytes) {
                let (source, doc_id, start) = (source.clone(), doc_id.clone(), range.start as u64);
                records.push(CalibrationRecord {
                    source,
                    doc_id,
                    start,
                    text: text[range].to_owned(),
                    copies,
                });
            }
        }
        calibrate(&settings, target, &records)
    }
}

/// Documents whose digest lies below a threshold, which falls so that they fit.
#[derive(Debug)]
struct Sample {
    documents: Vec<Sampled>,
    text_bytes: usize,
    below: u64,
    limit_bytes: usize,
}

#[derive(Debug)]
struct Sampled {
    rank: u64,
    source: String,
    doc_id: String,
    text: String,
    split: Split,
}

impl Sample {
    fn add(&mut self, source: &str, doc_id: &str, text: &str, split: Split) {
        let mut first = [0; 8];
        // Not the bytes that decide the split: a sample has all splits.
        first.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[8..16]);
        let rank = u64::from_le_bytes(first);
        if rank > self.below {
            return;
        }
        self.text_bytes += text.len();
        let (source, doc_id, text) = (source.to_owned(), doc_id.to_owned(), text.to_owned());
        self.documents.push(Sampled { rank, source, doc_id, text, split });
        // One document is always kept, however large.
        while self.text_bytes > self.limit_bytes && self.documents.len() > 1 {
            self.below /= 2;
            let lowest = self.documents.iter().map(|document| document.rank).min().unwrap_or(0);
            self.below = self.below.max(lowest);
            self.documents.retain(|document| document.rank <= self.below);
            self.text_bytes = self.documents.iter().map(|document| document.text.len()).sum();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(i: usize) -> String {
        format!("Document {i} says what it has to say, and says it in {} words. ", i * i).repeat(8)
    }

    fn settings() -> CorruptSettings {
        CorruptSettings {
            target_cer: Some(0.05),
            alphabet: AlphabetChoice::Corpus,
            ..CorruptSettings::default()
        }
    }

    #[test]
    fn only_what_depends_on_documents_needs_a_survey() {
        assert!(Survey::new(&CorpusSettings::default(), &CorruptSettings::default()).is_none());
        assert!(Survey::new(&CorpusSettings::default(), &settings()).is_some());
    }

    #[test]
    fn the_order_of_the_documents_does_not_matter_and_a_large_corpus_is_sampled() {
        let resolve = |order: &mut dyn Iterator<Item = usize>, limit| {
            let survey = Survey::new(&CorpusSettings::default(), &settings()).unwrap();
            let mut survey = survey.with_sample_bytes(limit);
            order.for_each(|i| survey.add("s", &i.to_string(), &text(i)));
            assert!(survey.sample.text_bytes <= limit);
            survey.resolve().unwrap()
        };
        let whole = resolve(&mut (0..400), 1 << 20);
        assert!(whole.alphabet.is_resolved() && whole.target_cer.is_none());
        assert_eq!(resolve(&mut (0..400).rev(), 1 << 20), whole);
        let sampled = resolve(&mut (0..400), 100 << 10);
        assert_eq!(resolve(&mut (0..400).rev(), 100 << 10), sampled);
        assert!((sampled.total_rate() / whole.total_rate() - 1.0).abs() < 0.1);
    }

    #[test]
    fn held_out_documents_are_not_counted() {
        let corpus = CorpusSettings { test_share: 0.5, ..CorpusSettings::default() };
        let mut survey = Survey::new(&corpus, &settings()).unwrap();
        let held_out = (0..50)
            .map(|i| format!("held out is document {i} ∞"))
            .filter(|t| split_of(t, corpus.shares()) != Split::Train);
        let seen = (0..50)
            .map(|i| format!("for training is document {i}"))
            .filter(|t| split_of(t, corpus.shares()) == Split::Train);
        held_out.chain(seen).for_each(|text| survey.add("s", &text, &text));
        let AlphabetChoice::Weighted(alphabet) = survey.resolve().unwrap().alphabet else {
            panic!("resolved")
        };
        assert!(alphabet.symbols.contains_key("f") && !alphabet.symbols.contains_key("∞"));
    }
}
