//! Loopback needs no pacing.
//!
//! BBR, the default of some systems, spaces a socket's packets by a kernel timer. A
//! network gains by that; over loopback there is nothing to gain and the timers cost
//! more than the bytes: half of the CPU of a bulk transfer in a virtual machine.
//! Sockets whose peer is on loopback therefore take the kernel's built-in Reno, which
//! sends when asked to. All others keep what the administrator chose.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::OnceLock;

use rustix::net::sockopt::set_tcp_congestion;

/// Where Linux tells which congestion control a new socket gets.
const DEFAULT: &str = "/proc/sys/net/ipv4/tcp_congestion_control";

/// Stops the pacing of a TCP socket whose peer is, or will be, at `peer`, if that is
/// on loopback. A system that refuses is no error: the socket works as it is.
pub(super) fn spare_loopback(socket: impl AsFd, peer: IpAddr) {
    if peer.to_canonical().is_loopback() && is_default() {
        let _ = set_tcp_congestion(socket, "reno");
    }
}

/// Whether sockets are paced unless they ask not to be.
fn is_default() -> bool {
    static PACES: OnceLock<bool> = OnceLock::new();
    *PACES.get_or_init(|| std::fs::read_to_string(DEFAULT).is_ok_and(|name| name.starts_with("bbr")))
}
