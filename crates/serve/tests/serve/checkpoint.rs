//! A tiny tagger whose heads hold noise: it makes many edits, none of them sensible.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
};

use candle_core::Tensor;
use corruptor::Edit;
use restorer::{
    LoadOptions, Restoration, RestoreOptions, RestoreRequest, Restorer,
    tagger::{Tagger, TaggerConfig},
    train::{CheckpointMeta, Trainable},
};

/// Directory of the checkpoint, written once a test run.
pub(crate) fn directory() -> &'static Path {
    static DIRECTORY: LazyLock<PathBuf> = LazyLock::new(|| {
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("serve-checkpoint");
        std::fs::create_dir_all(&directory).unwrap();
        let model = Tagger::random(&TaggerConfig::tiny(), &LoadOptions::default()).unwrap();
        for (name, var) in model.parameters() {
            if name.contains("head") && name.ends_with("weight") {
                let (classes, width) = var.dims2().unwrap();
                let noise = Tensor::from_vec(noise(classes, width), (classes, width), var.device()).unwrap();
                var.set(&noise).unwrap();
            }
        }
        model.save(&directory, &CheckpointMeta::default()).unwrap();
        directory
    });
    &DIRECTORY
}

/// The checkpoint, loaded in this process.
pub(crate) fn model() -> &'static dyn Restorer {
    static MODEL: LazyLock<Box<dyn Restorer>> =
        LazyLock::new(|| restorer::load(directory(), &LoadOptions::default()).unwrap());
    MODEL.as_ref()
}

/// What the library makes of `text`.
pub(crate) fn restored(text: &str, options: RestoreOptions) -> Restoration {
    model().restore(&[RestoreRequest::new(text).with_options(options)]).unwrap().remove(0)
}

/// Compares edits: those of another batch may differ in their confidence, by rounding.
pub(crate) fn assert_same_edits(found: &[Edit], expected: &[Edit]) {
    let plain = |edits: &[Edit]| -> Vec<_> {
        edits.iter().map(|edit| (edit.start, edit.end, edit.replacement.clone())).collect()
    };
    assert_eq!(plain(found), plain(expected));
    for (found, expected) in found.iter().zip(expected) {
        assert!((found.confidence - expected.confidence).abs() < 1e-5, "{found:?} is not {expected:?}");
    }
}

/// Weights of a head: noise from a linear congruential generator for the classes of some ASCII letters, and zero for
/// the others, so that what the model writes is text and what it leaves alone is most.
fn noise(classes: usize, width: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (f64::from(state >> 8) / f64::from(1 << 24) * 1.6 - 0.8) as f32
    };
    let letters = 98..121;
    (0..classes * width).map(|index| if letters.contains(&(index / width)) { next() } else { 0.0 }).collect()
}

#[test]
fn the_checkpoint_edits_and_is_the_same_each_time() {
    let text = "the quick brown fox jumps over the lazy dog";
    let restoration = restored(text, RestoreOptions::default());
    assert!(!restoration.edits.is_empty());
    assert_eq!(corruptor::apply_edits(text, &restoration.edits).unwrap(), restoration.text);
    assert_eq!(restored(text, RestoreOptions::default()), restoration);
    assert!(restoration.edits.iter().map(|edit| edit.end - edit.start).sum::<usize>() < text.len());
}
