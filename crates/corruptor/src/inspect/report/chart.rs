//! Charts as inline SVG: no script, colours from the style sheet, the figures in titles that assistive technology reads.

use std::fmt::{self, Write as _};

use super::number::tick;
use super::text::escaped;

const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 190.0;
const LEFT: f64 = 40.0;
const BOTTOM: f64 = 36.0;
const TOP: f64 = 8.0;

/// A histogram of shares, with the law they should follow.
pub(super) struct Histogram<'h> {
    /// Heading above the chart.
    pub(super) title: &'h str,
    /// What follows the heading, softer.
    pub(super) note: &'h str,
    /// What the chart says, in a sentence.
    pub(super) summary: String,
    /// What stands along the horizontal axis.
    pub(super) axis: &'h str,
    /// The class that gives the colour; empty: the neutral one.
    pub(super) class: &'h str,
    pub(super) bars: Vec<Bar>,
}

/// One bar.
pub(super) struct Bar {
    /// What stands below it.
    pub(super) label: String,
    /// Its height, a share of all.
    pub(super) share: f64,
    /// What the law expects there.
    pub(super) expected: Option<f64>,
    /// Its figures in words.
    pub(super) tooltip: String,
}

impl Histogram<'_> {
    pub(super) fn write(&self, page: &mut String) -> fmt::Result {
        let Self { title, note, summary, axis, class, bars } = self;
        writeln!(
            page,
            "<figure class=\"{class}\"><figcaption><b>{}</b> <span class=\"soft\">{}</span></figcaption>",
            escaped(title),
            escaped(note)
        )?;
        write!(page, "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">")?;
        write!(page, "<title>{}</title><desc>{}</desc>", escaped(title), escaped(summary))?;
        let heights = bars.iter().map(|bar| bar.share.max(bar.expected.unwrap_or(0.0)));
        let most = heights.fold(1e-6, f64::max);
        let step = tick(most);
        let ceiling = (most / step).ceil() * step;
        let floor = HEIGHT - BOTTOM;
        let y = |share: f64| floor - share / ceiling * (floor - TOP);
        for line in 0..=(ceiling / step).round() as u32 {
            let share = f64::from(line) * step;
            let (at, class) = (y(share), if line == 0 { "base" } else { "grid" });
            write!(
                page,
                "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>"
            )?;
            let text = axis_percent(share, step);
            write!(
                page,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>",
                LEFT - 6.0,
                at + 3.5
            )?;
        }
        let slot = (WIDTH - LEFT) / bars.len().max(1) as f64;
        let x = |i: usize| LEFT + slot * (i as f64 + 0.5);
        let wide = (slot * 0.78).min(44.0);
        // A label needs some 26 units; where bars are narrower, some go without.
        let every = (26.0 / slot).ceil().max(1.0) as usize;
        for (i, bar) in bars.iter().enumerate() {
            let (left, top) = (x(i) - wide / 2.0, y(bar.share));
            write!(
                page,
                "<rect class=\"bar\" x=\"{left:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{:.1}\"><title>{}</title></rect>",
                floor - top,
                escaped(&bar.tooltip)
            )?;
            if i % every == 0 {
                let label = escaped(&bar.label);
                write!(
                    page,
                    "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
                    x(i),
                    floor + 14.0
                )?;
            }
        }
        let law: Vec<_> = bars.iter().enumerate().filter_map(|(i, b)| Some((x(i), y(b.expected?)))).collect();
        if !law.is_empty() {
            let points: Vec<_> = law.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            write!(page, "<polyline class=\"law\" points=\"{}\"/>", points.join(" "))?;
            for (x, y) in law {
                write!(page, "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\"/>")?;
            }
        }
        let middle = f64::midpoint(LEFT, WIDTH);
        writeln!(
            page,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text></svg></figure>",
            HEIGHT - 3.0,
            escaped(axis)
        )
    }
}

fn axis_percent(share: f64, step: f64) -> String {
    let decimals = (-(100.0 * step).log10().floor()).max(0.0) as usize;
    format!("{:.decimals$} %", 100.0 * share)
}

/// A bar in a table cell: `part` of the cell's width. The figure stands in a cell beside it.
pub(super) fn write_bar(page: &mut String, part: f64) -> fmt::Result {
    write!(
        page,
        "<td class=\"plot\"><svg viewBox=\"0 0 100 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect class=\"bar\" width=\"{:.2}\" height=\"10\"/></svg></td>",
        (100.0 * part).clamp(0.0, 100.0)
    )
}
