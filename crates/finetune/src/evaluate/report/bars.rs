//! Bar charts of counts as inline SVG: one group of bars a bin, one bar a series.

use std::fmt::{self, Write as _};

use super::text::{counted, escaped, tick};

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 46.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 38.0;

/// A bar chart.
pub(super) struct Bars<'b> {
    /// Heading above it.
    pub(super) title: &'b str,
    /// What stands along the horizontal axis.
    pub(super) axis: &'b str,
    /// Class and name of each series; a single one needs no name.
    pub(super) series: &'b [(&'b str, &'b str)],
    /// The bins.
    pub(super) groups: Vec<Group>,
    /// What is counted.
    pub(super) unit: &'b str,
}

/// One bin.
pub(super) struct Group {
    label: String,
    counts: Vec<u64>,
}

impl Group {
    /// A bin called `label`, with the count of each series.
    pub(super) fn new(label: String, counts: &[u64]) -> Self {
        Self { label, counts: counts.to_vec() }
    }
}

impl Bars<'_> {
    pub(super) fn write(&self, page: &mut String) -> fmt::Result {
        write!(page, "<figure><figcaption><b>{}</b> <span class=\"soft\">", escaped(self.title))?;
        for (class, name) in self.series.iter().filter(|(_, name)| !name.is_empty()) {
            write!(page, "<span class=\"swatch {class}\"></span> {name} ")?;
        }
        writeln!(
            page,
            "</span></figcaption>\n<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{}</title>",
            escaped(self.title)
        )?;
        let most =
            self.groups.iter().flat_map(|group| &group.counts).copied().max().unwrap_or(0).max(3) as f64;
        let step = tick(most).max(1.0);
        let ceiling = (most / step).ceil() * step;
        let floor = HEIGHT - BOTTOM;
        let y = |count: f64| floor - count / ceiling * (floor - TOP);
        for line in 0..=(ceiling / step).round() as u32 {
            let count = f64::from(line) * step;
            let (at, class) = (y(count), if line == 0 { "base" } else { "grid" });
            writeln!(
                page,
                "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{count}</text>",
                LEFT - 6.0,
                at + 3.5
            )?;
        }
        let slot = (WIDTH - LEFT) / self.groups.len().max(1) as f64;
        for (i, group) in self.groups.iter().enumerate() {
            self.write_group(page, group, LEFT + slot * i as f64, slot, floor, &y)?;
        }
        writeln!(
            page,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text></svg></figure>",
            f64::midpoint(LEFT, WIDTH),
            HEIGHT - 4.0,
            escaped(self.axis)
        )
    }

    fn write_group(
        &self,
        page: &mut String,
        group: &Group,
        left: f64,
        slot: f64,
        floor: f64,
        y: &impl Fn(f64) -> f64,
    ) -> fmt::Result {
        let bar = (slot * 0.8 / self.series.len() as f64).min(34.0);
        let start = left + (slot - bar * self.series.len() as f64) / 2.0;
        for (index, ((class, name), count)) in self.series.iter().zip(&group.counts).enumerate() {
            let top = y(*count as f64);
            writeln!(
                page,
                "<rect class=\"bar {class}\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"><title>{} {name}: {}</title></rect>",
                start + bar * index as f64,
                (bar - 1.0).max(1.0),
                floor - top,
                escaped(&group.label),
                counted(*count, self.unit)
            )?;
        }
        writeln!(
            page,
            "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            left + slot / 2.0,
            floor + 15.0,
            escaped(&group.label)
        )
    }
}
