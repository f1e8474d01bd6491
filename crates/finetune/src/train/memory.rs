//! Whether a step fits into memory, asked before the first one: a machine that runs out of it ends a program without a word.

use restorer::train::Trainable;

use crate::error::FinetuneError;
use crate::settings::TrainSettings;

/// Bytes of a learned weight: itself, its gradient in each of the workers and their sum, and two moments.
fn weight_bytes(workers: usize, settings: &TrainSettings) -> usize {
    let averages = usize::from(settings.ema_decay > 0.0);
    size_of::<f32>() * (1 + workers + 1 + 2 + averages)
}

/// Refuses a step that cannot fit; `available` bytes are free.
///
/// # Errors
/// [`FinetuneError::Memory`], which names what is large and the keys to lower.
pub(super) fn check<M: Trainable>(
    model: &M,
    settings: &TrainSettings,
    workers: usize,
    available: Option<u64>,
) -> Result<(), FinetuneError> {
    let Some(available) = available else { return Ok(()) };
    let learned: usize = model.parameters().iter().map(|(_, var)| var.elem_count()).sum();
    // The weights themselves are there already.
    let state = learned * (weight_bytes(workers, settings) - size_of::<f32>());
    let activations = workers * model.activation_bytes(settings.batch_tokens, settings.recompute);
    if (state + activations) as u64 <= available {
        return Ok(());
    }
    let gib = |bytes: u64| bytes as f64 / (1u64 << 30) as f64;
    Err(FinetuneError::Memory {
        needed_gib: gib((state + activations) as u64),
        state_gib: gib(state as u64),
        activations_gib: gib(activations as u64),
        workers,
        batch_tokens: settings.batch_tokens,
        available_gib: gib(available),
        hint: if settings.recompute { "" } else { ", set train.recompute = true" },
    })
}

/// Bytes that programs can still take, where the system says so.
pub(super) fn available_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use restorer::LoadOptions;
    use restorer::lm::{Compute, LanguageModel, LmSettings};

    #[test]
    fn what_does_not_fit_is_said_with_the_keys_to_lower() {
        let settings = LmSettings { family: "llama".to_owned(), ..LmSettings::default() };
        let model = LanguageModel::random(&settings, Compute::default(), &LoadOptions::default()).unwrap();
        let fits = |settings: &TrainSettings, gib: f64| {
            check(&model, settings, 2, Some((gib * (1u64 << 30) as f64) as u64))
        };
        let settings = TrainSettings { batch_tokens: 1 << 17, ..TrainSettings::default() };
        let message = fits(&settings, 4.0).unwrap_err().to_string();
        assert!(
            message.contains("train.batch_tokens = 131072") && message.contains("recompute"),
            "{message}"
        );
        fits(&settings, 1e6).unwrap();
        fits(&TrainSettings::default(), 4.0).unwrap();
        let recompute = TrainSettings { recompute: true, ..settings };
        let need =
            |settings: &TrainSettings| model.activation_bytes(settings.batch_tokens, settings.recompute);
        assert!(need(&recompute) * 2 < need(&TrainSettings { recompute: false, ..recompute.clone() }));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_says_what_is_free() {
        assert!(available_bytes().unwrap() > 1 << 20);
    }
}
