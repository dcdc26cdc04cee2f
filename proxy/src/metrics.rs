//! The names of all metrics, and who sets them.
//!
//! What the data plane counts lies in its own atomics; [`publish`] copies it when
//! somebody scrapes, so that counting costs nothing and figures are live. A series
//! of a deleted proxy keeps its last value until the process ends, as Prometheus'
//! clients do; names of proxies are few.

use metrics::{counter, gauge, histogram};
use sabot_toxics::Direction;

use crate::net::Workers;
use crate::net::timers::lateness::BOUNDS_US;
use crate::proxy::Proxy;
use crate::relay::budget::Budget;

/// Bytes read from the source of a direction (Toxiproxy's name).
pub const RECEIVED: &str = "toxiproxy_proxy_received_bytes_total";
/// Bytes written to the sink of a direction (Toxiproxy's name).
pub const SENT: &str = "toxiproxy_proxy_sent_bytes_total";
/// Connections alive, by proxy.
pub const CONNECTIONS_OPEN: &str = "sabot_connections_open";
/// Connections accepted, by proxy.
pub const CONNECTIONS: &str = "sabot_connections_total";
/// Connections that never reached their upstream, by proxy and reason.
pub const CONNECTIONS_FAILED: &str = "sabot_connections_failed_total";
/// How long dials took that succeeded (s), by proxy.
pub const DIAL: &str = "sabot_dial_seconds";
/// Errors of accept, by proxy and reason.
pub const ACCEPT_ERRORS: &str = "sabot_accept_errors_total";
/// Connections on which a fault acted, by proxy and kind.
pub const FAULTS: &str = "sabot_faults_applied_total";
/// Bytes that toxics hold, by proxy.
pub const HELD: &str = "sabot_held_bytes";
/// Bytes that toxics may hold in all.
pub const HELD_LIMIT: &str = "sabot_held_bytes_limit";
/// How late timers fired (s): a cumulative histogram as `_bucket`, `_sum`, `_count`.
pub const LATENESS_BUCKET: &str = "sabot_timer_lateness_seconds_bucket";
/// Sum of [`LATENESS_BUCKET`], in microseconds since counters are whole numbers.
pub const LATENESS_SUM: &str = "sabot_timer_lateness_microseconds_sum";
/// Count of [`LATENESS_BUCKET`].
pub const LATENESS_COUNT: &str = "sabot_timer_lateness_seconds_count";

pub(crate) fn connection_failed(proxy: &str, reason: &'static str) {
    counter!(CONNECTIONS_FAILED, "proxy" => proxy.to_owned(), "reason" => reason).increment(1);
}

pub(crate) fn accept_failed(proxy: &str, reason: &'static str) {
    counter!(ACCEPT_ERRORS, "proxy" => proxy.to_owned(), "reason" => reason).increment(1);
}

pub(crate) fn fault_applied(proxy: &str, kind: &'static str) {
    counter!(FAULTS, "proxy" => proxy.to_owned(), "kind" => kind).increment(1);
}

pub(crate) fn dialled(proxy: &str, took: std::time::Duration) {
    histogram!(DIAL, "proxy" => proxy.to_owned()).record(took.as_secs_f64());
}

/// Copies what the data plane counted since.
pub(crate) fn publish<'a>(proxies: impl Iterator<Item = &'a Proxy>, workers: &Workers, budget: &Budget) {
    for proxy in proxies {
        publish_proxy(proxy);
    }
    gauge!(HELD_LIMIT).set(budget.limit() as f64);
    let (counts, sum) = workers.lateness();
    let mut below = 0;
    for (index, count) in counts.iter().enumerate() {
        below += count;
        let bound =
            BOUNDS_US.get(index).map_or_else(|| "+Inf".to_owned(), |us| (*us as f64 / 1e6).to_string());
        counter!(LATENESS_BUCKET, "le" => bound).absolute(below);
    }
    counter!(LATENESS_COUNT).absolute(below);
    counter!(LATENESS_SUM).absolute(u64::try_from(sum.as_micros()).unwrap_or(u64::MAX));
}

fn publish_proxy(proxy: &Proxy) {
    let name = proxy.name.as_str();
    let (listen, upstream, bytes) = proxy.traffic();
    for direction in Direction::BOTH {
        let labels = [
            ("direction", direction.as_str().to_owned()),
            ("listener", listen.clone()),
            ("proxy", name.to_owned()),
            ("upstream", upstream.clone()),
        ];
        counter!(RECEIVED, &labels).absolute(bytes.received[direction as usize]);
        counter!(SENT, &labels).absolute(bytes.sent[direction as usize]);
    }
    let live = proxy.registry.live();
    let held: usize = live.iter().map(|connection| connection.held()).sum();
    gauge!(CONNECTIONS_OPEN, "proxy" => name.to_owned()).set(live.len() as f64);
    counter!(CONNECTIONS, "proxy" => name.to_owned()).absolute(proxy.registry.accepted());
    gauge!(HELD, "proxy" => name.to_owned()).set(held as f64);
}
