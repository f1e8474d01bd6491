//! Progress: a bar on a terminal, a plain line now and then elsewhere.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use corruptor::progress::Progress;
use indicatif::{ProgressBar, ProgressStyle};

/// Time between two plain lines.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// Shows on standard error how far the work is.
pub(super) struct Watch {
    /// What `records` of the progress are.
    records: &'static str,
    /// Whether `done` and `total` are bytes.
    bytes: bool,
    bar: Option<ProgressBar>,
    stage: String,
    last_line: Option<Instant>,
}

impl Watch {
    /// For work measured in bytes of its input.
    pub(super) fn of_bytes(records: &'static str) -> Self {
        Self::new(records, true)
    }

    /// For work measured in rows.
    pub(super) fn of_rows() -> Self {
        Self::new("rows", false)
    }

    fn new(records: &'static str, bytes: bool) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let position = if bytes { "{bytes}/{total_bytes}" } else { "{human_pos}/{human_len}" };
            let template = format!("{{msg}} {{wide_bar}} {position} {{eta}}");
            let style =
                ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::no_length().with_style(style)
        });
        Self { records, bytes, bar, stage: String::new(), last_line: None }
    }

    /// Shows a report.
    pub(super) fn observe(&mut self, progress: Progress<'_>) {
        let is_new = self.stage != progress.stage;
        if is_new {
            progress.stage.clone_into(&mut self.stage);
        }
        if let Some(bar) = &self.bar {
            if is_new {
                bar.reset();
            }
            bar.set_length(progress.total);
            bar.set_position(progress.done);
            bar.set_message(format!("{} {} {}", self.stage, progress.records, self.records));
        } else if is_new || self.last_line.is_some_and(|last| last.elapsed() >= LINE_INTERVAL) {
            self.last_line = Some(Instant::now());
            let share = 100.0 * progress.done as f64 / progress.total.max(1) as f64;
            let of = if self.bytes { "of the input" } else { "of the rows" };
            // A closed standard error must not stop the work.
            let _ = writeln!(
                io::stderr(),
                "{}: {} {}, {share:.0} % {of}",
                self.stage,
                progress.records,
                self.records
            );
        }
    }

    /// Removes the bar.
    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
