//! Sockets, worker threads and timers: everything the relays stand on.
//!
//! - [`address`]: what people write for a listener or an upstream
//! - [`listener`]: bound sockets, which every worker accepts from
//! - [`dial`]: from an upstream's address to a connected stream
//! - [`stream`]: TCP or Unix, with the few calls that a relay needs
//! - [`workers`]: one thread with one runtime per core
//! - [`timers`]: deadlines exact to tens of microseconds, and the clock that tests replace
//!
//! Nothing here knows of proxies, plans or faults.

pub(crate) mod address;
pub(crate) mod dial;
pub(crate) mod listener;
pub(crate) mod stream;
pub(crate) mod timers;
pub(crate) mod workers;

pub(crate) use address::{Address, AddressError};
pub(crate) use dial::dial;
pub(crate) use listener::{Bound, Listener};
pub(crate) use stream::Stream;
pub(crate) use timers::{Clock, Monotonic};
pub(crate) use workers::Workers;
