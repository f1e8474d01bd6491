//! The [`Restorer`] of a prior and a channel.

use std::ops::Range;
use std::sync::Arc;

use corruptor::{ChannelLaw, CorruptSettings, Edit, Recipe, apply_edits, widen_edits};
use rayon::prelude::*;

use super::alternatives::{Doubtful, others};
use super::decode::{Decoded, Evidence, decode};
use super::model::ChannelModel;
use super::observed::Window;
use super::settings::Decoding;
use super::suspicion::{suspected, suspicion};
use super::units::Units;
use crate::calibration::Calibration;
use crate::checkpoint::{CheckpointFiles, RESTORER, RestorerJson};
use crate::error::RestoreError;
use crate::load::LoadOptions;
use crate::ngram::{self, NgramModel};
use crate::prior::Prior;
use crate::restorer::{ModelInfo, Restoration, RestoreRequest, Restorer};
use crate::tagger::Tagger;
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
    tagger: Option<Arc<Tagger>>,
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
        let info = ModelInfo {
            family: ngram::MODEL_TYPE.to_owned(),
            parameters: prior.arcs(),
            ..ModelInfo::default()
        };
        Self::of_prior(prior, info, files, options)
    }
}

impl<P: Prior> ChannelRestorer<P> {
    /// Takes a prior and the `restorer.json` of a checkpoint.
    pub(crate) fn of_prior(
        prior: P,
        info: ModelInfo,
        files: &CheckpointFiles,
        options: &LoadOptions,
    ) -> Result<Self, RestoreError> {
        let json: RestorerJson = files.json(RESTORER)?;
        let format = |error: &dyn std::fmt::Display| RestoreError::Format {
            path: files.path(RESTORER),
            message: error.to_string(),
        };
        let settings = if let Some(settings) = &options.channel {
            settings.as_ref().clone()
        } else {
            let recipe = Recipe::parse(&json.recipe, RESTORER).map_err(|error| format(&error))?;
            recipe.table("corrupt").map_err(|error| format(&error))?
        };
        let info = ModelInfo {
            digest: files.digest()?,
            window_bytes: json.window_bytes,
            min_confidence: json.min_confidence,
            calibrated: json.decoding.is_some() && !options.raw_confidence,
            ..info
        };
        let size = WindowSize { window_bytes: json.window_bytes, overlap_bytes: json.overlap_bytes };
        size.validate().map_err(|message| format(&message))?;
        let mut decoding = json.decoding.unwrap_or_default();
        if options.raw_confidence {
            decoding.calibration = Calibration::default();
        }
        let new = Self::new(prior, &settings, decoding, json.min_confidence, options)?;
        Ok(Self { size, info, ..new })
    }

    /// Decodes the channel of `settings` under `prior`; edits less probable than `min_confidence` are not applied.
    ///
    /// # Errors
    /// If the channel is not resolved or cannot be decoded, `decoding` is out of range, or the threads cannot be started.
    pub fn new(
        prior: P,
        settings: &CorruptSettings,
        decoding: Decoding,
        min_confidence: f32,
        options: &LoadOptions,
    ) -> Result<Self, RestoreError> {
        let settings = CorruptSettings { escape: settings.escape.max(decoding.escape), ..settings.clone() };
        decoding.validate()?;
        let law = ChannelLaw::new(&settings)?;
        let units = Units::of_prior(&prior, law.alphabet().symbols().iter().map(String::as_str));
        let model = ChannelModel::new(law, units, decoding.weights)?;
        let info = ModelInfo {
            family: "prior".to_owned(),
            digest: "new".to_owned(),
            parameters: 0,
            window_bytes: WindowSize::CHANNEL.window_bytes,
            min_confidence,
            calibrated: false,
        };
        let pool = options.thread_pool()?;
        Ok(Self { prior, model, decoding, size: WindowSize::CHANNEL, info, tagger: None, pool })
    }

    /// The same, with a tagger whose suspicion counts as `decoding.weights.suspicion` says.
    #[must_use]
    pub fn with_tagger(self, tagger: Option<Arc<Tagger>>) -> Self {
        Self { tagger, ..self }
    }

    /// Whether a tagger is asked.
    pub fn has_tagger(&self) -> bool {
        self.tagger.is_some()
    }

    /// The same, decoded in another way.
    ///
    /// # Errors
    /// If a value is out of range.
    pub fn with_decoding(self, decoding: Decoding) -> Result<Self, RestoreError> {
        decoding.validate()?;
        Ok(Self { model: self.model.with_weights(decoding.weights), decoding, ..self })
    }

    /// Restores every request, in order, and says what speaks for each being clean; of a text of several windows the least of it.
    ///
    /// # Errors
    /// If the tagger's tensor library fails.
    pub fn examine(&self, requests: &[RestoreRequest]) -> Result<Vec<(Restoration, Evidence)>, RestoreError> {
        let suspected = match &self.tagger {
            Some(tagger) => suspected(tagger.as_ref(), requests)?,
            None => vec![Vec::new(); requests.len()],
        };
        Ok(self.weigh(requests, &suspected))
    }

    /// Restores every request, in order; `suspected` is what the tagger proposes for each.
    fn weigh(&self, requests: &[RestoreRequest], suspected: &[Vec<Edit>]) -> Vec<(Restoration, Evidence)> {
        let places = self.places(requests);
        let protected: Vec<_> = requests.iter().map(RestoreRequest::protected).collect();
        let decode = |place: &Place| {
            let suspicion = suspicion(&suspected[place.text], &place.window);
            let mut decoded = self.decode(&requests[place.text], place, &protected[place.text], suspicion);
            decoded.evidence.suspicion = suspicion;
            decoded
        };
        let run = || places.par_iter().map(decode).collect::<Vec<_>>();
        let decoded = match &self.pool {
            Some(pool) => pool.install(run),
            None => run(),
        };
        let mut windows = places.iter().zip(decoded).peekable();
        let restore = |(text, request): (usize, &RestoreRequest)| {
            let own: Vec<_> =
                std::iter::from_fn(|| windows.next_if(|(place, _)| place.text == text)).collect();
            let mut least = Evidence { share: 1.0, gap: 0.0, suspicion: 0.0 };
            for (_, Decoded { evidence, .. }) in &own {
                least.share = least.share.min(evidence.share);
                least.gap = least.gap.max(evidence.gap);
                least.suspicion = least.suspicion.max(evidence.suspicion);
            }
            let threshold = request.options.min_confidence.unwrap_or(self.info.min_confidence);
            let calibrated = self.info.calibrated;
            let joining = Joining { calibration: self.decoding.calibration, calibrated, threshold };
            (joining.join(&request.text, own.into_iter(), request.options.alternatives), least)
        };
        requests.iter().enumerate().map(restore).collect()
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

    fn decode(
        &self,
        request: &RestoreRequest,
        place: &Place,
        protected: &[Range<usize>],
        suspicion: f64,
    ) -> Decoded {
        let text = &request.text;
        let Range { start, end } = place.window;
        let inside = protected.iter().filter(|range| range.start < end && start < range.end);
        let protected: Vec<_> =
            inside.map(|range| range.start.max(start) - start..range.end.min(end) - start).collect();
        let window = Window {
            text: &text[start..end],
            starts: start == 0,
            ends: end == text.len(),
            protected: &protected,
            clean: self.decoding.weights.clean_under(suspicion),
        };
        let context = &text[text.ceil_char_boundary(start.saturating_sub(CONTEXT_BYTES))..start];
        decode(
            &self.model,
            &self.prior,
            &self.decoding.beam,
            &self.decoding.posterior,
            window,
            context,
            request.options.alternatives,
        )
    }
}

impl<P: Prior> Restorer for ChannelRestorer<P> {
    fn restore(&self, requests: &[RestoreRequest]) -> Result<Vec<Restoration>, RestoreError> {
        let suspected = match &self.tagger {
            Some(tagger) if self.decoding.weights.suspicion > 0.0 => suspected(tagger.as_ref(), requests)?,
            _ => vec![Vec::new(); requests.len()],
        };
        Ok(self.weigh(requests, &suspected).into_iter().map(|(restoration, _)| restoration).collect())
    }

    fn tokens(&self, text: &str) -> usize {
        text.len() + 1
    }

    fn info(&self) -> &ModelInfo {
        &self.info
    }
}

/// How the windows of a text become one restoration.
struct Joining {
    calibration: Calibration,
    calibrated: bool,
    threshold: f32,
}

impl Joining {
    /// Each window has the say in its core.
    fn join<'p>(
        &self,
        text: &str,
        windows: impl Iterator<Item = (&'p Place, Decoded)>,
        alternatives: usize,
    ) -> Restoration {
        let (mut edits, mut confidence, mut passes): (Vec<Edit>, f64, usize) = (Vec::new(), 1.0, 0);
        let mut doubtful = Vec::new();
        for (Place { core, window, .. }, decoded) in windows {
            passes += 1;
            if decoded.ln_best == f64::NEG_INFINITY {
                confidence = 0.0;
            }
            let owns = |at: usize| core.contains(&at) || at == core.end && at == text.len();
            for part in decoded.parts {
                let input = window.start + part.input.start..window.start + part.input.end;
                for (edit, share) in part.edits.into_iter().zip(part.shares) {
                    let (start, end) = (window.start + edit.start, window.start + edit.end);
                    let is_free = edits.last().is_none_or(|before| before.end <= start);
                    let confidence = self.calibration.probability(share) as f32;
                    if owns(start) && is_free && confidence >= self.threshold {
                        edits.push(Edit { start, end, confidence, ..edit });
                    }
                }
                if owns(input.start) {
                    confidence *= part.share;
                    doubtful.push(Doubtful { input, originals: part.originals });
                }
            }
        }
        let edits = widen_edits(text, edits);
        // Edits of consecutive cores are sorted and disjoint; the input is the answer if that were ever untrue.
        let (restored, edits, confidence) = match apply_edits(text, &edits) {
            Ok(restored) => (restored, edits, confidence as f32),
            Err(_) => (text.to_owned(), Vec::new(), 0.0),
        };
        let alternatives = others(text, &restored, &doubtful, alternatives);
        Restoration { text: restored, edits, confidence, calibrated: self.calibrated, passes, alternatives }
    }
}
