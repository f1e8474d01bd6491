//! How many edits can be applied by themselves, against how many of those are right.

use std::fmt::{self, Write as _};

use super::super::edit_figures::{EditFigures, Threshold, curve};
use super::axes::Axes;
use super::text::percent_of;
use crate::judged::JudgedEdit;

/// Where the axis of precision may begin: its quarters are round.
const BOTTOMS: [f64; 6] = [0.96, 0.9, 0.8, 0.6, 0.4, 0.2];
/// Points of the curve at most.
const POINTS: usize = 200;

pub(super) fn write_coverage(page: &mut String, edits: &[JudgedEdit]) -> fmt::Result {
    let (Some(figures), curve) = (EditFigures::of(edits), curve(edits)) else { return Ok(()) };
    // The first few edits jump between 0 and 1; the axis ends where the curve of at least a hundredth of them does.
    let shown: Vec<&Threshold> = curve.iter().filter(|t| t.coverage >= 0.01).collect();
    let least = shown.iter().map(|t| t.precision).fold(0.999, f64::min);
    let axes = Axes { bottom: BOTTOMS.into_iter().find(|bottom| *bottom <= least).unwrap_or(0.0) };
    let subtitle = "share of the edits from some confidence on that are right";
    axes.begin(page, ("Precision and coverage", subtitle), |share| percent_of(share, 0))?;
    write!(page, "<polyline class=\"line\" points=\"")?;
    let step = shown.len().div_ceil(POINTS).max(1);
    for (_, point) in
        shown.iter().enumerate().filter(|(index, _)| index % step == 0 || index + 1 == shown.len())
    {
        write!(page, "{:.1},{:.1} ", Axes::x(point.coverage), axes.y(point.precision))?;
    }
    write!(page, "\"/>")?;
    let note = format!(
        "So many of the edits can be applied by themselves where 99 % of those must be right: {}; where 99.9 % must: {}.",
        percent_of(figures.coverage_99, 1),
        percent_of(figures.coverage_999, 1)
    );
    Axes::end(page, "share of all edits, the surest first", &note)
}
