//! Restored rows, in the format of their input.

use std::{
    io::{BufWriter, IntoInnerError, Write},
    path::{Path, PathBuf},
};

use super::{
    BatchError,
    input::{Chunk, Kind},
    records::RecordsWriter,
    rows::Outcome,
    table::TableWriter,
};

/// Writes rows with their new columns.
pub(super) struct Writer<W: Write + Send> {
    path: PathBuf,
    kind: WriterKind<W>,
}

enum WriterKind<W: Write + Send> {
    Table(Box<TableWriter<W>>),
    Records(Box<RecordsWriter<W>>),
    Lines(BufWriter<W>),
}

impl<W: Write + Send> Writer<W> {
    /// Of rows like those of `input`, into `sink`.
    pub(super) fn new(input: &Kind, sink: W, output: &Path) -> Result<Self, BatchError> {
        let path = output.to_path_buf();
        let kind = match input {
            Kind::Table(table) => match table.writer(sink) {
                Ok(writer) => WriterKind::Table(Box::new(writer)),
                Err(source) => return Err(BatchError::Write { path, source }),
            },
            Kind::Records(records) => WriterKind::Records(Box::new(records.writer(sink))),
            Kind::Lines(_) => WriterKind::Lines(BufWriter::new(sink)),
        };
        Ok(Self { path, kind })
    }

    /// Writes what has become of the rows of `chunk`, which is one of the same input.
    pub(super) fn write(&mut self, chunk: &Chunk, outcomes: &[Outcome]) -> Result<(), BatchError> {
        let path = &self.path;
        let text_error = |source| BatchError::WriteText { path: path.clone(), source };
        match (&mut self.kind, chunk) {
            (WriterKind::Table(writer), Chunk::Table(batch, _)) => writer
                .write(batch, outcomes)
                .map_err(|source| BatchError::Write { path: path.clone(), source })?,
            (WriterKind::Records(writer), Chunk::Records(rows, _)) => {
                for (row, outcome) in rows.iter().zip(outcomes) {
                    writer.write(row, outcome).map_err(text_error)?;
                }
            }
            (WriterKind::Lines(writer), Chunk::Lines(lines)) => {
                for (line, outcome) in lines.iter().zip(outcomes) {
                    line.write(writer, outcome).map_err(text_error)?;
                }
            }
            _ => unreachable!("the chunks and the writer of an input have its format"),
        }
        Ok(())
    }

    /// Ends a unit.
    pub(super) fn end_unit(&mut self) -> Result<(), BatchError> {
        match &mut self.kind {
            WriterKind::Table(writer) => {
                writer.end_unit().map_err(|source| BatchError::Write { path: self.path.clone(), source })
            }
            WriterKind::Records(_) | WriterKind::Lines(_) => Ok(()),
        }
    }

    /// Writes what is held back, and gives the sink back.
    pub(super) fn finish(self) -> Result<W, BatchError> {
        let path = self.path;
        let written = match self.kind {
            WriterKind::Table(writer) => {
                return writer.finish().map_err(|source| BatchError::Write { path, source });
            }
            WriterKind::Records(writer) => writer.finish(),
            WriterKind::Lines(writer) => writer.into_inner().map_err(IntoInnerError::into_error),
        };
        written.map_err(|source| BatchError::WriteText { path, source })
    }
}
