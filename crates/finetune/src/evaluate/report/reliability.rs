//! Whether edits are right as often as their confidence says, as a chart in inline SVG.

use std::fmt::{self, Write as _};

use super::super::edit_figures::{bins, calibration_error};
use super::axes::Axes;
use super::text::{counted, percent_of};
use crate::judged::Judged;

/// What the confidence of is shown.
#[derive(Clone, Copy)]
pub(super) enum Subject {
    Edits,
    Texts,
}

impl Subject {
    /// Title, one of them, the name of the axis, and when one is right.
    fn words(self) -> [&'static str; 4] {
        match self {
            Self::Edits => [
                "Reliability of edits",
                "edit",
                "confidence of the edit",
                "An edit is right if the text would have more errors without it.",
            ],
            Self::Texts => [
                "Reliability of texts",
                "text",
                "confidence of the text",
                "A text is right if it is the original.",
            ],
        }
    }
}

pub(super) fn write_reliability(
    page: &mut String,
    subject: Subject,
    all: impl Iterator<Item = Judged>,
) -> fmt::Result {
    let [title, one, axis, when] = subject.words();
    let bins = bins(all);
    let axes = Axes { bottom: 0.0 };
    let subtitle = "share that is right, with its 95 % interval";
    axes.begin(page, (title, subtitle), |share| share.to_string())?;
    writeln!(
        page,
        "<line class=\"ideal\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
        Axes::x(0.0),
        Axes::x(1.0),
        axes.y(0.0),
        axes.y(1.0)
    )?;
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(1) as f64;
    for bin in bins.iter().filter(|bin| bin.count > 0) {
        let (low, high) = bin.interval();
        let (at, radius) = (Axes::x(bin.mean_confidence()), 3.0 + 5.0 * (bin.count as f64 / most).sqrt());
        writeln!(
            page,
            "<g><title>{}, mean confidence {:.3}: {} right</title>\
             <line class=\"interval\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
             <circle class=\"dot\" cx=\"{at:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\"/></g>",
            counted(bin.count, one),
            bin.mean_confidence(),
            percent_of(bin.right_share(), 1),
            axes.y(low),
            axes.y(high),
            axes.y(bin.right_share()),
        )?;
    }
    let note = format!(
        "{when} On the dashed line, {one}s are right as often as they say; the larger a dot, the more {one}s. Mean distance \
         from it, by {one}s: {}.",
        percent_of(calibration_error(&bins), 1)
    );
    Axes::end(page, axis, &note)
}
