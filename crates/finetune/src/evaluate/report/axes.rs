//! The axes of a chart of shares in inline SVG: both run to 1, from left to right and upwards.

use std::fmt::{self, Write as _};

use super::text::percent_of;

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 210.0;
const LEFT: f64 = 46.0;
const TOP: f64 = 10.0;
const FLOOR: f64 = HEIGHT - 38.0;

/// A chart whose vertical axis begins at `bottom`.
pub(super) struct Axes {
    pub(super) bottom: f64,
}

impl Axes {
    /// Where a share of the horizontal axis lies.
    pub(super) fn x(share: f64) -> f64 {
        LEFT + 8.0 + share * (WIDTH - LEFT - 24.0)
    }

    /// Where a share of the vertical axis lies.
    pub(super) fn y(&self, share: f64) -> f64 {
        FLOOR - (share - self.bottom) / (1.0 - self.bottom) * (FLOOR - TOP)
    }

    /// Begins a figure, with lines and labels at quarters; `label` names those of the horizontal axis.
    pub(super) fn begin(
        &self,
        page: &mut String,
        (title, subtitle): (&str, &str),
        label: impl Fn(f64) -> String,
    ) -> fmt::Result {
        writeln!(
            page,
            "<figure><figcaption><b>{title}</b> <span class=\"soft\">{subtitle}</span></figcaption>\n\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\"><title>{title}</title>"
        )?;
        for quarter in 0..=4 {
            let share = f64::from(quarter) / 4.0;
            let class = if quarter == 0 { "base" } else { "grid" };
            let upwards = self.bottom + share * (1.0 - self.bottom);
            writeln!(
                page,
                "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{0:.1}\" y2=\"{0:.1}\"/>\
                 <text x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\">{3}</text>\
                 <text x=\"{4:.1}\" y=\"{5}\" text-anchor=\"middle\">{6}</text>",
                self.y(upwards),
                LEFT - 6.0,
                self.y(upwards) + 3.5,
                percent_of(upwards, usize::from(self.bottom >= 0.9)),
                Self::x(share),
                FLOOR + 15.0,
                label(share),
            )?;
        }
        Ok(())
    }

    /// Ends the figure: the name of the horizontal axis, and a note.
    pub(super) fn end(page: &mut String, name: &str, note: &str) -> fmt::Result {
        writeln!(
            page,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{name}</text></svg>\n<p class=\"soft note\">{note}</p></figure>",
            f64::midpoint(LEFT, WIDTH),
            HEIGHT - 4.0,
        )
    }
}
