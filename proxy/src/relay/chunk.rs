//! Buffers for reading what toxics will hold, pooled per thread.
//!
//! A large read keeps its buffer, a small one is copied out of it: a toxic that
//! holds ten bytes for a minute must not hold 128 KiB.

use std::cell::RefCell;

use bytes::Bytes;

/// One read's size. Through 10 ms of latency 128 KiB cost a fifth less per byte
/// than 64 KiB, since each held chunk has its own deadline; 256 KiB gain no more.
pub(super) const CHUNK: usize = 128 * 1024;

/// Buffers kept per thread: 16 MiB, what 10 ms at 13 Gbit/s need.
const KEPT: usize = 128;

/// A read keeps its buffer if it fills at least this much of it.
const WORTH_KEEPING: usize = CHUNK / 2;

thread_local! {
    static POOL: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of [`CHUNK`] bytes, initialised, contents arbitrary.
#[derive(Debug)]
pub(super) struct Chunk {
    buffer: Box<[u8]>,
    filled: usize,
}

impl Chunk {
    pub(super) fn take() -> Self {
        let buffer = POOL.with_borrow_mut(Vec::pop);
        Self { buffer: buffer.unwrap_or_else(|| vec![0; CHUNK].into_boxed_slice()), filled: 0 }
    }

    pub(super) fn buffer(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    /// The first `filled` bytes, which were read.
    pub(super) fn into_bytes(mut self, filled: usize) -> Bytes {
        if filled < WORTH_KEEPING {
            return Bytes::copy_from_slice(&self.buffer[..filled]);
        }
        self.filled = filled;
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        // The thread's pool may be gone already when the thread ends.
        let _ = POOL.try_with(|pool| {
            let mut pool = pool.borrow_mut();
            if pool.len() < KEPT {
                pool.push(buffer);
            }
        });
    }
}
