//! The rows of `compare`: what is measured, and what is required of Sabot.

mod http;
mod judge;
mod workloads;

pub use judge::{Judged, judge};
pub use workloads::{Contender, Stand, Values, WORKLOADS, Workload};

use crate::peers::NGINX;

/// A row.
pub struct Figure {
    /// Its name in options and JSON.
    pub id: &'static str,
    /// What a reader calls it.
    pub title: &'static str,
    /// How many decimals are worth showing.
    pub decimals: usize,
    /// Whether more is better.
    pub more: bool,
    /// What Toxiproxy 2.12 gave on another day on a machine of this kind.
    pub toxiproxy: &'static str,
    /// What is required of Sabot.
    pub need: Need,
}

/// What is required of Sabot.
#[derive(Clone, Copy)]
pub enum Need {
    /// Nothing: the row is there to understand others.
    Nothing,
    /// As good as the best peer of the same run.
    Best,
    /// As good as this peer in the same run.
    Peer(&'static str),
    /// An absolute value.
    Value(f64),
    /// This share of what the same load carries without a proxy.
    OfDirect(f64, &'static str),
    /// This share of Sabot's own value in another row.
    OfOwn(f64, &'static str),
}

/// Toxiproxy carried 7.2 Gbit/s through a latency of 10 ms where 37 went without a
/// proxy. Twice that is required, and it is the ratio that travels between machines.
const TWICE_TOXIPROXY: f64 = 2.0 * 7.2 / 37.0;

/// What ten faults that match nothing may cost.
const WITH_TEN: f64 = 1.03;

const fn figure(
    id: &'static str,
    title: &'static str,
    decimals: usize,
    more: bool,
    toxiproxy: &'static str,
    need: Need,
) -> Figure {
    Figure { id, title, decimals, more, toxiproxy, need }
}

/// All rows, in the order of the table.
pub const FIGURES: [Figure; 26] = [
    figure("bulk_1", "bulk, 1 stream, Gbit/s", 1, true, "6.6", Need::Best),
    figure("bulk_8", "bulk, 8 streams, Gbit/s", 1, true, "8.4", Need::Best),
    figure("bulk_1_cpu", "CPU s per GB, 1 stream", 3, false, "1.38", Need::Value(0.15)),
    figure("bulk_8_cpu", "CPU s per GB, 8 streams", 3, false, "–", Need::Nothing),
    figure("redis", "redis GET, 50 clients, k/s", 1, true, "43", Need::Peer(NGINX)),
    figure("redis_cpu", "CPU µs per redis request", 1, false, "22.5", Need::Peer(NGINX)),
    figure("connections", "new connections (HTTP close), k/s", 1, true, "5.0", Need::Peer(NGINX)),
    figure("connections_cpu", "CPU µs per new connection", 1, false, "–", Need::Nothing),
    figure("ping_p50", "ping-pong, p50 µs", 1, false, "63", Need::Value(40.0)),
    figure("ping_p99", "ping-pong, p99 µs", 1, false, "–", Need::Nothing),
    figure("memory", "memory per idle connection, KiB", 1, false, "45.9", Need::Value(3.0)),
    figure("clients_plain", "1000 clients, no latency, k/s", 1, true, "–", Need::Nothing),
    figure(
        "clients",
        "1000 clients behind 20 ms latency, share of the ideal rate",
        3,
        true,
        "0.54",
        Need::Value(0.9),
    ),
    figure(
        "bulk_latency",
        "bulk through 10 ms latency, Gbit/s",
        1,
        true,
        "7.2",
        Need::OfDirect(TWICE_TOXIPROXY, "bulk_1"),
    ),
    figure("http1", "HTTP/1.1, 64 connections, k/s", 1, true, "–", Need::Peer(NGINX)),
    figure("http1_cpu", "CPU µs per HTTP/1.1 request", 1, false, "–", Need::Peer(NGINX)),
    figure("http1_p99", "HTTP/1.1, p99 µs", 0, false, "–", Need::Nothing),
    figure("http1_ten", "HTTP/1.1 with ten faults of which none matches, k/s", 1, true, "–", Need::Nothing),
    figure(
        "http1_ten_cpu",
        "CPU µs per HTTP/1.1 request with ten faults of which none matches",
        1,
        false,
        "–",
        Need::OfOwn(WITH_TEN, "http1_cpu"),
    ),
    figure(
        "http1_ten_p99",
        "HTTP/1.1 with ten faults of which none matches, p99 µs",
        0,
        false,
        "–",
        Need::Nothing,
    ),
    figure("h2", "HTTP/2, 16 × 16 requests at once, k/s", 1, true, "–", Need::Peer(NGINX)),
    figure("h2_cpu", "CPU µs per HTTP/2 request", 1, false, "–", Need::Peer(NGINX)),
    figure("grpc", "gRPC unary, 16 × 16 calls at once, k/s", 1, true, "–", Need::Peer(NGINX)),
    figure("grpc_cpu", "CPU µs per gRPC call", 1, false, "–", Need::Peer(NGINX)),
    figure("https", "HTTP/1.1 over TLS, 64 connections, k/s", 1, true, "–", Need::Nothing),
    figure("https_cpu", "CPU µs per HTTP/1.1 request over TLS", 1, false, "–", Need::Nothing),
];
