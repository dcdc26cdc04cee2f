//! Answers that were given to the relay beneath, until the last byte of each has left for the client: what stream
//! toxics hold, no client has seen.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::stats::Seen;

/// Those of one connection. Without a relay there are none: what is written has left.
#[derive(Default)]
pub(crate) struct Undelivered(OnceLock<Mutex<State>>);

#[derive(Default)]
struct State {
    /// How many bytes the connection will have sent to its client when all that was written has left.
    written: u64,
    /// The relay took less than there was.
    blocked: bool,
    /// In order; each with what `written` was after its last byte, once that is known.
    waiting: VecDeque<(Arc<Seen>, Option<u64>)>,
    /// The connection is over: nothing is delivered any more.
    over: bool,
}

impl Undelivered {
    /// A relay takes the socket, to which `sent` bytes have gone.
    pub(super) fn begin(&self, sent: u64) {
        let _ = self.0.set(Mutex::new(State { written: sent, ..State::default() }));
    }

    /// Whether what is written has left.
    pub(super) fn is_direct(&self) -> bool {
        self.0.get().is_none()
    }

    /// So many bytes of more were written to the relay, none if it takes none for now.
    pub(super) fn write(&self, bytes: Option<usize>) {
        self.with(|state| {
            state.blocked = bytes.is_none();
            state.written += bytes.unwrap_or(0) as u64;
        });
    }

    /// All of an answer was handed to what writes it.
    pub(super) fn hold(&self, seen: &Arc<Seen>) {
        let told = self.with(|state| {
            if !state.over {
                state.waiting.push_back((Arc::clone(seen), None));
            }
            state.over
        });
        match told {
            None => seen.end(),
            Some(true) => seen.lost(),
            Some(false) => {}
        }
    }

    /// Whoever writes had a turn, and has no more to write if it `has_ended`.
    pub(super) fn flushed(&self, has_ended: bool) {
        self.with(|state| {
            if state.blocked && !has_ended {
                return;
            }
            let written = state.written;
            for (_, until) in state.waiting.iter_mut().rev().take_while(|(_, until)| until.is_none()) {
                *until = Some(written);
            }
        });
    }

    /// The client was sent `sent` bytes by now: answers of which that is all are over.
    pub(super) fn sent(&self, sent: u64) {
        while let Some(Some(seen)) = self.with(|state| {
            let next = state.waiting.front().and_then(|(_, until)| *until);
            next.filter(|until| *until <= sent).and_then(|_| state.waiting.pop_front()).map(|(seen, _)| seen)
        }) {
            seen.end();
        }
    }

    /// Nothing leaves any more: who waits still got no answer, or not all of it.
    pub(super) fn close(&self) {
        let lost = self.with(|state| {
            state.over = true;
            std::mem::take(&mut state.waiting)
        });
        for (seen, _) in lost.unwrap_or_default() {
            seen.lost();
        }
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> Option<T> {
        Some(change(&mut self.0.get()?.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}
