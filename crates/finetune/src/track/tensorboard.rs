//! Event files as `TensorBoard` reads them: records in `TFRecord`'s frames, each an `Event` in protobuf.
//!
//! A frame is the payload's length (little-endian `u64`), a masked CRC-32C of these 8 bytes, the payload, and a masked CRC-32C of it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{End, Metric, RunFacts, TrackError, Tracker};

/// How the names of the files begin that this tracker writes; `tfevents` is what readers look for.
const PREFIX: &str = "events.out.tfevents.";
/// Version of the events' layout.
const FILE_VERSION: &str = "brain.Event:2";
/// `SessionLog.START`: readers forget every event from its step on that stands before it.
const SESSION_START: u64 = 1;

/// Writes event files into a run's directory.
#[derive(Debug)]
pub struct TensorBoard {
    directory: PathBuf,
    file: Option<(PathBuf, File)>,
}

impl TensorBoard {
    /// The tracker of the run in `run`.
    pub fn new(run: &Path) -> Self {
        Self { directory: run.join("tensorboard"), file: None }
    }

    /// Removes the event files of an earlier run.
    fn clear(&self) -> Result<(), TrackError> {
        let entries =
            std::fs::read_dir(&self.directory).map_err(TrackError::file(&self.directory, "read"))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX)) {
                std::fs::remove_file(&path).map_err(TrackError::file(&path, "remove"))?;
            }
        }
        Ok(())
    }

    /// Opens a file of its own, whose name sorts behind those of earlier ones.
    fn open(&mut self) -> Result<(), TrackError> {
        let seconds = now().max(0.0) as u64;
        let mut number = 0;
        loop {
            let path = self.directory.join(format!("{PREFIX}{seconds:010}.revertant.{number:03}"));
            match OpenOptions::new().create_new(true).append(true).open(&path) {
                Ok(file) => {
                    self.file = Some((path, file));
                    return Ok(());
                }
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && number < 999 => {
                    number += 1;
                }
                Err(error) => return Err(TrackError::file(&path, "create")(error)),
            }
        }
    }

    fn write(&mut self, event: &[u8]) -> Result<(), TrackError> {
        if self.file.is_none() {
            std::fs::create_dir_all(&self.directory).map_err(TrackError::file(&self.directory, "create"))?;
            self.open()?;
            self.write(&Event::at(0).text(3, FILE_VERSION).bytes)?;
        }
        match &mut self.file {
            Some((path, file)) => file.write_all(&frame(event)).map_err(TrackError::file(path, "write")),
            None => Ok(()),
        }
    }
}

impl Tracker for TensorBoard {
    fn name(&self) -> &'static str {
        "TensorBoard's files"
    }

    fn start(&mut self, facts: &RunFacts) -> Result<(), TrackError> {
        std::fs::create_dir_all(&self.directory).map_err(TrackError::file(&self.directory, "create"))?;
        match facts.resumed_at {
            Some(step) => {
                let status = Message::default().varint(1, SESSION_START);
                self.write(&Event::at(step + 1).message(7, &status).bytes)
            }
            None => self.clear(),
        }
    }

    fn metrics(&mut self, step: u64, metrics: &[Metric]) -> Result<(), TrackError> {
        let mut summary = Message::default();
        for (name, value) in metrics {
            summary = summary.message(1, &Message::default().text(1, name).float(2, *value as f32));
        }
        self.write(&Event::at(step).message(5, &summary).bytes)
    }

    fn finish(&mut self, end: End<'_>) -> Result<(), TrackError> {
        match end {
            End::Finished { step, summary, .. } => self.metrics(step, summary),
            End::Stopped | End::Failed => Ok(()),
        }
    }
}

/// `tensorflow.Event`: wall time (1), step (2), and one of file version (3), summary (5) and session log (7).
struct Event;

impl Event {
    fn at(step: u64) -> Message {
        Message::default().double(1, now()).varint(2, step)
    }
}

/// A protobuf message, field by field.
#[derive(Default)]
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn key(&mut self, field: u8, wire_type: u8) {
        self.bytes.push(field << 3 | wire_type);
    }

    fn push_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn varint(mut self, field: u8, value: u64) -> Self {
        self.key(field, 0);
        self.push_varint(value);
        self
    }

    fn double(mut self, field: u8, value: f64) -> Self {
        self.key(field, 1);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    fn float(mut self, field: u8, value: f32) -> Self {
        self.key(field, 5);
        self.bytes.extend(value.to_le_bytes());
        self
    }

    fn delimited(mut self, field: u8, content: &[u8]) -> Self {
        self.key(field, 2);
        self.push_varint(content.len() as u64);
        self.bytes.extend(content);
        self
    }

    fn text(self, field: u8, text: &str) -> Self {
        self.delimited(field, text.as_bytes())
    }

    fn message(self, field: u8, message: &Message) -> Self {
        self.delimited(field, &message.bytes)
    }
}

/// A record in its frame.
fn frame(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u64).to_le_bytes();
    let mut frame = Vec::with_capacity(payload.len() + 16);
    frame.extend(length);
    frame.extend(masked_crc(&length).to_le_bytes());
    frame.extend(payload);
    frame.extend(masked_crc(payload).to_le_bytes());
    frame
}

/// CRC-32C, rotated and shifted, so that a checksum of what holds checksums is a good one.
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xA282_EAD8)
}

/// CRC-32C (Castagnoli), bit-reflected.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let mut value = index as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { value >> 1 ^ 0x82F6_3B78 } else { value >> 1 };
                bit += 1;
            }
            table[index] = value;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(!0, |crc, byte| TABLE[usize::from(crc as u8 ^ byte)] ^ crc >> 8)
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_castagnoli() {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        assert_eq!(crc32c(b""), 0);
    }

    #[test]
    fn a_summary_is_framed_protobuf() {
        let event = Message::default()
            .varint(2, 300)
            .message(5, &Message::default().message(1, &Message::default().text(1, "loss").float(2, 0.5)));
        let payload = [
            &[0x10, 0xAC, 0x02, 0x2A, 0x0D, 0x0A, 0x0B, 0x0A, 0x04][..],
            b"loss",
            &[0x15, 0x00, 0x00, 0x00, 0x3F],
        ]
        .concat();
        assert_eq!(event.bytes, payload);
        let frame = frame(&event.bytes);
        assert_eq!(frame[..8], 18_u64.to_le_bytes());
        assert_eq!(frame.len(), 8 + 4 + 18 + 4);
        assert_eq!(frame[12..30], payload);
    }

    #[test]
    fn a_run_that_goes_on_gets_a_file_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let mut facts = super::super::dvclive::tests::facts(home.path());
        let start = |facts: &RunFacts| {
            let mut tracker = TensorBoard::new(home.path());
            tracker.start(facts).unwrap();
            tracker.metrics(1, &[("a", 1.0)]).unwrap();
        };
        let files = || std::fs::read_dir(home.path().join("tensorboard")).unwrap().count();
        start(&facts);
        facts.resumed_at = Some(0);
        start(&facts);
        assert_eq!(files(), 2);
        facts.resumed_at = None;
        start(&facts);
        assert_eq!(files(), 1);
    }
}
