//! The edit tagger: a small bidirectional byte-level transformer over large hashed n-gram tables.
//!
//! For each byte it predicts keep, delete or replace, and for each gap up to a few inserted bytes; it runs again on its own
//! output until nothing changes. It starts as the identity instead of having to learn to copy.

mod config;
mod decode;
mod features;
mod labels;
mod loss;
mod model;
mod save;

use std::path::Path;
use std::sync::Arc;

use candle_core::Device;
use rayon::prelude::*;

pub use crate::quantized::TableBits;
pub use config::{MODEL_TYPE, TaggerConfig};
pub use decode::Logits;
pub use labels::Example;
pub(crate) use save::table_with;

use crate::calibration::Calibration;
use crate::checkpoint::CheckpointFiles;
use crate::device::DeviceChoice;
use crate::engine::{Cost, DocumentSettings, Engine, EngineLimits, Family, Running, Window, WindowEdits};
use crate::error::RestoreError;
use crate::layers::Params;
use crate::load::LoadOptions;
use crate::restorer::{Decoding, ModelInfo, Restorer};
use crate::table::RowTable;
use crate::windows::WindowSize;
use model::Network;

/// Bytes that one packed forward pass takes on the CPU: enough rows for the matrix kernels, little enough for the cache.
const PACK_BYTES: usize = 1024;
/// Bytes that one packed forward pass takes on a GPU.
const PACK_BYTES_GPU: usize = 1 << 16;

/// An edit tagger.
#[derive(Debug)]
pub struct Tagger {
    config: TaggerConfig,
    network: Network,
    tables: Vec<RowTable>,
    device: Device,
    settings: DocumentSettings,
    info: ModelInfo,
    pool: Option<rayon::ThreadPool>,
}

impl Tagger {
    /// A new model that leaves every text alone.
    ///
    /// # Errors
    /// If the configuration cannot be used or the device is not there.
    pub fn random(config: &TaggerConfig, options: &LoadOptions) -> Result<Self, RestoreError> {
        config.validate()?;
        let device = options.device.open()?;
        let network = Network::new(Params::random(config.seed, &device), config)?;
        network.start_as_identity()?;
        let tables = model::new_tables(config);
        Self::assemble(config.clone(), network, tables, device, options, (0.5, None, None), "new".into())
    }

    /// Loads a checkpoint directory.
    ///
    /// # Errors
    /// If a file or a tensor is missing or has another form than the configuration says (the error names it).
    pub fn load(dir: &Path, options: &LoadOptions) -> Result<Self, RestoreError> {
        Self::from_files(&CheckpointFiles::read(dir)?, options)
    }

    /// Loads a checkpoint from its files.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_files(files: &CheckpointFiles, options: &LoadOptions) -> Result<Self, RestoreError> {
        let loaded = save::read(files)?;
        let device = options.device.open()?;
        let path = files.path(crate::checkpoint::WEIGHTS);
        let params = Params::from_tensors(path, MODEL_TYPE, loaded.dense, &device);
        let network = Network::new(params, &loaded.config)?;
        let calibration = loaded.restorer.calibration.filter(|_| !options.raw_confidence);
        let text_calibration = options.of_texts(loaded.restorer.text_calibration);
        let confidence = (loaded.restorer.min_confidence, calibration, text_calibration);
        let digest = files.digest()?;
        let mut new =
            Self::assemble(loaded.config, network, loaded.tables, device, options, confidence, digest)?;
        new.info.profile = loaded.restorer.profile;
        Ok(new)
    }

    fn assemble(
        config: TaggerConfig,
        network: Network,
        tables: Vec<RowTable>,
        device: Device,
        options: &LoadOptions,
        (min_confidence, calibration, text_calibration): (f32, Option<Calibration>, Option<Calibration>),
        digest: String,
    ) -> Result<Self, RestoreError> {
        if options.device == DeviceChoice::Cpu {
            // Work is parallel over windows; a matrix product inside one stays on its thread.
            gemm::set_threading_threshold(usize::MAX);
        }
        let dense: usize = network.vars().values().map(|v| v.elem_count()).sum();
        let rows: usize = tables.iter().map(|t| t.rows() * t.dim()).sum();
        let size = options
            .size(WindowSize { window_bytes: config.window_bytes, overlap_bytes: config.overlap_bytes })?;
        let info = ModelInfo {
            family: MODEL_TYPE.into(),
            digest,
            decodings: vec![Decoding::Edits],
            parameters: dense + rows,
            window_bytes: size.window_bytes,
            min_confidence,
            calibrated: calibration.is_some(),
            text_calibrated: text_calibration.is_some(),
            profile: None,
        };
        let settings = DocumentSettings {
            size,
            max_rounds: config.max_rounds,
            looks_once: false,
            remembered_bytes: 0,
            min_confidence,
            calibration,
            text_calibration,
            is_calibrated: calibration.is_some(),
        };
        let pool = options.thread_pool()?;
        Ok(Self { config, network, tables, device, settings, info, pool })
    }

    /// The sizes.
    pub fn config(&self) -> &TaggerConfig {
        &self.config
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    fn network(&self) -> &Network {
        &self.network
    }

    fn row_tables(&self) -> &[RowTable] {
        &self.tables
    }
}

impl Family for Tagger {
    type Job<'f> = Arc<Window>;

    fn cost(&self, window: &Window) -> Cost {
        Cost { first_tokens: window.text.len() + 1, step_tokens: 0, cache_bytes: 0 }
    }

    fn begin(&self, windows: &[Arc<Window>]) -> Result<Vec<Arc<Window>>, RestoreError> {
        Ok(windows.to_vec())
    }

    /// One pass is all that a window takes: packed into groups, the groups in parallel.
    fn advance(&self, jobs: &mut [&mut Arc<Window>]) -> Result<Vec<Option<WindowEdits>>, RestoreError> {
        let budget = if self.device.is_cpu() { PACK_BYTES } else { PACK_BYTES_GPU };
        let mut groups: Vec<Vec<&Window>> = Vec::new();
        let mut bytes = usize::MAX;
        for window in jobs.iter() {
            if bytes.saturating_add(window.text.len()) > budget {
                groups.push(Vec::new());
                bytes = 0;
            }
            bytes += window.text.len();
            if let Some(group) = groups.last_mut() {
                group.push(window);
            }
        }
        let run = || groups.par_iter().map(|group| self.edit_windows(group)).collect::<Result<Vec<_>, _>>();
        let found = match &self.pool {
            Some(pool) => pool.install(run),
            None => run(),
        }?;
        Ok(found.into_iter().flatten().map(Some).collect())
    }
}

impl Restorer for Tagger {
    fn engine(&self, limits: EngineLimits) -> Box<dyn Engine + '_> {
        Box::new(Running::new(self, self.settings, limits))
    }

    fn tokens(&self, text: &str) -> usize {
        text.len() + 1
    }

    fn info(&self) -> &ModelInfo {
        &self.info
    }
}
