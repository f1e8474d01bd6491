//! Progress of long work on standard error: a bar on a terminal, plain lines elsewhere.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::{Arc, atomic::AtomicBool},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::batch::Watch;

/// Time between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows how many rows are done.
pub struct Progress {
    form: Form,
    total: u64,
    done: u64,
    started: Instant,
    stop: Arc<AtomicBool>,
}

enum Form {
    Bar(ProgressBar),
    Lines { last: Instant },
}

impl Progress {
    /// Progress in the form that standard error asks for; `stop` is the flag that ends the work.
    pub fn new(stop: Arc<AtomicBool>) -> Self {
        let now = Instant::now();
        let form = if io::stderr().is_terminal() {
            let template = "{bar:32} {human_pos}/{human_len} rows  {rate} rows/s  {eta} left";
            let style =
                ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
            let style = style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
                // A rate that cannot be shown is not worth stopping for.
                let _unshown = write!(out, "{:.1}", state.per_sec());
            });
            Form::Bar(ProgressBar::new(0).with_style(style))
        } else {
            Form::Lines { last: now }
        };
        Self { form, total: 0, done: 0, started: now, stop }
    }

    /// Ends the display with `line`.
    pub fn finish(self, line: &str) {
        if let Form::Bar(bar) = &self.form {
            bar.finish_and_clear();
        }
        say(line);
    }
}

impl Watch for Progress {
    fn start(&mut self, rows: u64) {
        self.total = rows;
        self.started = Instant::now();
        if let Form::Bar(bar) = &self.form {
            bar.set_length(rows);
            bar.reset();
        }
    }

    fn advance(&mut self, rows: u64) {
        self.done += rows;
        match &mut self.form {
            Form::Bar(bar) => bar.set_position(self.done),
            Form::Lines { last } if last.elapsed() >= LINE_EVERY => {
                *last = Instant::now();
                let rate = self.done as f64 / self.started.elapsed().as_secs_f64();
                say(&format!("{} of {} rows, {rate:.1} rows/s", self.done, self.total));
            }
            Form::Lines { .. } => {}
        }
    }

    fn stop_flag(&self) -> &AtomicBool {
        &self.stop
    }
}

fn say(line: &str) {
    // Standard error may be closed; the work goes on without it.
    let _closed = writeln!(io::stderr().lock(), "{line}");
}
