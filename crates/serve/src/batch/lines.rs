//! Rows of members: a JSON object a line.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Write},
    path::Path,
};

use serde::de::IgnoredAny;
use serde_json::value::{RawValue, to_raw_value};

use super::{
    BatchError, BatchSettings,
    input::{Chunk, Chunks},
    plan::{NEW_COLUMNS, refuse_taken},
    records::rewound,
    rows::{Outcome, RowText},
    units::{Cutter, ROW_BYTES, Unit},
};
use crate::{
    api::answer::EditBody,
    list::list,
    members::{Members, kind_of},
};

/// The member that holds a line that is no object.
const LINE: &str = "line";

/// A file of lines that have been looked through. A blank line is no row.
#[derive(Debug)]
pub(super) struct Lines {
    column: String,
    pub(super) units: Vec<Unit>,
}

/// A row, and what it has for the model: a text, nothing, or why not.
#[derive(Debug)]
pub(super) struct Line {
    members: Members<Box<RawValue>>,
    text: Result<Option<String>, String>,
}

impl Lines {
    /// Finds the rows of `file` and checks their members.
    pub(super) fn open(path: &Path, file: &File, settings: &BatchSettings) -> Result<Self, BatchError> {
        let read_error = |source| BatchError::ReadText { path: path.to_path_buf(), source };
        let mut reader = BufReader::with_capacity(1 << 16, rewound(file, 0).map_err(read_error)?);
        let (mut line, mut at) = (Vec::new(), 0);
        let mut cutter = Cutter::new(0);
        let (mut first, mut taken) = (Vec::new(), [false; NEW_COLUMNS.len()]);
        let mut is_there = false;
        loop {
            line.clear();
            let read = (&mut reader).take(ROW_BYTES + 1).read_until(b'\n', &mut line).map_err(read_error)?;
            if read as u64 > ROW_BYTES {
                let (path, row) = (path.to_path_buf(), cutter.rows() + 1);
                return Err(BatchError::LongRow { path, row, limit_bytes: ROW_BYTES });
            }
            if read == 0 {
                break;
            }
            at += read as u64;
            if line.trim_ascii().is_empty() {
                continue;
            }
            cutter.row(at);
            let Ok(Members(members)) = serde_json::from_slice::<Members<IgnoredAny>>(&line) else { continue };
            for (name, _) in &members {
                is_there |= *name == settings.column;
                taken.iter_mut().zip(NEW_COLUMNS).for_each(|(taken, new)| *taken |= name == new);
            }
            if first.is_empty() {
                first = members.into_iter().map(|(name, _)| name).collect();
            }
        }
        let taken: Vec<&str> =
            NEW_COLUMNS.into_iter().zip(taken).filter(|(_, taken)| *taken).map(|(name, _)| name).collect();
        if !is_there && cutter.rows() > 0 {
            let (column, columns) = (settings.column.clone(), list(first.iter().map(String::as_str)));
            return Err(BatchError::NoColumn { path: path.to_path_buf(), column, columns });
        }
        refuse_taken(&taken, settings.existing, path)?;
        Ok(Self { column: settings.column.clone(), units: cutter.finish() })
    }

    /// The rows of a unit, all at once: they are few.
    pub(super) fn chunks<'l>(
        &'l self,
        path: &'l Path,
        file: &File,
        unit: usize,
    ) -> Result<Chunks<'l>, BatchError> {
        let Unit { start, end, rows } = self.units[unit];
        let read = || {
            let reader = BufReader::new(rewound(file, start)?.take(end - start));
            let lines =
                reader.split(b'\n').filter(|line| !matches!(line, Ok(line) if line.trim_ascii().is_empty()));
            lines.map(|line| Ok(Line::read(&line?, &self.column))).collect::<io::Result<Vec<_>>>()
        };
        let lines = read().map_err(|source| BatchError::ReadText { path: path.to_path_buf(), source })?;
        if lines.len() as u64 != rows {
            return Err(BatchError::Changed(path.to_path_buf()));
        }
        Ok(Box::new(std::iter::once(Ok(Chunk::Lines(lines)))))
    }
}

impl Line {
    fn read(line: &[u8], column: &str) -> Self {
        let line = line.trim_ascii();
        match serde_json::from_slice::<Members<Box<RawValue>>>(line) {
            Ok(members) => {
                let text = text_of(&members, column);
                Self { members, text }
            }
            Err(error) => {
                let said = error.to_string();
                let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _place)| said);
                let kept = to_raw_value(&String::from_utf8_lossy(line));
                let members = Members(kept.into_iter().map(|kept| (LINE.to_owned(), kept)).collect());
                Self { members, text: Err(format!("the line is no JSON object: {said}")) }
            }
        }
    }

    /// What it has for the model.
    pub(super) fn text(&self) -> RowText<'_> {
        match &self.text {
            Ok(Some(text)) => RowText::Text(text),
            Ok(None) => RowText::Null,
            Err(reason) => RowText::Bad(reason),
        }
    }

    /// Writes the line with its new members, in the place of their namesakes or last.
    pub(super) fn write(&self, sink: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
        serde_json::to_writer(&mut *sink, &self.members.with(&new_members(outcome)?))?;
        sink.write_all(b"\n")
    }
}

/// The members `restored`, `edits`, `confidence` and `error`; null where there is nothing to say.
fn new_members(outcome: &Outcome) -> io::Result<[(&'static str, Box<RawValue>); 4]> {
    let null = || RawValue::NULL.to_owned();
    let [restored, edits, confidence, error] = NEW_COLUMNS;
    let [text, all, probability, reason] = match outcome {
        Outcome::Null => [null(), null(), null(), null()],
        Outcome::Failed(reason) => [null(), null(), null(), to_raw_value(reason)?],
        Outcome::Restored(restoration) => {
            let edits: Vec<EditBody> = restoration.edits.iter().cloned().map(EditBody::from).collect();
            let (text, confidence) =
                (to_raw_value(&restoration.text)?, to_raw_value(&restoration.confidence)?);
            [text, to_raw_value(&edits)?, confidence, null()]
        }
    };
    Ok([(restored, text), (edits, all), (confidence, probability), (error, reason)])
}

/// The text of the member `column`; none where it is null or not there.
fn text_of(members: &Members<Box<RawValue>>, column: &str) -> Result<Option<String>, String> {
    let mut found = members.0.iter().filter(|(name, _)| name == column);
    let Some((_, value)) = found.next() else { return Ok(None) };
    if found.next().is_some() {
        return Err(format!("the line has {} twice", list([column])));
    }
    let named = list([column]);
    match kind_of(value) {
        "a string" => serde_json::from_str(value.get()).map(Some).map_err(|_| format!("{named} is no text")),
        "null" => Ok(None),
        kind => Err(format!("{named} is {kind}, not a string")),
    }
}
