//! The way without toxics: it costs what the best plain proxy costs.
//!
//! Two means, chosen by what flows. Small messages: one read into a buffer of the
//! thread, one write. Bulk: splice(2) through a pooled pipe, which copies nothing
//! but costs more per call. An idle flow holds neither buffer nor pipe.

use std::cell::RefCell;
use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use sabot_toxics::Direction;
use tokio::io::ReadBuf;

use super::flow::Turn;
use super::pipe::Pipe;
use super::shared::ConnShared;
use crate::net::Stream;

/// The buffer of the thread: one read drains what most peers write at once, and it
/// stays in the second-level cache.
const BUFFER: usize = 64 * 1024;

/// A read of at least this many bytes counts as bulk …
const LARGE: usize = 32 * 1024;
/// … and after so many of them in a row the flow is spliced,
const LARGE_IN_A_ROW: u8 = 3;
/// until so many splices in a row moved less than [`SMALL`].
const SMALL_IN_A_ROW: u8 = 8;
const SMALL: usize = 8 * 1024;

/// Bytes that a flow may move in one turn: others on the thread wait meanwhile, at
/// 3 GB/s for about 0.3 ms.
const TURN: usize = 1 << 20;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER].into_boxed_slice());
}

/// A flow without toxics.
#[derive(Debug, Default)]
pub(super) struct Fast {
    held: Held,
    mode: Mode,
    /// Consecutive reads that speak for the other mode.
    votes: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Copy,
    Splice,
    /// Splicing failed here; it is not tried again.
    CopyOnly,
}

/// What was read and could not be written yet.
#[derive(Debug, Default)]
enum Held {
    #[default]
    Nothing,
    Rest(Bytes),
    Piped(Box<Pipe>),
}

/// How far a step came.
enum Step {
    Moved(usize),
    Stop(Turn),
}

impl Fast {
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        shared: &ConnShared,
        direction: Direction,
        source_broken: bool,
    ) -> Turn {
        let mut left = TURN;
        loop {
            if let Some(turn) = self.flush(cx, to, shared, direction) {
                return turn;
            }
            let step = match self.mode {
                Mode::Splice => self.splice(cx, from, shared, direction),
                Mode::Copy | Mode::CopyOnly => self.copy(cx, from, to, shared, direction),
            };
            match step {
                Step::Moved(bytes) => match left.checked_sub(bytes) {
                    Some(rest) => left = rest,
                    None => return Turn::Again,
                },
                Step::Stop(Turn::Fin) if source_broken => return Turn::SourceReset,
                Step::Stop(turn) => return turn,
            }
        }
    }

    /// Writes what is held; `None` when nothing is left.
    fn flush(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut Stream,
        shared: &ConnShared,
        direction: Direction,
    ) -> Option<Turn> {
        loop {
            let written = match &mut self.held {
                Held::Nothing => return None,
                Held::Rest(rest) => to.poll_write(cx, rest),
                Held::Piped(pipe) => to.poll_splice_from(cx, pipe.output(), pipe.filled()),
            };
            let written = match written {
                Poll::Pending => return Some(Turn::Wait),
                Poll::Ready(Ok(written)) => written,
                Poll::Ready(Err(_)) => return Some(Turn::SinkReset),
            };
            shared.add_sent(direction, written);
            let left = match &mut self.held {
                Held::Nothing => 0,
                Held::Rest(rest) => {
                    bytes::Buf::advance(rest, written);
                    rest.len()
                }
                Held::Piped(pipe) => {
                    pipe.took(written);
                    pipe.filled()
                }
            };
            if left == 0
                && let Held::Piped(pipe) = std::mem::take(&mut self.held)
            {
                pipe.give_back();
            }
        }
    }

    /// One read into the thread's buffer and one write out of it.
    fn copy(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        shared: &ConnShared,
        direction: Direction,
    ) -> Step {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut buf = ReadBuf::new(scratch);
            match from.poll_read(cx, &mut buf) {
                Poll::Pending => return Step::Stop(Turn::Wait),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Step::Stop(Turn::SourceReset),
            }
            let data = buf.filled();
            if data.is_empty() {
                return Step::Stop(Turn::Fin);
            }
            shared.add_received(direction, data.len());
            let written = match to.poll_write(cx, data) {
                Poll::Pending => 0,
                Poll::Ready(Ok(written)) => written,
                Poll::Ready(Err(_)) => return Step::Stop(Turn::SinkReset),
            };
            shared.add_sent(direction, written);
            if written < data.len() {
                self.held = Held::Rest(Bytes::copy_from_slice(&data[written..]));
            }
            self.vote(data.len() >= LARGE, LARGE_IN_A_ROW, Mode::Splice);
            Step::Moved(data.len())
        })
    }

    /// Fills a pipe from the source; `flush` empties it.
    fn splice(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        shared: &ConnShared,
        direction: Direction,
    ) -> Step {
        let Some(mut pipe) = Pipe::take() else {
            self.mode = Mode::Copy;
            return Step::Moved(0);
        };
        let read = from.poll_splice_into(cx, pipe.input(), pipe.capacity());
        match read {
            Poll::Ready(Ok(bytes)) if bytes > 0 => {
                shared.add_received(direction, bytes);
                pipe.put(bytes);
                self.held = Held::Piped(Box::new(pipe));
                self.vote(bytes < SMALL, SMALL_IN_A_ROW, Mode::Copy);
                return Step::Moved(bytes);
            }
            _ => pipe.give_back(),
        }
        match read {
            Poll::Pending => Step::Stop(Turn::Wait),
            Poll::Ready(Ok(_)) => Step::Stop(Turn::Fin),
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::InvalidInput => {
                self.mode = Mode::CopyOnly;
                Step::Moved(0)
            }
            Poll::Ready(Err(_)) => Step::Stop(Turn::SourceReset),
        }
    }

    /// Counts reads in a row that speak for another mode, and changes to it.
    fn vote(&mut self, change: bool, needed: u8, mode: Mode) {
        if !change {
            self.votes = 0;
        } else if self.mode != Mode::CopyOnly {
            self.votes += 1;
            if self.votes >= needed {
                self.votes = 0;
                self.mode = mode;
            }
        }
    }

    /// Bytes read and not yet written.
    pub(super) fn held(&self) -> usize {
        match &self.held {
            Held::Nothing => 0,
            Held::Rest(rest) => rest.len(),
            Held::Piped(pipe) => pipe.filled(),
        }
    }

    /// Takes over what was read and not yet written.
    pub(super) fn take_held(&mut self) -> Vec<Bytes> {
        match std::mem::take(&mut self.held) {
            Held::Nothing => Vec::new(),
            Held::Rest(rest) => vec![rest],
            Held::Piped(mut pipe) => {
                let data = pipe.drain();
                pipe.give_back();
                vec![data.into()]
            }
        }
    }
}
