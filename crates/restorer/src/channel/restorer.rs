//! The [`Restorer`] of a prior and a channel.

use std::sync::Arc;
use std::time::{Duration, Instant};

use corruptor::likelihood::Likelihood;
use corruptor::{CorruptSettings, Edit, Recipe};

use super::asking::{Asker, advance};
use super::decode::{Decoded, Evidence, Part, decode};
use super::model::ChannelModel;
use super::observed;
use super::settings::{Beam, Decoding};
use super::suspicion::{suspected, suspicion};
use super::units::Units;
use crate::calibration::Calibration;
use crate::checkpoint::{CheckpointFiles, RESTORER, RestorerJson};
use crate::engine::{
    Cost, DocumentSettings, Doubtful, Engine, EngineLimits, Family, Running, Summary, Window, WindowEdits,
    summaries,
};
use crate::error::RestoreError;
use crate::load::LoadOptions;
use crate::ngram::{self, NgramModel};
use crate::prior::{END, Prior, Symbol};
use crate::restorer::{self, ModelInfo, Restoration, RestoreRequest, Restorer};
use crate::tagger::Tagger;
use crate::windows::WindowSize;

/// Bytes before a window that the prior reads: more than an n-gram model remembers.
const CONTEXT_BYTES: usize = 64;
/// Time that searches go on in one step.
const STEP: Duration = Duration::from_millis(25);
/// Bytes that a search comes through in a step, about.
const STEP_TOKENS: usize = 64;
/// Hypotheses that a search keeps for each byte, about.
const BYTE_HYPOTHESES: usize = 64;
/// Bytes of a hypothesis beside the prior's state, about.
const HYPOTHESIS_BYTES: usize = 100;

/// Restores by the channel.
#[derive(Debug)]
pub struct ChannelRestorer<P> {
    prior: P,
    model: ChannelModel,
    likelihood: Likelihood,
    decoding: Decoding,
    pub(super) size: WindowSize,
    info: ModelInfo,
    text_calibration: Option<Calibration>,
    tagger: Option<Arc<Tagger>>,
    pub(crate) pool: Option<rayon::ThreadPool>,
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
        let size = options
            .size(WindowSize { window_bytes: json.window_bytes, overlap_bytes: json.overlap_bytes })?;
        let info = ModelInfo {
            digest: files.digest()?,
            decodings: vec![restorer::Decoding::Channel],
            window_bytes: size.window_bytes,
            min_confidence: json.min_confidence,
            calibrated: json.decoding.is_some() && !options.raw_confidence,
            text_calibrated: options.of_texts(json.text_calibration).is_some(),
            profile: json.profile,
            ..info
        };
        let mut decoding = json.decoding.unwrap_or_default();
        if options.raw_confidence {
            decoding.calibration = Calibration::default();
        }
        let new = Self::new(prior, &settings, decoding, json.min_confidence, options)?;
        let text_calibration = options.of_texts(json.text_calibration);
        Ok(Self { size, info, text_calibration, ..new })
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
        let likelihood = Likelihood::new(&settings)?;
        let law = likelihood.law().clone();
        let units = Units::of_prior(&prior, law.alphabet().symbols().iter().map(String::as_str));
        let model = ChannelModel::new(law, units, decoding.weights)?;
        let info = ModelInfo {
            family: "prior".to_owned(),
            digest: "new".to_owned(),
            decodings: vec![restorer::Decoding::Channel],
            parameters: 0,
            window_bytes: WindowSize::CHANNEL.window_bytes,
            min_confidence,
            calibrated: false,
            text_calibrated: false,
            profile: None,
        };
        let pool = options.thread_pool()?;
        Ok(Self {
            prior,
            model,
            likelihood,
            decoding,
            size: WindowSize::CHANNEL,
            info,
            text_calibration: None,
            tagger: None,
            pool,
        })
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
        let all = summaries(self.engine(EngineLimits::default()), requests).into_iter();
        let evidence =
            |(restoration, summary): (_, Summary)| (restoration, summary.evidence.unwrap_or_default());
        all.map(|one| one.map(evidence)).collect()
    }

    /// ln of the prior's probability of `original`, as it is weighed in decoding, and of the channel's of making `corrupted` of it.
    pub(crate) fn ln_joint(&self, original: &str, corrupted: &str) -> f64 {
        let symbols: Vec<Symbol> = original.bytes().chain([END]).collect();
        let mut next = Vec::with_capacity(symbols.len());
        self.prior.read(&self.prior.start(), &symbols, &mut next);
        let ln_prior: f64 = next.iter().map(|(ln, _)| f64::from(*ln)).sum();
        self.decoding.weights.prior * ln_prior + self.likelihood.score(original, corrupted).ln_probability
    }

    /// How much the tagger suspects each window, in nats.
    fn suspicions(&self, windows: &[Arc<Window>]) -> Result<Vec<f64>, RestoreError> {
        let Some(tagger) = &self.tagger else { return Ok(vec![0.0; windows.len()]) };
        let request = |window: &Arc<Window>| RestoreRequest {
            protected: window.protected.clone(),
            ..RestoreRequest::new(window.text.as_str())
        };
        let found = suspected(tagger.as_ref(), windows.iter().map(request).collect())?;
        Ok(found.iter().map(|edits| suspicion(edits)).collect())
    }

    fn found(&self, decoded: Decoded) -> WindowEdits {
        let Decoded { parts, ln_best, evidence, .. } = decoded;
        let mut found = WindowEdits { passes: 1, evidence: Some(evidence), ..WindowEdits::default() };
        if ln_best == f64::NEG_INFINITY {
            found.ln_probability = ln_best;
        }
        for Part { input, edits, shares, originals, share } in parts {
            let told = |(edit, share): (Edit, f64)| Edit {
                confidence: self.decoding.calibration.probability(share) as f32,
                ..edit
            };
            found.edits.extend(edits.into_iter().zip(shares).map(told));
            found.doubtful.push(Doubtful { input, originals, share });
        }
        found
    }
}

/// A window that is being decoded.
pub(crate) struct Job<'f, P: Prior>(Asker<'f, P, Decoded>);

impl<P: Prior> Family for ChannelRestorer<P> {
    type Job<'f>
        = Job<'f, P>
    where
        P: 'f;

    fn cost(&self, window: &Window) -> Cost {
        let bytes = window.text.len();
        Cost {
            first_tokens: bytes,
            step_tokens: STEP_TOKENS,
            cache_bytes: bytes * BYTE_HYPOTHESES * (HYPOTHESIS_BYTES + self.prior.state_bytes()),
        }
    }

    fn begin<'f>(&'f self, windows: &[Arc<Window>]) -> Result<Vec<Job<'f, P>>, RestoreError> {
        let suspicions = self.suspicions(windows)?;
        let begin = |(window, suspicion): (&Arc<Window>, f64)| {
            let window = Arc::clone(window);
            Job(Asker::new(&self.prior, |asking| async move {
                let Decoding { weights, beam, posterior, .. } = &self.decoding;
                let observed = observed::Window {
                    text: &window.text,
                    starts: window.starts,
                    ends: window.ends,
                    protected: &window.protected,
                    clean: weights.clean_under(suspicion),
                };
                let (context, alternatives) = (&window.before, window.alternatives);
                let beam = Beam { width: window.num_beams.unwrap_or(beam.width), ..*beam };
                let found =
                    decode(&self.model, &asking, &beam, posterior, observed, context, alternatives).await;
                Decoded { evidence: Evidence { suspicion, ..found.evidence }, ..found }
            }))
        };
        Ok(windows.iter().zip(suspicions).map(begin).collect())
    }

    /// A slice of time for the first searches; those that ask the same prior at a cost ask together.
    fn advance<'f>(&'f self, jobs: &mut [&mut Job<'f, P>]) -> Result<Vec<Option<WindowEdits>>, RestoreError> {
        let mut askers: Vec<_> = jobs.iter_mut().map(|job| &mut job.0).collect();
        let until = Some(Instant::now() + STEP);
        let mut run = || advance(&self.prior, &mut askers, until);
        match &self.pool {
            Some(pool) => pool.install(run),
            None => run(),
        }
        Ok(jobs.iter_mut().map(|job| job.0.take().map(|decoded| self.found(decoded))).collect())
    }
}

impl<P: Prior> Restorer for ChannelRestorer<P> {
    fn engine(&self, limits: EngineLimits) -> Box<dyn Engine + '_> {
        let settings = DocumentSettings {
            size: self.size,
            max_rounds: 1,
            looks_once: true,
            remembered_bytes: CONTEXT_BYTES,
            min_confidence: self.info.min_confidence,
            // Shares are calibrated before they are rounded.
            calibration: None,
            text_calibration: self.text_calibration,
            is_calibrated: self.info.calibrated,
        };
        Box::new(Running::new(self, settings, limits))
    }

    fn tokens(&self, text: &str) -> usize {
        text.len() + 1
    }

    fn info(&self) -> &ModelInfo {
        &self.info
    }
}
