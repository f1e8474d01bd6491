//! One pass over a corpus: training passages are handed on, held-out ones are kept.

use std::path::Path;

use corruptor::corpus::CorpusSettings;
use corruptor::resolve::{Survey, read_files};
use corruptor::{CorruptSettings, Split};
use rayon::prelude::*;
use restorer::RestoreError;
use restorer::prior::{Prior, bits};

use super::options::PriorOptions;
use super::texts::{Sample, Texts};
use crate::error::FinetuneError;

/// Held-out text that is looked at, of each split, at most.
const SAMPLE_BYTES: f64 = 8_388_608.0;

/// What a corpus holds besides its training passages.
pub(super) struct HeldOut {
    pub(super) valid: Sample,
    pub(super) test: Sample,
    /// The recipe's channel, resolved.
    pub(super) channel: CorruptSettings,
}

impl HeldOut {
    /// Reads the corpus, and of held-out texts a `share` of what is usual; `train` gets source and text of each training passage. `None` if it was stopped.
    ///
    /// # Errors
    /// If the recipe or the texts are not fit for it, a file cannot be read, or `train` fails.
    pub(super) fn read(
        options: &PriorOptions,
        share: f64,
        mut train: impl FnMut(&str, &str) -> Result<(), FinetuneError>,
    ) -> Result<Option<Self>, FinetuneError> {
        let corpus: CorpusSettings = options.recipe.table("corpus")?;
        corpus.validate()?;
        let channel: CorruptSettings = options.recipe.table("corrupt")?;
        let channel = read_files(channel, Path::new("")).map_err(RestoreError::Channel)?;
        let mut texts = Texts::open(&options.corpus, &corpus)?;
        let sample = || Sample::of_bytes((SAMPLE_BYTES * share) as usize);
        let (mut valid, mut test) = (sample(), sample());
        let mut take = |source: &str, split: Split, text: &str| -> Result<(), FinetuneError> {
            match split {
                Split::Train => train(source, text)?,
                Split::Valid => valid.add(text),
                Split::Test => test.add(text),
            }
            Ok(())
        };
        let mut survey = Survey::new(&corpus, &channel);
        while texts.next(&mut survey, &mut take)? {
            if options.stop.reason().is_some() {
                return Ok(None);
            }
        }
        let channel = match survey {
            Some(survey) => survey.resolve().map_err(RestoreError::Channel)?,
            None => channel,
        };
        Ok(Some(Self { valid, test, channel }))
    }
}

/// Bits of the passages and their ends over their bytes; 0 if there are none.
pub(super) fn bits_per_byte<P: Prior>(prior: &P, sample: &Sample) -> f64 {
    let of: Vec<f64> = sample.texts().par_iter().map(|text| bits(prior, text)).collect();
    of.iter().sum::<f64>() / sample.bytes().max(1) as f64
}

/// The same to four digits, for a report; `None` if there are no passages.
pub(super) fn reported<P: Prior>(prior: &P, sample: &Sample) -> Option<f64> {
    (!sample.texts().is_empty()).then(|| rounded(bits_per_byte(prior, sample), 4))
}

/// To so many digits after the point.
pub(super) fn rounded(number: f64, digits: i32) -> f64 {
    (number * 10f64.powi(digits)).round() / 10f64.powi(digits)
}
