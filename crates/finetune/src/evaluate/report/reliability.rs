//! Whether edits are right as often as their confidence says, as a chart in inline SVG.

use std::fmt::{self, Write as _};

use super::super::edit_figures::{bins, calibration_error};
use super::text::{counted, percent_of};
use crate::judged::JudgedEdit;

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 46.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 38.0;
pub(super) fn write_reliability(page: &mut String, edits: &[JudgedEdit]) -> fmt::Result {
    let bins = bins(edits);
    writeln!(
        page,
        "<figure><figcaption><b>Reliability of edits</b> <span class=\"soft\">share that is right, with its 95 % interval</span></figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>Reliability of edits</title>"
    )?;
    let floor = HEIGHT - BOTTOM;
    let x = |share: f64| LEFT + 8.0 + share * (WIDTH - LEFT - 24.0);
    let y = |share: f64| floor - share * (floor - TOP);
    for quarter in 0..=4 {
        let share = f64::from(quarter) / 4.0;
        let class = if quarter == 0 { "base" } else { "grid" };
        writeln!(
            page,
            "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\"/>\
             <text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\">{3}</text>\
             <text x=\"{4:.1}\" y=\"{5}\" text-anchor=\"middle\">{share}</text>",
            y(share),
            LEFT - 6.0,
            y(share) + 3.5,
            percent_of(share, 0),
            x(share),
            floor + 15.0,
        )?;
    }
    writeln!(
        page,
        "<line class=\"ideal\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
        x(0.0),
        x(1.0),
        y(0.0),
        y(1.0)
    )?;
    let most = bins.iter().map(|bin| bin.edits).max().unwrap_or(1) as f64;
    for bin in bins.iter().filter(|bin| bin.edits > 0) {
        let (low, high) = bin.interval();
        let (at, radius) = (x(bin.mean_confidence()), 3.0 + 5.0 * (bin.edits as f64 / most).sqrt());
        writeln!(
            page,
            "<g><title>{}, mean confidence {:.3}: {} right</title>\
             <line class=\"interval\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>\
             <circle class=\"dot\" cx=\"{at:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\"/></g>",
            counted(bin.edits, "edit"),
            bin.mean_confidence(),
            percent_of(bin.right_share(), 1),
            y(low),
            y(high),
            y(bin.right_share()),
        )?;
    }
    writeln!(
        page,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">confidence of the edit</text></svg>\n\
         <p class=\"soft note\">An edit is right if the text would have more errors without it. On the dashed line, edits are right as often \
         as they say; the larger a dot, the more edits. Mean distance from it, by edits: {}.</p></figure>",
        f64::midpoint(LEFT, WIDTH),
        HEIGHT - 4.0,
        percent_of(calibration_error(&bins), 1)
    )
}
