//! The crate from outside: a controller, real loopback sockets, real servers.

mod apply;
mod connect;
mod embed;
mod events;
mod lifecycle;
mod populate;
mod relaying;
mod scarcity;
mod shutdown;
mod support;
mod toxics;
