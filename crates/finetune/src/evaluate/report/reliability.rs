//! Whether edits are right as often as their confidence says, as a chart in inline SVG.

use std::fmt::{self, Write as _};

use super::edits::JudgedEdit;
use super::text::{counted, percent_of};

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 46.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 38.0;
/// Width of a bin of confidence.
const BINS: usize = 10;
/// Of the normal distribution: two sides hold 95 %.
const Z: f64 = 1.96;

/// Edits of one bin.
#[derive(Clone, Copy, Default)]
struct Bin {
    edits: u64,
    right: u64,
    confidence: f64,
}

impl Bin {
    fn mean_confidence(&self) -> f64 {
        self.confidence / self.edits.max(1) as f64
    }

    fn right_share(&self) -> f64 {
        self.right as f64 / self.edits.max(1) as f64
    }

    /// Wilson's interval of the share of right edits.
    fn interval(&self) -> (f64, f64) {
        let (n, p) = (self.edits.max(1) as f64, self.right_share());
        let middle = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        ((middle - half).max(0.0), (middle + half).min(1.0))
    }
}

pub(super) fn write_reliability(page: &mut String, edits: &[JudgedEdit]) -> fmt::Result {
    let bins = bins(edits);
    let gap: f64 =
        bins.iter().map(|bin| (bin.right_share() - bin.mean_confidence()).abs() * bin.edits as f64).sum();
    let gap = gap / edits.len().max(1) as f64;
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
        percent_of(gap, 1)
    )
}

fn bins(edits: &[JudgedEdit]) -> [Bin; BINS] {
    let mut bins = [Bin::default(); BINS];
    for edit in edits {
        let confidence = f64::from(edit.confidence).clamp(0.0, 1.0);
        let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
        bin.edits += 1;
        bin.right += u64::from(edit.is_right);
        bin.confidence += confidence;
    }
    bins
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_wilsons() {
        let (low, high) = Bin { edits: 10, right: 8, confidence: 8.0 }.interval();
        assert!((low - 0.490).abs() < 0.001 && (high - 0.943).abs() < 0.001, "{low} {high}");
        let (_, high) = Bin { edits: 3, right: 3, confidence: 3.0 }.interval();
        assert!((high - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_last_bin_holds_what_is_sure() {
        let edit = |confidence| JudgedEdit { confidence, is_right: true, graphemes: 1 };
        let bins = bins(&[edit(1.0), edit(0.95), edit(0.05)]);
        assert_eq!((bins[9].edits, bins[0].edits), (2, 1));
    }
}
