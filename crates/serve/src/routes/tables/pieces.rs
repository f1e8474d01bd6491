//! An answer that is written on a thread that may block, and broken off where it is not written to its end.

use std::io::{self, Write};

use axum::body::Bytes;
use futures_util::{Stream, stream};
use tokio::sync::mpsc;

/// Bytes of a piece.
const PIECE_BYTES: usize = 1 << 16;
/// Pieces that wait for the client.
const PIECES_AHEAD: usize = 4;

enum Piece {
    Data(Bytes),
    End,
}

/// Where the answer is written.
pub(super) struct Pieces {
    sender: mpsc::Sender<Piece>,
    next: Vec<u8>,
}

/// An answer: where it is written, and as it is sent. Without its end it ends in an error.
pub(super) fn pieces() -> (Pieces, impl Stream<Item = io::Result<Bytes>>) {
    let (sender, receiver) = mpsc::channel(PIECES_AHEAD);
    let sent = stream::try_unfold(receiver, async |mut receiver: mpsc::Receiver<Piece>| {
        match receiver.recv().await {
            Some(Piece::Data(data)) => Ok(Some((data, receiver))),
            Some(Piece::End) => Ok(None),
            None => Err(io::Error::other("the table was not restored to its end")),
        }
    });
    (Pieces { sender, next: Vec::with_capacity(PIECE_BYTES) }, sent)
}

impl Pieces {
    /// The answer is whole.
    pub(super) fn end(mut self) {
        if self.flush().is_ok() {
            // A client that is gone has no use for it.
            let _gone = self.sender.blocking_send(Piece::End);
        }
    }

    /// Tells whether nobody waits for the answer any more.
    pub(super) fn gone(&self) -> Box<dyn Fn() -> bool> {
        let sender = self.sender.downgrade();
        Box::new(move || sender.upgrade().is_none_or(|sender| sender.is_closed()))
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.next.extend_from_slice(bytes);
        if self.next.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.next.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.next, Vec::with_capacity(PIECE_BYTES));
        let sent = self.sender.blocking_send(Piece::Data(piece.into()));
        sent.map_err(|_gone| io::ErrorKind::BrokenPipe.into())
    }
}
