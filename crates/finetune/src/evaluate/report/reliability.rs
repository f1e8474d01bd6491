//! Whether edits are right as often as their confidence says, as a chart in inline SVG.

use std::fmt::{self, Write as _};

use super::super::edit_figures::{bins, calibration_error};
use super::axes::Axes;
use super::text::{counted, percent_of};
use crate::judged::JudgedEdit;

pub(super) fn write_reliability(page: &mut String, edits: &[JudgedEdit]) -> fmt::Result {
    let bins = bins(edits);
    let axes = Axes { bottom: 0.0 };
    let subtitle = "share that is right, with its 95 % interval";
    axes.begin(page, ("Reliability of edits", subtitle), |share| share.to_string())?;
    writeln!(
        page,
        "<line class=\"ideal\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
        Axes::x(0.0),
        Axes::x(1.0),
        axes.y(0.0),
        axes.y(1.0)
    )?;
    let most = bins.iter().map(|bin| bin.edits).max().unwrap_or(1) as f64;
    for bin in bins.iter().filter(|bin| bin.edits > 0) {
        let (low, high) = bin.interval();
        let (at, radius) = (Axes::x(bin.mean_confidence()), 3.0 + 5.0 * (bin.edits as f64 / most).sqrt());
        writeln!(
            page,
            "<g><title>{}, mean confidence {:.3}: {} right</title>\
             <line class=\"interval\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
             <circle class=\"dot\" cx=\"{at:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\"/></g>",
            counted(bin.edits, "edit"),
            bin.mean_confidence(),
            percent_of(bin.right_share(), 1),
            axes.y(low),
            axes.y(high),
            axes.y(bin.right_share()),
        )?;
    }
    let note = format!(
        "An edit is right if the text would have more errors without it. On the dashed line, edits are right as often \
         as they say; the larger a dot, the more edits. Mean distance from it, by edits: {}.",
        percent_of(calibration_error(&bins), 1)
    );
    Axes::end(page, "confidence of the edit", &note)
}
