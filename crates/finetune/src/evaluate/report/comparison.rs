//! A chart of error rates before and after, one row a group, as inline SVG.

use std::fmt::{self, Write as _};

use super::text::{axis_percent, escaped, percent_of, tick};
use crate::evaluate::Figures;

const WIDTH: f64 = 400.0;
const LEFT: f64 = 88.0;
const RIGHT: f64 = 56.0;
const ROW: f64 = 27.0;
const TOP: f64 = 22.0;
const BOTTOM: f64 = 22.0;

/// Each group's CER before (a ring) and after (a dot), with the interval of the latter; nothing where there is no group.
pub(super) fn write_comparison(page: &mut String, title: &str, groups: &[(String, &Figures)]) -> fmt::Result {
    if groups.is_empty() {
        return Ok(());
    }
    let most = groups.iter().map(|(_, f)| f.cer_before.max(f.cer_after).max(after(f).1)).fold(1e-6, f64::max);
    let step = tick(most);
    let ceiling = (most / step).ceil() * step;
    let x = |rate: f64| LEFT + rate.max(0.0) / ceiling * (WIDTH - LEFT - RIGHT);
    let floor = TOP + ROW * groups.len() as f64;
    writeln!(
        page,
        "<figure><figcaption><b>{}</b> <span class=\"soft\"><span class=\"ring\"></span> corrupted \
         <span class=\"dot\"></span> restored, with its 95 % interval</span></figcaption>\n\
         <svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\"><title>{}</title>",
        escaped(title),
        floor + BOTTOM,
        escaped(title),
    )?;
    // A label needs some 42 units; where lines are nearer, some go without.
    let every = (42.0 / (x(step) - x(0.0))).ceil().max(1.0) as u32;
    for line in 0..=(ceiling / step).round() as u32 {
        let rate = f64::from(line) * step;
        let (at, class) = (x(rate), if line == 0 { "base" } else { "grid" });
        writeln!(
            page,
            "<line class=\"{class}\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{TOP}\" y2=\"{floor}\"/>"
        )?;
        if line.is_multiple_of(every) {
            let label = axis_percent(rate, step);
            writeln!(
                page,
                "<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>",
                floor + 15.0
            )?;
        }
    }
    writeln!(page, "<text x=\"{WIDTH}\" y=\"{}\" text-anchor=\"end\">cut</text>", TOP - 9.0)?;
    for (row, (name, figures)) in groups.iter().enumerate() {
        write_row(page, name, figures, TOP + ROW * (row as f64 + 0.5), x)?;
    }
    writeln!(page, "</svg></figure>")
}

fn write_row(
    page: &mut String,
    name: &str,
    figures: &Figures,
    y: f64,
    x: impl Fn(f64) -> f64,
) -> fmt::Result {
    let class = match (figures.is_won(), figures.is_lost()) {
        (true, _) => "good",
        (_, true) => "bad",
        _ => "",
    };
    let (low, high) = after(figures);
    let (before, now) = (x(figures.cer_before), x(figures.cer_after));
    let cut = figures.reduction.map_or_else(|| "–".to_owned(), |cut| percent_of(cut, 1));
    writeln!(
        page,
        "<g class=\"{class}\"><title>{}: CER {} before, {} after, {cut} of the errors undone</title>\
         <text class=\"name\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
         <line class=\"way\" x1=\"{before:.1}\" x2=\"{now:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
         <line class=\"interval\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
         <circle class=\"ring\" cx=\"{before:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>\
         <circle class=\"dot\" cx=\"{now:.1}\" cy=\"{y:.1}\" r=\"4.5\"/>\
         <text class=\"cut\" x=\"{WIDTH}\" y=\"{:.1}\" text-anchor=\"end\">{cut}</text></g>",
        escaped(name),
        percent_of(figures.cer_before, 2),
        percent_of(figures.cer_after, 2),
        LEFT - 10.0,
        y + 4.0,
        escaped(name),
        x(low),
        x(high),
        y + 4.0,
    )
}

/// The error rate after restoration at the ends of the cut's interval.
fn after(figures: &Figures) -> (f64, f64) {
    let at = |cut: Option<f64>| cut.map_or(figures.cer_after, |cut| figures.cer_before * (1.0 - cut));
    (at(figures.reduction_high), at(figures.reduction_low))
}
