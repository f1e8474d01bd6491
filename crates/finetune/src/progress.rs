//! Progress for people: a bar on a terminal, plain lines elsewhere, both on standard error.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Seconds between two plain lines.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// Progress of one long piece of work.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    plain: bool,
    label: &'static str,
    last_line: std::sync::Mutex<Option<Instant>>,
}

impl Progress {
    /// Progress of `length` units called `label`, of which `position` are behind.
    pub fn new(label: &'static str, length: u64, position: u64) -> Self {
        let plain = !std::io::stderr().is_terminal();
        let target = if plain { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(length), target).with_position(position);
        let template = "{prefix} [{elapsed_precise}] {wide_bar:.cyan/blue} {pos}/{len} {msg} eta {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_prefix(label);
        bar.reset_eta();
        Self { bar, plain, label, last_line: std::sync::Mutex::default() }
    }

    /// No output at all.
    pub fn hidden() -> Self {
        Self { bar: ProgressBar::hidden(), plain: false, label: "", last_line: std::sync::Mutex::default() }
    }

    /// Moves on by `units`; `message` says how it stands.
    pub fn advance(&self, units: u64, message: impl FnOnce() -> String) {
        self.bar.inc(units);
        if !self.plain {
            self.bar.set_message(message());
            return;
        }
        let mut last = self.last_line.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.is_none_or(|last| last.elapsed() >= LINE_EVERY) {
            *last = Some(Instant::now());
            let (position, length) = (self.bar.position(), self.bar.length().unwrap_or(0));
            Self::line(&format!("{} {position}/{length} {}", self.label, message()));
        }
    }

    /// Says something that should stay.
    pub fn note(&self, text: &str) {
        if self.plain {
            Self::line(text);
        } else {
            self.bar.println(text);
        }
    }

    /// Ends the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }

    /// A closed standard error is no reason to stop working.
    fn line(text: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    }
}
