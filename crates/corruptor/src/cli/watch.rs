//! Progress: a bar on a terminal, a plain line now and then elsewhere; and the signals that end the work.

use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use corruptor::progress::Progress;
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

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
    stop: Arc<AtomicBool>,
}

impl Watch {
    /// For work measured in bytes of its input.
    ///
    /// # Errors
    /// If the system does not let signals be caught.
    pub(super) fn of_bytes(records: &'static str) -> io::Result<Self> {
        Self::new(records, true)
    }

    /// For work measured in rows.
    ///
    /// # Errors
    /// As [`of_bytes`](Self::of_bytes).
    pub(super) fn of_rows() -> io::Result<Self> {
        Self::new("rows", false)
    }

    fn new(records: &'static str, bytes: bool) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The first signal asks, the second one ends the program at once.
            flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop))?;
            flag::register(signal, Arc::clone(&stop))?;
        }
        let bar = io::stderr().is_terminal().then(|| {
            let position = if bytes { "{bytes}/{total_bytes}" } else { "{human_pos}/{human_len}" };
            let template = format!("{{msg}} {{wide_bar}} {position} {{eta}}");
            let style =
                ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::no_length().with_style(style)
        });
        Ok(Self { records, bytes, bar, stage: String::new(), last_line: None, stop })
    }

    /// Shows a report; asks the work to end where a signal has come.
    pub(super) fn observe(&mut self, progress: Progress<'_>) -> ControlFlow<()> {
        self.show(progress);
        if self.stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn show(&mut self, progress: Progress<'_>) {
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
            let of = if self.bytes { "of the input" } else { "of the rows" };
            let so_far = match progress.total {
                0 => String::new(),
                total => {
                    let share = 100.0 * progress.done as f64 / total as f64;
                    format!(": {} {}, {share:.0} % {of}", progress.records, self.records)
                }
            };
            // A closed standard error must not stop the work.
            let _ = writeln!(io::stderr(), "{}{so_far}", self.stage);
        }
    }

    /// Removes the bar.
    pub(super) fn finish(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
