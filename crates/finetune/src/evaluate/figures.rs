//! The figures of a group of restored texts.

use std::collections::BTreeMap;

use restorer::metrics::{TextCounts, reduction_interval};
use serde::Serialize;

use super::Restored;
use crate::settings::EvaluateSettings;

/// Documents from which the bootstrap resamples documents; with fewer it resamples passages.
const MIN_DOCUMENTS: usize = 10;

/// What stands in `metrics.json` for a group.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// Texts.
    pub texts: u64,
    /// Documents they come from.
    pub documents: usize,
    /// Character error rate of the corrupted texts: Levenshtein distance in graphemes over graphemes of the originals.
    pub cer_before: f64,
    /// Character error rate of the restored texts.
    pub cer_after: f64,
    /// Share of the errors that are gone, 1 − after / before.
    pub reduction: Option<f64>,
    /// Lower end of its 95 % bootstrap interval.
    pub reduction_low: Option<f64>,
    /// Upper end of its 95 % bootstrap interval.
    pub reduction_high: Option<f64>,
    /// What the bootstrap resamples: `documents`, or `passages` where there are fewer than ten documents.
    pub resampled: &'static str,
    /// Share of the texts restored byte for byte.
    pub exact_match: f64,
    /// Clean texts.
    pub clean: u64,
    /// Share of the clean texts that the model changed.
    pub harm: Option<f64>,
}

impl Figures {
    /// The figures of `restored`.
    pub(super) fn of(restored: &[&Restored], settings: &EvaluateSettings) -> Self {
        let mut documents: BTreeMap<(&str, &str), TextCounts> = BTreeMap::new();
        for Restored { pair, scored } in restored {
            *documents.entry((&pair.source, &pair.doc_id)).or_default() += scored.counts;
        }
        let all: TextCounts = documents.values().copied().sum();
        let (resampled, groups) = if documents.len() >= MIN_DOCUMENTS {
            ("documents", documents.values().copied().collect::<Vec<_>>())
        } else {
            ("passages", restored.iter().map(|restored| restored.scored.counts).collect())
        };
        let interval = reduction_interval(&groups, settings.seed, settings.resamples);
        Self {
            texts: all.texts,
            documents: documents.len(),
            cer_before: all.cer_before(),
            cer_after: all.cer_after(),
            reduction: all.reduction(),
            reduction_low: interval.map(|interval| interval.low),
            reduction_high: interval.map(|interval| interval.high),
            resampled,
            exact_match: all.exact_match(),
            clean: all.clean,
            harm: all.harm(),
        }
    }

    /// Whether the interval of the reduction lies above zero.
    pub fn is_won(&self) -> bool {
        self.reduction_low.is_some_and(|low| low > 0.0)
    }

    /// Whether the interval of the reduction lies wholly below zero.
    pub fn is_lost(&self) -> bool {
        self.reduction_high.is_some_and(|high| high < 0.0)
    }
}
