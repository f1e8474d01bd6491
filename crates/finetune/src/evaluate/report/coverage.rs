//! How many edits can be applied by themselves, against how many of those are right, as a chart in inline SVG.

use std::fmt::{self, Write as _};

use super::super::edit_figures::{EditFigures, Threshold, curve};
use super::text::percent_of;
use crate::judged::JudgedEdit;

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 46.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 38.0;
/// Where the axis of precision may begin: its quarters are round.
const BOTTOMS: [f64; 6] = [0.96, 0.9, 0.8, 0.6, 0.4, 0.2];
/// Points of the curve at most.
const POINTS: usize = 200;

pub(super) fn write_coverage(page: &mut String, edits: &[JudgedEdit]) -> fmt::Result {
    let (Some(figures), curve) = (EditFigures::of(edits), curve(edits)) else { return Ok(()) };
    // The first few edits jump between 0 and 1; the axis ends where the curve of at least a hundredth of them does.
    let shown: Vec<&Threshold> = curve.iter().filter(|t| t.coverage >= 0.01).collect();
    let least = shown.iter().map(|t| t.precision).fold(0.999, f64::min);
    let bottom = BOTTOMS.into_iter().find(|bottom| *bottom <= least).unwrap_or(0.0);
    writeln!(
        page,
        "<figure><figcaption><b>Precision and coverage</b> <span class=\"soft\">share of the edits from some confidence on that are right</span></figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>Precision and coverage</title>"
    )?;
    let floor = HEIGHT - BOTTOM;
    let x = |coverage: f64| LEFT + 8.0 + coverage * (WIDTH - LEFT - 24.0);
    let y = |precision: f64| floor - (precision - bottom) / (1.0 - bottom) * (floor - TOP);
    for quarter in 0..=4 {
        let share = f64::from(quarter) / 4.0;
        let (class, precision) =
            (if quarter == 0 { "base" } else { "grid" }, bottom + share * (1.0 - bottom));
        writeln!(
            page,
            "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\"/>\
             <text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\">{3}</text>\
             <text x=\"{4:.1}\" y=\"{5}\" text-anchor=\"middle\">{6}</text>",
            y(precision),
            LEFT - 6.0,
            y(precision) + 3.5,
            percent_of(precision, usize::from(bottom >= 0.9)),
            x(share),
            floor + 15.0,
            percent_of(share, 0),
        )?;
    }
    write!(page, "<polyline class=\"line\" points=\"")?;
    let step = shown.len().div_ceil(POINTS).max(1);
    for (_, point) in
        shown.iter().enumerate().filter(|(index, _)| index % step == 0 || index + 1 == shown.len())
    {
        write!(page, "{:.1},{:.1} ", x(point.coverage), y(point.precision))?;
    }
    writeln!(
        page,
        "\"/><text x=\"{}\" y=\"{}\" text-anchor=\"middle\">share of all edits, the surest first</text></svg>\n\
         <p class=\"soft note\">So many of the edits can be applied by themselves where 99 % of those must be right: {}; where 99.9 % must: {}.</p></figure>",
        f64::midpoint(LEFT, WIDTH),
        HEIGHT - 4.0,
        percent_of(figures.coverage_99, 1),
        percent_of(figures.coverage_999, 1)
    )
}
