//! Kernel pipes for splice(2), pooled per thread: making one costs three calls, and
//! a connection needs one only while bulk data passes.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::pipe::{PipeFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};

/// Sizes to ask for, best first. Without privileges a user's pipes together are
/// limited (`pipe-user-pages-soft`), and large ones are refused beyond it.
const SIZES: [usize; 2] = [1 << 20, 1 << 18];

/// Below this, splice moves too little per call to be worth two calls.
const SMALLEST: usize = 1 << 16;

/// Empty pipes kept per thread. More flows than that in bulk at once make and drop
/// theirs, which costs them little beside the bytes.
const KEPT: usize = 16;

thread_local! {
    static POOL: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// A pipe and how much is in it.
#[derive(Debug)]
pub(super) struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
    capacity: usize,
    filled: usize,
}

impl Pipe {
    /// An empty pipe; none if the system gives no descriptor or only a small pipe.
    pub(super) fn take() -> Option<Self> {
        POOL.with_borrow_mut(Vec::pop).or_else(|| Self::new().ok().flatten())
    }

    /// Gives a pipe back, empty or not: what is in it is lost.
    pub(super) fn give_back(self) {
        if self.filled == 0 {
            POOL.with_borrow_mut(|pool| {
                if pool.len() < KEPT {
                    pool.push(self);
                }
            });
        }
    }

    fn new() -> io::Result<Option<Self>> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let asked = SIZES.into_iter().find_map(|size| fcntl_setpipe_size(&write, size).ok());
        let capacity = match asked {
            Some(size) => size,
            None => fcntl_getpipe_size(&write)?,
        };
        Ok((capacity >= SMALLEST).then_some(Self { read, write, capacity, filled: 0 }))
    }

    /// Where bytes come out.
    pub(super) fn output(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }

    /// Where bytes go in.
    pub(super) fn input(&self) -> BorrowedFd<'_> {
        self.write.as_fd()
    }

    /// Bytes it can hold.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes in it.
    pub(super) fn filled(&self) -> usize {
        self.filled
    }

    /// Notes that bytes went in.
    pub(super) fn put(&mut self, bytes: usize) {
        self.filled += bytes;
    }

    /// Notes that bytes came out.
    pub(super) fn took(&mut self, bytes: usize) {
        self.filled -= bytes;
    }

    /// Everything that is in it, copied out.
    pub(super) fn drain(&mut self) -> Vec<u8> {
        let mut out = vec![0; self.filled];
        let mut done = 0;
        while done < out.len() {
            match rustix::io::read(&self.read, &mut out[done..]) {
                Ok(read) if read > 0 => done += read,
                Err(rustix::io::Errno::INTR) => {}
                // The pipe is ours alone and holds that much: this cannot be.
                stopped => {
                    debug_assert!(false, "pipe ran dry: {stopped:?}");
                    break;
                }
            }
        }
        out.truncate(done);
        self.filled = 0;
        out
    }
}
