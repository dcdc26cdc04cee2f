//! Pieces of a stream that wait, in order.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::Time;

/// What waits of one stream. No piece leaves before the one in front of it.
#[derive(Default)]
pub(crate) struct Held {
    pieces: VecDeque<Piece>,
    bytes: usize,
}

struct Piece {
    arrived: Time,
    due: Time,
    /// What its delay was drawn by, if it was delayed.
    quantile: Option<f64>,
    data: Bytes,
}

impl Held {
    /// Has `data` wait for that long; `quantile` is what the delay was drawn by.
    pub(crate) fn push(&mut self, now: Time, delay: Option<(f64, Duration)>, data: Bytes) {
        let due = delay.map_or(now, |(_, delay)| now + delay);
        self.bytes += data.len();
        let quantile = delay.map(|(quantile, _)| quantile);
        self.pieces.push_back(Piece { arrived: now, due, quantile, data });
    }

    /// Bytes that wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the next piece leaves.
    pub(crate) fn due(&self) -> Option<Time> {
        self.pieces.front().map(|piece| piece.due)
    }

    /// The next piece, if it is due.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<Bytes> {
        if self.due()? > now {
            return None;
        }
        self.pop()
    }

    /// The next piece.
    pub(crate) fn pop(&mut self) -> Option<Bytes> {
        let piece = self.pieces.pop_front()?;
        self.bytes -= piece.data.len();
        Some(piece.data)
    }

    /// Has each piece leave when `delay` says so, if that is earlier.
    pub(crate) fn hasten(&mut self, delay: impl Fn(f64) -> Duration) {
        for piece in &mut self.pieces {
            if let Some(quantile) = piece.quantile {
                piece.due = piece.due.min(piece.arrived + delay(quantile));
            }
        }
    }
}
