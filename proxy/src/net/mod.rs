//! Sockets, worker threads and timers: everything the relays stand on.
//!
//! - [`address`]: what people write for a listener or an upstream
//! - [`listener`]: bound sockets, which every worker accepts from
//! - [`dial`]: from an upstream's address to a connected stream
//! - [`pacing`]: none over loopback
//! - [`stream`]: TCP or Unix, with the few calls that a relay needs
//! - [`workers`]: one thread with one runtime per core
//! - [`timers`]: deadlines exact to tens of microseconds, and the clock that tests replace
//!
//! Nothing here knows of proxies, plans or faults.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub(crate) mod address;
pub(crate) mod dial;
pub(crate) mod listener;
mod pacing;
pub(crate) mod stream;
#[cfg(test)]
mod tests;
pub(crate) mod timers;
pub(crate) mod workers;

pub(crate) use address::{Address, AddressError};
pub(crate) use dial::dial;
pub(crate) use listener::{Accepted, Bound, Listener};
pub(crate) use stream::Stream;
pub(crate) use timers::{Clock, Monotonic};
pub(crate) use workers::Workers;

/// Has the runtime tell when `fd` can be read.
fn watch_readable(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    #[allow(
        deprecated,
        reason = "tokio means descriptors that may close or change meanwhile; an `OwnedFd` cannot"
    )]
    AsyncFd::with_interest(fd, Interest::READABLE)
}
