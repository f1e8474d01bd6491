//! The [`Restorer`] of a prior and a channel.

use std::ops::Range;

use corruptor::{CorruptSettings, Edit, Recipe, apply_edits};
use rayon::prelude::*;

use super::decode::{Decoded, Part, decode};
use super::model::ChannelModel;
use super::observed::Window;
use super::settings::Decoding;
use super::units::Units;
use crate::checkpoint::{CheckpointFiles, RESTORER, RestorerJson};
use crate::error::RestoreError;
use crate::load::LoadOptions;
use crate::ngram::{self, NgramModel};
use crate::prior::Prior;
use crate::restorer::{ModelInfo, Restoration, RestoreRequest, Restorer};
use crate::windows::WindowSize;

/// Bytes before a window that the prior reads: more than an n-gram model remembers.
const CONTEXT_BYTES: usize = 64;

/// Restores by the channel.
#[derive(Debug)]
pub struct ChannelRestorer<P> {
    prior: P,
    model: ChannelModel,
    decoding: Decoding,
    pub(super) size: WindowSize,
    info: ModelInfo,
    pool: Option<rayon::ThreadPool>,
}

/// A window of one of several texts.
struct Place {
    text: usize,
    core: Range<usize>,
    window: Range<usize>,
}

impl ChannelRestorer<NgramModel> {
    /// Takes the files of a counted prior; the channel is that of its recipe.
    ///
    /// # Errors
    /// If a file is damaged or of another family, or the recipe's channel cannot be decoded.
    pub fn of_ngrams(files: &CheckpointFiles, options: &LoadOptions) -> Result<Self, RestoreError> {
        let (prior, _) = NgramModel::from_files(files)?;
        let json: RestorerJson = files.json(RESTORER)?;
        let format = |message: String| RestoreError::Format { path: files.path(RESTORER), message };
        let recipe = Recipe::parse(&json.recipe, RESTORER).map_err(|error| format(error.to_string()))?;
        let settings: CorruptSettings = recipe.table("corrupt").map_err(|error| format(error.to_string()))?;
        let info = ModelInfo {
            family: ngram::MODEL_TYPE.to_owned(),
            digest: files.digest()?,
            parameters: prior.arcs(),
            window_bytes: json.window_bytes,
            min_confidence: json.min_confidence,
        };
        let size = WindowSize { window_bytes: json.window_bytes, overlap_bytes: json.overlap_bytes };
        Self::new(prior, &settings, json.decoding.unwrap_or_default(), size, info, options)
            .map_err(|error| format(error.to_string()))
    }
}

impl<P: Prior> ChannelRestorer<P> {
    fn new(
        prior: P,
        settings: &CorruptSettings,
        decoding: Decoding,
        size: WindowSize,
        info: ModelInfo,
        options: &LoadOptions,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let settings = CorruptSettings { escape: settings.escape.max(decoding.escape), ..settings.clone() };
        let law = corruptor::ChannelLaw::new(&settings)?;
        let units = Units::of_prior(&prior, law.alphabet().symbols().iter().map(String::as_str));
        let model = ChannelModel::new(&settings, units, decoding.weights)?;
        Ok(Self { prior, model, decoding, size, info, pool: options.thread_pool()? })
    }

    /// The places of all windows, in order.
    fn places(&self, requests: &[RestoreRequest]) -> Vec<Place> {
        let mut places = Vec::with_capacity(requests.len());
        for (text, request) in requests.iter().enumerate() {
            let cores = self.size.cores(&request.text).into_iter();
            places.extend(cores.map(|core| Place {
                text,
                window: self.size.window(&request.text, &core),
                core,
            }));
        }
        places
    }

    fn decode(&self, text: &str, place: &Place) -> Decoded {
        let Range { start, end } = place.window;
        let window =
            Window { text: &text[start..end], starts: start == 0, ends: end == text.len(), protected: &[] };
        let context = &text[text.ceil_char_boundary(start.saturating_sub(CONTEXT_BYTES))..start];
        decode(&self.model, &self.prior, &self.decoding.beam, &self.decoding.posterior, window, context)
    }
}

impl<P: Prior> Restorer for ChannelRestorer<P> {
    fn restore(&self, requests: &[RestoreRequest]) -> Result<Vec<Restoration>, RestoreError> {
        let places = self.places(requests);
        let run = || {
            let decoded = places.par_iter().map(|place| self.decode(&requests[place.text].text, place));
            decoded.collect::<Vec<_>>()
        };
        let decoded = match &self.pool {
            Some(pool) => pool.install(run),
            None => run(),
        };
        let mut windows = places.iter().zip(decoded).peekable();
        let restore = |(text, request): (usize, &RestoreRequest)| {
            let own = std::iter::from_fn(|| windows.next_if(|(place, _)| place.text == text));
            let threshold = request.options.min_confidence.unwrap_or(self.info.min_confidence);
            join(&request.text, own, threshold)
        };
        Ok(requests.iter().enumerate().map(restore).collect())
    }

    fn tokens(&self, text: &str) -> usize {
        text.len() + 1
    }

    fn info(&self) -> &ModelInfo {
        &self.info
    }
}

/// Joins the windows of a text: each has the say in its core.
fn join<'p>(text: &str, windows: impl Iterator<Item = (&'p Place, Decoded)>, threshold: f32) -> Restoration {
    let (mut edits, mut confidence, mut passes): (Vec<Edit>, f64, usize) = (Vec::new(), 1.0, 0);
    for (Place { core, window, .. }, decoded) in windows {
        passes += 1;
        let owns = |at: usize| core.contains(&at) || at == core.end && at == text.len();
        for Part { input, edits: of_part, share, .. } in decoded.parts {
            confidence *= if owns(window.start + input.start) { share } else { 1.0 };
            for edit in of_part {
                let (start, end) = (window.start + edit.start, window.start + edit.end);
                let is_free = edits.last().is_none_or(|before| before.end <= start);
                if owns(start) && is_free && edit.confidence >= threshold {
                    edits.push(Edit { start, end, ..edit });
                }
            }
        }
    }
    // Edits of consecutive cores are sorted and disjoint; the input is the answer if that were ever untrue.
    match apply_edits(text, &edits) {
        Ok(restored) => Restoration { text: restored, edits, confidence: confidence as f32, passes },
        Err(_) => Restoration { text: text.to_owned(), edits: Vec::new(), confidence: 0.0, passes },
    }
}
